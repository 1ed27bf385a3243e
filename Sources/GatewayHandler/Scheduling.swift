internal import CGatewayABI

/// A timer that was started; keep it to cancel it, forget it otherwise.
public struct TimerHandle: Sendable {
    let host: Host
    let owner: gw_conn
    /// 0 for one that never started.
    let token: UInt64

    /// Ends the timer: it does not go off any more. False when it has already, or its connection has ended. [any]
    @discardableResult
    public func cancel() -> Bool {
        guard token != 0, let number = host.pendingClosures.remove(token, for: owner) else { return false }
        if number != 0, let cancel = unsafe host.table.pointee.timer_cancel {
            _ = unsafe cancel(host.table, number)
        }
        return true
    }
}

// Closures belong to the generation that made them. When a connection moves to a newer one in a reload, its posts are
// run first and its timers end; `HandoverHandler.restored` is where the newer one starts its own. A connection of a
// handler without state would end its timers unnoticed, so it stays where it is while it has some.

extension Connection {
    /// The gateway, as the instance that serves this connection knows it.
    public var gateway: Gateway { Gateway(host) }

    /// Calls `body` on the connection's own thread, in the order of the posts, after what is running now.
    ///
    /// False when the connection has ended, or has moved to another generation. What `body` throws is as if a callback
    /// had thrown it: `failed`, and 1011. [any]
    @discardableResult
    public func post(_ body: @escaping @Sendable (Connection) throws -> Void) -> Bool {
        host.post(_PendingClosure("post", plain: body), for: id)
    }

    /// The same for a handler with a `State`, which is lent to `body`: `connection.post(with: Member.self) {…}`.
    @discardableResult
    public func post<State>(
        with state: State.Type, _ body: @escaping @Sendable (Connection, inout State) throws -> Void
    ) -> Bool {
        host.post(_PendingClosure("post", with: state, body), for: id)
    }

    /// Calls `body` on the connection's own thread after a while; the timer ends with the connection. [any]
    ///
    /// To the millisecond. What `body` throws is as if a callback had thrown it: `failed`, and 1011.
    @discardableResult
    public func after(
        _ delay: Duration, _ body: @escaping @Sendable (Connection) throws -> Void
    ) -> TimerHandle { host.start(_PendingClosure("after", plain: body), for: id, delay, repeats: false) }

    /// The same for a handler with a `State`, which is lent to `body`.
    @discardableResult
    public func after<State>(
        _ delay: Duration, with state: State.Type,
        _ body: @escaping @Sendable (Connection, inout State) throws -> Void
    ) -> TimerHandle { host.start(_PendingClosure("after", with: state, body), for: id, delay, repeats: false) }

    /// Calls `body` on the connection's own thread again and again; the timer ends with the connection. [any]
    @discardableResult
    public func every(
        _ interval: Duration, _ body: @escaping @Sendable (Connection) throws -> Void
    ) -> TimerHandle { host.start(_PendingClosure("every", plain: body), for: id, interval, repeats: true) }

    /// The same for a handler with a `State`, which is lent to `body`.
    @discardableResult
    public func every<State>(
        _ interval: Duration, with state: State.Type,
        _ body: @escaping @Sendable (Connection, inout State) throws -> Void
    ) -> TimerHandle { host.start(_PendingClosure("every", with: state, body), for: id, interval, repeats: true) }
}

// For the handler as a whole. These calls come one at a time, beside the callbacks of connections; what they throw is
// logged. The timers of a handler end when a newer generation takes over, which starts its own.
extension Gateway {
    /// Calls `body` soon, in the order of the posts; false when the instance has been stopped. [any]
    @discardableResult
    public func post(_ body: @escaping @Sendable () throws -> Void) -> Bool {
        host.post(_PendingClosure("post", plain: { _ in try body() }), for: 0)
    }

