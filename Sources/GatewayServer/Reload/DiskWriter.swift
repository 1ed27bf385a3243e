import HandlerModules

/// Writes copies and decisions for the next start, one after the other, on a thread beside the control thread: a disk
/// takes the time it likes. It belongs to the control thread.
struct DiskWriter {
    /// Answers what went wrong.
    typealias Write = @Sendable () -> String?

    private let log: Log
    private let bell: ControlWaker
    private var waiting: [Write] = []
    private var running: TimedCall<String?>?

    init(_ log: Log, _ bell: ControlWaker) {
        self.log = log
        self.bell = bell
    }

    var isIdle: Bool { running == nil && waiting.isEmpty }

    mutating func add(_ write: @escaping Write) { waiting.append(write) }

    /// Goes on without waiting.
    mutating func step() {
        if let running {
            guard let answer = running.answer else { return }
            self.running = nil
            if let complaint = answer { log.warn(complaint) }
        }
        guard !waiting.isEmpty else { return }
        let write = waiting.removeFirst()
        do throws(SystemError) {
            running = try TimedCall(bell: { [bell] in bell.ring() }, write)
        } catch {
            log.warn("nothing can be kept for the next start: \(error)")
        }
    }
}
