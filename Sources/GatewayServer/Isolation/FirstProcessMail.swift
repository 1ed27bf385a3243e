import GatewayIO
import Synchronization

/// What the workers of a handler's process say to the first process of their connections. Any thread says it, the control
/// thread fetches it for the link.
final class FirstProcessMail: Sendable {
    struct News: Sendable {
        var taken: [UInt64] = []
        var ended: [UInt64] = []
    }

    /// Connections come that a process before had: none of them is read from before all are here.
    let isGathering = Atomic<Bool>(false)
    private let bell: ControlWaker
    private let news = Mutex(News())

    init(bell: ControlWaker) { self.bell = bell }

    /// A connection is here from now on.
    func tellTaken(_ connection: UInt64) { add { $0.taken.append(connection) } }

    /// A connection has ended here.
    func tellEnded(_ connection: UInt64) { add { $0.ended.append(connection) } }

    private func add(_ body: (inout News) -> Void) {
        let isFirst = news.withLock { news in
            let wasEmpty = news.taken.isEmpty && news.ended.isEmpty
            body(&news)
            return wasEmpty
        }
        if isFirst { bell.ring() }
    }

    func take() -> News {
        news.withLock { news in
            defer { news = News() }
            return news
        }
    }
}
