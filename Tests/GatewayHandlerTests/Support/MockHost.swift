import CGatewayABI
import Glibc
import Synchronization

/// What a handler did to its host.
enum Call: Equatable, Sendable {
    case send(UInt64, kind: UInt32, [UInt8])
    /// Not to be compressed.
    case sendPlain(UInt64, kind: UInt32, [UInt8])
    case fragment(UInt64, kind: UInt32, isFinal: Bool, [UInt8])
    case ping(UInt64, [UInt8])
    case pong(UInt64, [UInt8])
    case close(UInt64, UInt16, String)
    case abort(UInt64)
    case setReading(UInt64, UInt32)
    case log(UInt64, Int32, String)
    case fail(String)
    case reply(UInt64, Reply)
    case subscribe(UInt64, String, UInt32)
    case unsubscribe(UInt64, String, UInt32)
    case publish(String, UInt32, kind: UInt32, [UInt8], except: UInt64)
    case cancel(UInt64)
    case setState(UInt64, hasState: Bool)

    struct Reply: Equatable, Sendable {
        var status: UInt16
        var subprotocol = ""
        var headers: [[String]] = []
        var body = ""
        var hasState = false
    }

    static func text(_ connection: UInt64, _ text: String) -> Call { .send(connection, kind: 1, Array(text.utf8)) }
}

/// Something a handler asked for that has not come back; see `Driven.deliver`.
struct Owed: Equatable, Sendable {
    enum Kind: Sendable { case post, timer, work }
    var kind: Kind
    var connection: UInt64
    var token: UInt64
    /// Of a timer: milliseconds, and its number.
    var after: UInt32 = 0
    var every: UInt32 = 0
    var number: UInt64 = 0
}

/// A `gw_host` that records what is asked of it and answers what a test wants.
///
/// The table is never freed, as in the gateway; a pointer behind its end leads from the table back to this object.
final class MockHost: Sendable {
    struct State: Sendable {
        var calls: [Call] = []
        var status: gw_status = 0
        var replyStatus: gw_status = 0
        var connections: [UInt64] = []
        var info: gw_conn_info?
        var queries: [String: String] = [:]
        var cookies: [String: String] = [:]
        /// The state pointer of the last reply that was taken.
        var connectionState: UInt = 0
        /// What was written to the sink since it was last emptied.
        var saved: [UInt8] = []
        /// Without topics the calls are there, and answer GW_E_UNSUPPORTED.
        var hasTopics = false
        /// The connections that `conn_info` does not know; `info` is what it says of others.
        var gone: Set<UInt64> = []
        /// What was asked for and has not been delivered.
        var owed: [Owed] = []
        /// What `post` and `offload` answer; `timer_start` answers 0 when it is negative.
        var laterStatus: gw_status = 0
        var lastTimer: UInt64 = 0
        /// Holds that were not released.
        var holds = 0
        /// `stop` is on its way, so that nothing can be held.
        var isStopping = false
        /// Called within `set_reading` that stops it, before that is noted down.
        var onStop: (@Sendable () -> Void)?
        /// What `conn_request` answers: the address of a `gw_request`.
        var request: UInt = 0
    }

    let state = Mutex(State())
    private let address: UInt

    var table: UnsafeMutablePointer<gw_host> { UnsafeMutablePointer(bitPattern: address)! }
    var calls: [Call] { state.withLock { $0.calls } }
    /// The calls that are no log lines.
    var deeds: [Call] { calls.filter { if case .log = $0 { false } else { true } } }
    var saved: [UInt8] { state.withLock { $0.saved } }
    var connectionState: UnsafeMutableRawPointer? {
        UnsafeMutableRawPointer(bitPattern: state.withLock { $0.connectionState })
    }

