import Bytes
import GatewayIO
import Synchronization
import WebSocket

/// Publications in topics of the gateway as a whole, for members in its other processes: the first process has one for those
/// of isolated handlers, and each of these for the first one, which passes on to the others. Any thread gives, the control
/// thread fetches.
///
/// Where there is a cluster its engine carries them between the processes as it does between gateways.
final class NeighbourMail: Sendable {
    /// Bytes that may wait.
    private static let most = 64 << 20

    private struct State {
        var items: [SuccessionMail.Publication] = []
        var bytes = 0
        var bell: ControlWaker?
    }

    /// There are other processes.
    let isOn = Atomic<Bool>(false)
    private let state = Mutex(State())

    /// Control thread: there are other processes, or none any more.
    func begin(_ bell: ControlWaker) {
        state.withLock { $0.bell = bell }
        isOn.store(true, ordering: .releasing)
    }

    func end() {
        isOn.store(false, ordering: .releasing)
        state.withLock { $0 = State() }
    }

    /// - Returns: false when too much waits.
    func give(
        _ key: TopicKey, isText: Bool, isPlain: Bool, except: UInt64, _ payload: UnsafeRawBufferPointer
    ) -> Bool {
        let publication = SuccessionMail.Publication(
            key: key, isText: isText, isPlain: isPlain, except: except, payload: unsafe Array(payload))
        return state.withLock { state in
            if state.bytes > Self.most { return false }
            state.items.append(publication)
            state.bytes += publication.payload.count + publication.key.name.count + 128
            if state.items.count == 1 { state.bell?.ring() }
            return true
        }
    }

    func take() -> [SuccessionMail.Publication] {
        state.withLock { state in
            defer { (state.items, state.bytes) = ([], 0) }
            return state.items
        }
    }
}

extension ServerContext {
    /// A publication of another process for the members here.
    func deliver(fromNeighbour publication: SuccessionMail.Publication) {
        if publication.isText, unsafe !publication.payload.withUnsafeBytes({ unsafe UTF8Checker.isValid($0) }) {
            return
        }
        guard succession.isOn.load(ordering: .acquiring) else { return publication.post(topics, ports) }
        let isSuccessor = succession.locked { state in
            if state.side == .successor { return true }
            // Whoever moves meanwhile has it once, here or there.
            state.give(.publication(publication))
            publication.post(topics, ports)
            return false
        }
        if isSuccessor { succession.take(publication, of: self) }
    }
}
