import Bytes
import CGatewayABI
import HandlerModules
import Synchronization
import WebSocket

/// What handlers ask of connections that may be with another program, which serves at the same time.
extension HostContext {
    /// Asks it of a connection that is not here. The worker that had it, or will have it, passes it on, behind what others have
    /// asked before; one that has ended everywhere takes nothing.
    func passOn(_ connection: gw_conn, _ work: SuccessionErrand.Work, _ payload: [UInt8] = []) -> gw_status {
        let id = ConnectionID(connection)
        guard server.succession.isOn.load(ordering: .relaxed), !isRetired.load(ordering: .acquiring),
            id.serial != 0, id.worker < server.ports.count,
            server.ports[id.worker].sharedTable.module(of: id) == nil,
            !server.ports[id.worker].sharedTable.hasEnded(id)
        else { return refusal }
        if server.succession.isFull { return Status.dropped }
        let errand = SuccessionErrand(connection: connection, handler: handler, work: work, payload: payload)
        server.ports[id.worker].post(.errand(errand, isFromElsewhere: false))
        return Status.ok
    }

    /// The same with a message.
    func passOn(
        _ connection: gw_conn, _ opcode: Opcode, head: UInt8, _ payload: UnsafeRawBufferPointer
    ) -> gw_status {
        guard server.succession.isOn.load(ordering: .relaxed) else { return refusal }
        if opcode == .text, unsafe !UTF8Checker.isValid(payload) { return Status.invalid }
        return passOn(connection, .frame(head: head), unsafe Array(payload))
    }
}

extension Worker {
    /// What another thread asked of a connection that has left meanwhile, perhaps for the other program.
    @inline(never)
    func passOn(_ id: ConnectionID, _ work: SuccessionErrand.Work, _ payload: @autoclosure () -> [UInt8] = []) {
        guard server.succession.isOn.load(ordering: .relaxed), id.serial != 0 else { return }
        let address = port.sharedTable[id.slot].binding.load(ordering: .relaxed)
        // Bindings are never freed, and no slot has another peer as long as there is another program to pass on to.
        guard let binding = unsafe UnsafeMutablePointer<Binding>(bitPattern: address) else { return }
        let handler = unsafe binding.pointee.instanceContext.instance.generation.handler
        server.succession.give(
            SuccessionErrand(connection: id.number, handler: handler, work: work, payload: payload()))
    }
}