    init() {
        let size = MemoryLayout<gw_host>.stride
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size + 8, alignment: 16)
        address = UInt(bitPattern: memory)
        table.initialize(to: gw_host())
        (memory + size).storeBytes(of: Unmanaged.passRetained(self).toOpaque(), as: UnsafeMutableRawPointer.self)
        fill()
    }

    func set(_ change: (inout sending State) -> Void) { state.withLock { change(&$0) } }

    /// Keeps a handshake for `conn_request`, as long as the arena lives.
    func keep(_ arena: Arena, _ request: gw_request) {
        let address = UInt(bitPattern: arena.keep(request))
        set { $0.request = address }
    }

    fileprivate func record(_ call: Call) -> gw_status {
        state.withLock {
            $0.calls.append(call)
            return $0.status
        }
    }

    private func fill() {
        let host = table
        host.pointee.struct_size = UInt32(MemoryLayout<gw_host>.size)
        host.pointee.abi_version = 0x10000
        host.pointee.generation = 3
        host.pointee.now_ns = { _ in 1_500_000_000 }
        host.pointee.log = { _ = mock($0).record(.log($1, $2, text($3, $4))) }
        host.pointee.fail = { _ = mock($0).record(.fail(text($1, $2))) }
        host.pointee.send = {
            let isPlain = $3 & UInt32(GW_NO_COMPRESS) != 0
            let payload = bytes($4, $5)
            return mock($0).record(isPlain ? .sendPlain($1, kind: $2, payload) : .send($1, kind: $2, payload))
        }
        host.pointee.send_fragment = {
            mock($0).record(.fragment($1, kind: $2, isFinal: $3 & UInt32(GW_FIN) != 0, bytes($4, $5)))
        }
        host.pointee.ping = { mock($0).record(.ping($1, bytes($2, $3))) }
        host.pointee.pong = { mock($0).record(.pong($1, bytes($2, $3))) }
        host.pointee.close = { mock($0).record(.close($1, $2, text($3, $4))) }
        host.pointee.abort = { mock($0).record(.abort($1)) }
        host.pointee.set_reading = {
            if $2 == 0 { mock($0).state.withLock { $0.onStop }?() }
            return mock($0).record(.setReading($1, $2))
        }
        fillConnections(host)
        fillTopics(host)
        fillLater(host)
        fillLookUps(host)
    }

    private func fillConnections(_ host: UnsafeMutablePointer<gw_host>) {
        host.pointee.conn_info = { table, connection, out in
            guard let info = mock(table).state.withLock({ $0.gone.contains(connection) ? nil : $0.info }) else {
                return gw_status(GW_E_CLOSED)
            }
            out!.pointee = info
            return 0
        }
        host.pointee.conns = { table, _, out, room in
            let connections = mock(table).state.withLock { $0.connections }
            for (index, connection) in connections.prefix(room).enumerated() { out![index] = connection }
            return connections.count
        }
        host.pointee.sink_write = { table, _, start, count in
            mock(table).state.withLock {
                $0.saved += bytes(start, count)
                return $0.status
            }
        }
        host.pointee.conn_request = { table, _ in
            UnsafePointer(bitPattern: mock(table).state.withLock { $0.request })
        }
        host.pointee.conn_set_state = { table, connection, state in
            let pointer = UInt(bitPattern: state)
            return mock(table).state.withLock {
                $0.calls.append(.setState(connection, hasState: pointer != 0))
                $0.connectionState = pointer
                return 0
            }
        }
        host.pointee.hold = { table, _ in
            mock(table).state.withLock {
                if $0.isStopping { return gw_status(GW_E_RETIRED) }
                $0.holds += 1
                return 0
            }
        }
        host.pointee.release = { table, _ in
            mock(table).state.withLock { $0.holds -= 1 }
            return 0
        }
    }

    private func fillLater(_ host: UnsafeMutablePointer<gw_host>) {
        host.pointee.post = { table, _, connection, token, _, _ in
            mock(table).owe(Owed(kind: .post, connection: connection, token: token))
        }
        host.pointee.offload = { table, _, connection, token, _ in
            mock(table).owe(Owed(kind: .work, connection: connection, token: token))
        }
        host.pointee.timer_start = { table, _, connection, token, after, every in
            let number = mock(table).state.withLock { state in
                state.lastTimer += 1
                return state.lastTimer
            }
            let timer = Owed(
                kind: .timer, connection: connection, token: token, after: after, every: every, number: number)
            return mock(table).owe(timer) < 0 ? 0 : number
        }
        host.pointee.timer_cancel = { table, number in
            mock(table).state.withLock {
                $0.owed.removeAll { $0.kind == .timer && $0.number == number }
                $0.calls.append(.cancel(number))
                return 0
            }
        }
    }

    private func owe(_ owed: Owed) -> gw_status {
        state.withLock {
            if $0.laterStatus < 0 { return $0.laterStatus }
            // A connection that has ended gets nothing.
            if owed.connection != 0, $0.gone.contains(owed.connection) { return gw_status(GW_E_CLOSED) }
            $0.owed.append(owed)
            return $0.laterStatus
        }
    }

    private func fillTopics(_ host: UnsafeMutablePointer<gw_host>) {
        host.pointee.subscribe = { mock($0).recordTopic(.subscribe($1, text($3, $4), $2)) }
        host.pointee.unsubscribe = { mock($0).recordTopic(.unsubscribe($1, text($3, $4), $2)) }
        host.pointee.publish = { table, instance, topic, count, kind, flags, start, length, except, reached in
            reached!.pointee = 7
            return mock(table).recordTopic(
                .publish(text(topic, count), flags, kind: kind, bytes(start, length), except: except))
        }
    }

    private func recordTopic(_ call: Call) -> gw_status {
        state.withLock { $0.hasTopics } ? record(call) : gw_status(GW_E_UNSUPPORTED)
    }

    private func fillLookUps(_ host: UnsafeMutablePointer<gw_host>) {
        host.pointee.config_get = { find($2, in: $1!.pointee.values, $3) }
        host.pointee.req_header = { find($2, in: $1!.pointee.headers, $3) }
        host.pointee.req_param = { find($2, in: $1!.pointee.params, $3) }
        host.pointee.req_query = { table, _, name, out in
            lend(mock(table).state.withLock { $0.queries }[String(cString: name!)], out)
        }
        host.pointee.req_cookie = { table, _, name, out in
            lend(mock(table).state.withLock { $0.cookies }[String(cString: name!)], out)
        }
        host.pointee.reply = { table, ticket, reply in
            let raw = reply!.pointee
            let fields = UnsafeBufferPointer(start: raw.headers.ptr, count: raw.headers.len)
            let body = UnsafeRawBufferPointer(start: raw.body.ptr, count: raw.body.len)
            let copy = Call.Reply(
                status: raw.status, subprotocol: text(raw.subprotocol.ptr, raw.subprotocol.len),
                headers: fields.map { [text($0.key.ptr, $0.key.len), text($0.value.ptr, $0.value.len)] },
                body: String(decoding: body, as: UTF8.self), hasState: raw.conn_state != nil)
            let pointer = UInt(bitPattern: raw.conn_state)
            return mock(table).state.withLock {
                $0.calls.append(.reply(ticket, copy))
                if $0.replyStatus >= 0 { $0.connectionState = pointer }
                return $0.replyStatus
            }
        }
    }
}

