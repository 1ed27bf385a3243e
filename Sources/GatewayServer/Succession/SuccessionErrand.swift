import CGatewayABI
import GatewayIO
import HandlerModules
import Synchronization
import WebSocket

/// What a handler asked of a connection that is with the other program: carried out by the worker that has it.
struct SuccessionErrand: Sendable, Equatable {
    enum Work: Sendable, Equatable {
        /// A whole message or a control frame; the first byte as in `WorkerMessage.frame`.
        case frame(head: UInt8)
        case fragment(Opcode, isFinal: Bool, isPlain: Bool)
        case close(code: UInt16)
        case abort
        case post(token: UInt64)
        case setReading(Bool)
        /// The payload is the name of the topic.
        case subscribe(isGlobal: Bool)
        case unsubscribe(isGlobal: Bool)
    }

    let connection: UInt64
    /// The name of the handler that asked: connections of others are closed to it.
    let handler: String
    let work: Work
    var payload: [UInt8] = []

    var id: ConnectionID { ConnectionID(connection) }

    /// What it counts against the bytes that may wait for the other program.
    var weight: Int { payload.count + 128 }

    var isFrame: Bool { if case .frame = work { true } else { false } }

    /// Carries it out; one that the connection does not take any more goes nowhere, as with a peer that has just left.
    func perform(on peer: ConnectionPointer, _ worker: Worker) {
        guard let binding = unsafe peer.pointee.binding, isFrame || peer.pointee.flags.contains(.opened),
            unsafe binding.pointee.instanceContext.instance.generation.handler == handler
        else { return }
        if case .abort = work { return worker.closer.abort(peer, on: worker) }
        guard peer.pointee.phase == .open else { return }
        switch work {
        case .frame(let head): worker.mailbox.queue(head: head, payload, to: peer, on: worker)
        case .fragment(let kind, let isFinal, let isPlain):
            _ = unsafe payload.withUnsafeBytes { bytes in
                unsafe worker.sendFragment(
                    connection, kind, isFinal: isFinal, bytes, unsafe !binding.pointee.has(GW_HF_NO_UTF8),
                    isPlain: isPlain)
            }
        case .close(let code):
            worker.closer.beginClosing(peer, code: code, reason: payload, by: UInt16(GW_BY_HANDLER), on: worker)
        case .abort: break
        case .post(let token):
            let event = unsafe HandlerEvent(
                instanceContext: binding.pointee.instanceContext, connection: connection, token: token,
                kind: .post(payload))
            worker.port.postedBytes.add(event.weight, ordering: .relaxed)
            worker.events.append(event)
        case .setReading(let on):
            peer.pointee.rareState?.callbacks?.setPaused(!on)
            worker.setReading(peer, on)
        case .subscribe(let isGlobal): unsafe subscribe(peer, topic(isGlobal, binding), worker)
        case .unsubscribe(let isGlobal):
            unsafe worker.pubSub.unsubscribe(peer, topic(isGlobal, binding), on: worker)
        }
    }

    private func topic(_ isGlobal: Bool, _ binding: UnsafeMutablePointer<Binding>) -> TopicKey {
        TopicKey(scope: isGlobal ? "" : unsafe binding.pointee.route.name, name: payload)
    }

    private func subscribe(_ peer: ConnectionPointer, _ key: TopicKey, _ worker: Worker) {
        let counted = worker.port.sharedTable[peer.pointee.slot].topics.add(1, ordering: .relaxed).newValue
        if counted > Topic.maximumPerConnection {
            worker.port.sharedTable[peer.pointee.slot].topics.subtract(1, ordering: .relaxed)
            return
        }
        worker.pubSub.subscribe(peer, worker.server.topics.join(key, worker: Int(worker.port.index)), on: worker)
    }
}
