import GatewayIO
import HandlerModules
import Synchronization

/// An isolated generation of a handler as workers of the first process see it: whatever process it is in, and whether there is
/// one just now. Any thread.
final class IsolatedPort: Sendable {
    /// A connection on its way to the process.
    struct Item: Sendable {
        let worker: UInt8
        let record: [UInt8]
        let socket: PassedDescriptors
    }

    private struct State {
        /// Counts the processes that there were; a connection is given to one of them.
        var process: UInt64 = 0
        /// That process takes connections.
        var isServed = false
        /// It takes those only that are relayed: the others are another program's.
        var isLate = false
        var items: [Item] = []
        /// How many of those that were given the process has not said that it has, and whether others wait for that: each is
        /// one descriptor more here.
        var onTheWay = 0
        var hasWaiting = false
        /// The bindings of its routes, by name: addresses, since these are never freed.
        var bindings: [String: UInt] = [:]
        /// No process comes any more: why.
        var refusal: IsolationFailure?
        /// `crash resume`: the connection that it died of goes on without the message.
        var resumes = false
        /// Another generation has its connections.
        var next: IsolatedPort?
        /// That of the program before, whose process has the connections which come from there.
        var former: IsolatedPort?
    }

    let handler: String
    let generation: UInt64
    /// How many connections have come to it from another generation.
    let moved = Atomic<Int>(0)
    private let bell: ControlWaker
    private let state = Mutex(State())

    init(handler: String, generation: UInt64, bell: ControlWaker) {
        (self.handler, self.generation, self.bell) = (handler, generation, bell)
    }

    /// Why nothing is served by it any more; nil as long as something is, or will be.
    var refusal: IsolationFailure? { state.withLock { $0.refusal } }

    /// Gives a connection to the process that there is.
    ///
    /// - Parameter descriptor: of a copy of its socket; changes its owner.
    /// - Returns: the number of that process; 0 where there is none, and nothing has been given.
    func give(_ id: ConnectionID, _ record: [UInt8], _ descriptor: Int32, isRelayed: Bool) -> UInt64 {
        let item = Item(
            worker: UInt8(truncatingIfNeeded: id.worker), record: record,
            socket: PassedDescriptors(adopting: [descriptor]))
        let (process, isFirst): (UInt64, Bool) = state.withLock { state in
            guard state.isServed || state.isLate && isRelayed else { return (0, false) }
            state.items.append(item)
            state.onTheWay += 1
            return (state.process, state.items.count == 1)
        }
        if isFirst { bell.ring() }
        return process
    }

    /// So many may be on the way at once.
    private static let room = 256

    /// Whether one more may be given now. If not, `revived` is told when it may.
    func hasRoom() -> Bool {
        state.withLock { state in
            let hasRoom = !state.isServed || state.onTheWay < Self.room
            if !hasRoom { state.hasWaiting = true }
            return hasRoom
        }
    }

    /// Control thread: the process has so many more.
    ///
    /// - Returns: whether others wait that may be given now.
    func note(taken: Int) -> Bool {
        state.withLock { state in
            state.onTheWay = max(0, state.onTheWay - taken)
            guard state.hasWaiting, state.onTheWay <= Self.room / 2 else { return false }
            state.hasWaiting = false
            return true
        }
    }

    /// The process that takes connections now; 0 where there is none.
    var process: UInt64 { state.withLock { $0.isServed ? $0.process : 0 } }

    /// Control thread: what is to go to the process.
    func takeItems() -> [Item] {
        state.withLock { state in
            defer { state.items = [] }
            return state.items
        }
    }

    /// Control thread: another process takes connections from here on.
    func begin() {
        state.withLock {
            $0.process += 1
            ($0.isServed, $0.isLate) = (true, false)
            ($0.onTheWay, $0.hasWaiting) = (0, false)
            $0.refusal = nil
        }
    }

    /// Control thread: that process takes none any more.
    ///
    /// - Parameter isLate: none but those that are relayed.
    func end(isLate: Bool = false) {
        state.withLock {
            ($0.isServed, $0.isLate) = (false, isLate)
            $0.items = []
        }
    }

    /// Control thread: whoever is given to it from here on is for another generation.
    func redirect(to next: IsolatedPort) { state.withLock { $0.next = next } }

    var resumes: Bool { state.withLock { $0.resumes } }

    /// Control thread.
    func resumes(_ resumes: Bool) { state.withLock { $0.resumes = resumes } }

    /// Where connections go that were for it; nil where they are for it.
    var next: IsolatedPort? { state.withLock { $0.next } }

    /// Control thread: connections come from the program before, where another process has them.
    func follow(_ former: IsolatedPort) { state.withLock { $0.former = former } }

    /// Where connections of the program before are; nil where they come to none but this.
    var former: IsolatedPort? { state.withLock { $0.former } }

    /// The last one that has its connections.
    var last: IsolatedPort {
        var last = self
        while let next = last.next { last = next }
        return last
    }

    // MARK: Its routes

    /// Control thread: what serves a route.
    func serve(_ route: String, by binding: UnsafeMutablePointer<Binding>) {
        let address = UInt(bitPattern: binding)
        state.withLock { $0.bindings[route] = address }
    }

    func binding(of route: String) -> UnsafeMutablePointer<Binding>? {
        let address = state.withLock { $0.bindings[route] }
        return unsafe address.flatMap { unsafe UnsafeMutablePointer(bitPattern: $0) }
    }

    /// Control thread: no process comes any more.
    func giveUp(_ failure: IsolationFailure) {
        state.withLock {
            $0.refusal = failure
            ($0.isServed, $0.isLate) = (false, false)
            $0.items = []
        }
    }
}

/// Why the connections of an isolated generation end.
struct IsolationFailure: Sendable, Equatable {
    /// Of the Close that they get.
    let code: UInt16
    let reason: String
}
