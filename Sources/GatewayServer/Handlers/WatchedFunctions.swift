import CGatewayABI
import CLinux

/// Host functions of a handler that is watched: each looks for mistakes first (`mode development`).
@unsafe enum WatchedFunctions {
    /// Puts functions into the table that do what the others do, and note what is done wrong.
    static func watch(_ table: inout gw_host) {
        unsafe watchSending(&table)
        unsafe watchConnections(&table)
        unsafe table.reply = { host, ticket, raw in
            guard let raw = unsafe raw else { return Status.invalid }
            return unsafe HostContext.with(host, else: Status.invalid) { context in
                let status = unsafe context.reply(ticket, raw)
                if status == Status.state { context.note(.secondReply, "reply() was called again for one request") }
                if status == Status.invalid, unsafe context.accepts(reply: raw) {
                    context.note(.badReply, "reply() got what cannot be sent")
                }
                return status
            }
        }
        unsafe table.sink_write = { host, sink, start, count in
            let callback = clinux_current_callback()
            guard callback == CLINUX_SAVE_CONN || callback == CLINUX_SAVE_SELF, let sink = unsafe sink else {
                unsafe HostContext.with(host, else: ()) { $0.note(.staleSink, "sink_write() outside a save callback") }
                return Status.state
            }
            return unsafe UnsafeMutablePointer<StateSink>(sink).pointee.write(start, count)
        }
    }

    private static func watchSending(_ table: inout gw_host) {
        unsafe table.send = { host, connection, kind, flags, start, count in
            unsafe HostContext.with(host, else: Status.invalid) { context in
                guard context.accepts(flags: flags, of: "send") else { return Status.invalid }
                unsafe context.look(at: start, count, "send")
                return context.judged(
                    unsafe context.send(connection, kind, flags, start, count), connection, kind, "send")
            }
        }
        unsafe table.send_buf = { host, connection, kind, flags, buffer in
            guard let shared = unsafe BufferFunctions.shared(buffer) else { return Status.invalid }
            return unsafe HostContext.with(host, else: Status.invalid) { context in
                guard context.accepts(flags: flags, of: "send_buf") else {
                    return unsafe SendFunctions.refuse(shared)
                }
                return context.judged(
                    unsafe context.send(connection, kind, flags, shared: shared), connection, kind, "send_buf")
            }
        }
        unsafe table.send_fragment = { host, connection, kind, flags, start, count in
            unsafe HostContext.with(host, else: Status.invalid) { context in
                guard context.accepts(flags: flags, of: "send_fragment") else { return Status.invalid }
                unsafe context.look(at: start, count, "send_fragment")
                return context.judged(
                    unsafe context.sendFragment(connection, kind, flags, start, count), connection, kind,
                    "send_fragment")
            }
        }
        unsafe table.publish = { host, instance, name, length, kind, flags, start, count, except, reached in
            unsafe HostContext.with(host, else: ()) { unsafe $0.look(at: start, count, "publish") }
            return unsafe TopicFunctions.publish(
                host, instance, name, length, kind, flags, start, count, except, reached)
        }
    }

    private static func watchConnections(_ table: inout gw_host) {
        unsafe table.close = { host, connection, code, reason, count in
            unsafe HostContext.with(host, else: Status.invalid) { context in
                let status = unsafe context.close(connection, code, reason, count)
                if status == Status.ok { context.server.contractChecker?.noteClose(connection) }
                if status == Status.invalid { context.note(.badClose, "close() with code \(code)") }
                return status
            }
        }
        unsafe table.conn_state = { host, connection in
            unsafe HostContext.with(host, else: ()) { $0.checkThread(connection, "conn_state") }
            return unsafe ConnectionFunctions.state(of: connection)
        }
        unsafe table.conn_set_state = { host, connection, state in
            unsafe HostContext.with(host, else: ()) { $0.checkThread(connection, "conn_set_state") }
            return unsafe ConnectionFunctions.setState(of: connection, state)
        }
        unsafe table.conn_request = { host, connection in
            unsafe HostContext.with(host, else: ()) { $0.checkThread(connection, "conn_request") }
            return unsafe ConnectionFunctions.request(of: connection)
        }
    }
}

extension HostContext {
    /// Notes a mistake of the handler.
    func note(_ kind: ContractViolation.Kind, _ what: @autoclosure () -> String) {
        server.contractChecker?.note(ContractViolation(kind, what()), of: handler, generation: generation)
    }

    /// Bytes that are to be sent: were they lent to a callback that has returned?
    func look(at start: UnsafeRawPointer?, _ count: Int, _ function: String) {
        guard let bytes = unsafe Self.bytes(start, count), unsafe PoisonedBuffers.isPoisoned(bytes) else { return }
        note(.keptPayload, "\(function)() got bytes that were lent to a callback which has returned")
    }

    /// What a send came to.
    func judged(_ status: gw_status, _ connection: gw_conn, _ kind: UInt32, _ function: String) -> gw_status {
        if status == Status.invalid, kind == UInt32(GW_TEXT) {
            note(.notText, "\(function)() got text that is not UTF-8")
        }
        let callback = clinux_current_callback()
        if status == Status.closed, callback != CLINUX_CLOSE, unsafe ConnectionFunctions.isCurrent(connection),
            server.contractChecker?.wasClosed(connection) ?? false
        {
            note(.afterClose, "\(callback.name)() called \(function)() after close()")
        }
        return status
    }

    /// Whether this is a callback of that connection.
    func checkThread(_ connection: gw_conn, _ function: String) {
        if unsafe !ConnectionFunctions.isCurrent(connection) {
            note(.wrongThread, "\(function)() outside a callback of its connection")
        }
    }
}