    /// Calls `body` after a while. [any]
    @discardableResult
    public func after(_ delay: Duration, _ body: @escaping @Sendable () throws -> Void) -> TimerHandle {
        host.start(_PendingClosure("after", plain: { _ in try body() }), for: 0, delay, repeats: false)
    }

    /// Calls `body` again and again. [any]
    @discardableResult
    public func every(_ interval: Duration, _ body: @escaping @Sendable () throws -> Void) -> TimerHandle {
        host.start(_PendingClosure("every", plain: { _ in try body() }), for: 0, interval, repeats: true)
    }
}

// The same with the type of the state known, so that a mistake is an error of the compiler.
extension StatefulHandler {
    /// `Connection.post`, with the state of the connection.
    @discardableResult
    public func post(
        to connection: Connection, _ body: @escaping @Sendable (Connection, inout State) throws -> Void
    ) -> Bool { connection.post(with: State.self, body) }

    /// `Connection.after`, with the state of the connection.
    @discardableResult
    public func after(
        _ delay: Duration, on connection: Connection,
        _ body: @escaping @Sendable (Connection, inout State) throws -> Void
    ) -> TimerHandle { connection.after(delay, with: State.self, body) }

    /// `Connection.every`, with the state of the connection.
    @discardableResult
    public func every(
        _ interval: Duration, on connection: Connection,
        _ body: @escaping @Sendable (Connection, inout State) throws -> Void
    ) -> TimerHandle { connection.every(interval, with: State.self, body) }

    /// `Connection.offload`, with the state of the connection for `then`.
    public func offload<Value: Sendable>(
        for connection: Connection, _ work: @escaping @Sendable (Cancellation) throws -> Value,
        then: @escaping @Sendable (Connection, Value, inout State) throws -> Void
    ) throws(OffloadRefused) { try connection.offload(with: State.self, work, then: then) }
}

extension Host {
    /// Has a closure come back soon.
    func post(_ closure: _PendingClosure, for owner: gw_conn) -> Bool {
        guard let post = unsafe table.pointee.post, let token = pendingClosures.add(closure, .post, for: owner) else {
            return false
        }
        if unsafe post(table, instance, owner, token, nil, 0) >= 0 { return true }
        pendingClosures.remove(token, for: owner)
        return false
    }

    /// Has a closure come back after `delay`; a timer that cannot be started is never due.
    func start(_ closure: _PendingClosure, for owner: gw_conn, _ delay: Duration, repeats: Bool) -> TimerHandle {
        let none = TimerHandle(host: self, owner: owner, token: 0)
        guard let start = unsafe table.pointee.timer_start,
            let token = pendingClosures.add(closure, .timer(repeats: repeats), for: owner)
        else { return none }
        // An interval of 0 would say "once".
        let milliseconds = max(delay.wholeMilliseconds, repeats ? 1 : 0)
        let number = unsafe start(table, instance, owner, token, milliseconds, repeats ? milliseconds : 0)
        if number == 0 {
            pendingClosures.remove(token, for: owner)
            return none
        }
        // It may be over before its number is known, but not be cancelled without it being the gateway's to forget.
        if !pendingClosures.setTimer(number, of: token, for: owner), repeats,
            let cancel = unsafe table.pointee.timer_cancel
        {
            _ = unsafe cancel(table, number)
        }
        return TimerHandle(host: self, owner: owner, token: token)
    }
}

extension Duration {
    /// Rounded up, as no timer may go off too early; what is too long for the gateway is 49 days.
    fileprivate var wholeMilliseconds: UInt32 {
        let (seconds, attoseconds) = components
        let whole = seconds.multipliedReportingOverflow(by: 1000)
        if whole.overflow { return seconds < 0 ? 0 : .max }
        let rest = attoseconds / 1_000_000_000_000_000 + (attoseconds % 1_000_000_000_000_000 > 0 ? 1 : 0)
        let sum = whole.partialValue.addingReportingOverflow(rest)
        return sum.overflow ? .max : UInt32(clamping: sum.partialValue)
    }
}
