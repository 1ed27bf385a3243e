import GatewayIO
import Synchronization
import WebSocket

/// Copies of records of some connections, for a new program to rehearse with; each worker adds some of its own.
final class RecordCopies: Sendable {
    /// Of one worker.
    static let most = 32
    /// Bytes of one of them.
    private static let longest = 1 << 20

    private struct State {
        var bytes: [UInt8] = []
        var missing: Int
    }

    private let state: Mutex<State>
    private let bell: ControlWaker

    init(workers: Int, bell: ControlWaker) {
        state = Mutex(State(missing: workers))
        self.bell = bell
    }

    /// A worker adds what it has.
    func add(_ records: [[UInt8]], of worker: UInt8) {
        let messages = records.filter { $0.count <= Self.longest }.map {
            SuccessionMessage.connection(.init(worker: worker, received: 0, record: $0), PassedDescriptors()).copy
        }
        state.withLock { state in
            for bytes in messages { state.bytes += bytes }
            state.missing -= 1
        }
        bell.ring()
    }

    /// The messages, of those workers that have added theirs.
    var bytes: [UInt8] { state.withLock { $0.bytes } }

    var isComplete: Bool { state.withLock { $0.missing <= 0 } }
}

extension SuccessionMessage {
    /// The whole message without its descriptors, for somebody who only looks at it.
    var copy: [UInt8] {
        var bytes = bytes
        bytes[6] = UInt8(kind.descriptors)
        return bytes
    }
}

extension ConnectionExporter {
    /// Records of some connections as they are now; none of their handlers hears of it.
    func copies(on worker: Worker) -> [[UInt8]] {
        var records: [[UInt8]] = []
        for slot in 0..<worker.table.used where records.count < RecordCopies.most {
            guard let peer = worker.table.occupant(slot), peer.pointee.transport.isPlain,
                peer.pointee.transport.hasSocket, !peer.pointee.reader.isInsideMessage
            else { continue }
            switch peer.pointee.phase {
            case .head, .closing: records.append(record(peer, on: worker).bytes)
            case .open:
                guard let binding = unsafe peer.pointee.binding else { continue }
                records.append(unsafe openRecord(peer, binding, nil, on: worker).bytes)
            case .body, .answering, .away, .multiplexed, .ending, .lingering, .gone: continue
            }
        }
        return records
    }
}