/// The mock behind a table.
private func mock(_ table: UnsafePointer<gw_host>?) -> MockHost {
    let owner = (UnsafeRawPointer(table!) + MemoryLayout<gw_host>.stride).load(as: UnsafeRawPointer.self)
    return Unmanaged<MockHost>.fromOpaque(owner).takeUnretainedValue()
}

private func bytes(_ start: UnsafeRawPointer?, _ count: Int) -> [UInt8] {
    [UInt8](UnsafeRawBufferPointer(start: start, count: count))
}

private func text(_ start: UnsafePointer<CChar>?, _ count: Int) -> String {
    String(decoding: bytes(start, count), as: UTF8.self)
}

private func find(_ key: UnsafePointer<CChar>?, in pairs: gw_kvs, _ out: UnsafeMutablePointer<gw_str>?) -> gw_status {
    let wanted = String(cString: key!).lowercased()
    for pair in UnsafeBufferPointer(start: pairs.ptr, count: pairs.len)
    where text(pair.key.ptr, pair.key.len).lowercased() == wanted {
        out!.pointee = pair.value
        return 0
    }
    return gw_status(GW_E_NOTFOUND)
}

private func lend(_ value: String?, _ out: UnsafeMutablePointer<gw_str>?) -> gw_status {
    guard let value else { return gw_status(GW_E_NOTFOUND) }
    // Never freed: a test's look-ups are few.
    out!.pointee = gw_str(ptr: strdup(value), len: value.utf8.count)
    return 0
}
