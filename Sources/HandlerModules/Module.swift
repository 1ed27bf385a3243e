/// One handler file and its generations. It belongs to the control thread.
///
/// There is one per handler for the life of the process, also while no route names the handler: the attempts it counts
/// are in the names of staged files, and a name is loaded once.
package final class Module {
    /// The name in gateway.conf.
    package let handler: String
    /// Oldest first; those that have ended are gone from it.
    package private(set) var generations: [Generation] = []
    /// The folder its file was found in, as it is searched; nil before. A file of the same name in a folder that is
    /// searched later never takes its place while the gateway runs. Control thread.
    package var home: String?
    /// The number of the generation that comes to serve next: those that did not are not counted.
    package private(set) var nextNumber: UInt64 = 1
    private var attempts: UInt64 = 0

    package init(handler: String) {
        self.handler = handler
    }

    /// The one that gets the new connections; nil before the first and after all failed.
    package var current: Generation? {
        generations.last { $0.phase == .live }
    }

    /// Another program of this gateway has counted up to a number.
    package func goOn(after number: UInt64) { nextNumber = max(nextNumber, number + 1) }

    /// A number of its own for each copy, also those that come to nothing: it is in the name of the staged file.
    package func takeAttempt() -> UInt64 {
        attempts += 1
        return attempts
    }

    /// A generation has been loaded.
    package func add(_ generation: Generation) {
        generations.append(generation)
    }

    /// The commit point of a reload or a rollback: the one before, which is answered, retires.
    @discardableResult
    package func makeLive(_ generation: Generation) -> Generation? {
        let previous = current
        guard previous !== generation else { return nil }
        nextNumber = max(nextNumber, generation.number + 1)
        generation.makeLive()
        previous?.retire()
        return previous
    }

    /// Forgets the generations that have ended; answers them.
    @discardableResult
    package func forgetEnded() -> [Generation] {
        let ended = generations.filter { $0.phase == .ended }
        generations.removeAll { $0.phase == .ended }
        return ended
    }
}
