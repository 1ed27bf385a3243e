internal import CGatewayABI

/// The answer to an opening handshake that is still owed. [any]
///
/// Answered once, from any thread: the first answer counts. An answer that comes too late does no harm.
public struct DeferredUpgrade<State>: Sendable {
    fileprivate let ticket: gw_ticket
    fileprivate let host: Host

    /// Lets the client in or refuses it; false when that was answered before, or the client did not wait.
    ///
    /// An answer that may not be sent, such as a subprotocol that was not offered, is logged; another one may follow.
    @discardableResult
    public func answer(_ upgrade: sending Upgrade<State>) -> Bool {
        taken(upgrade.answer.send(to: ticket, host), host)
    }
}

/// The answer to a plain request that is still owed. [any]
///
/// Answered once, from any thread: the first answer counts. An answer that comes too late does no harm.
public struct DeferredResponse: Sendable {
    fileprivate let ticket: gw_ticket
    fileprivate let host: Host

    /// Sends the answer, 404 for `nil`; false when that was answered before, or the client did not wait.
    @discardableResult
    public func answer(_ response: Response?) -> Bool {
        let reply = (response ?? .text("not found\n", status: 404)).reply
        return taken(unsafe reply.send(to: ticket, host), host)
    }
}

private func taken(_ status: gw_status, _ host: Host) -> Bool {
    if status == gw_status(GW_E_INVALID) { _ = refused(status, "a deferred answer", host) }
    return status == gw_status(GW_OK)
}

extension Request {
    /// Lets an opening handshake be answered after `upgrade` has returned `.later`.
    ///
    ///     func upgrade(_ request: borrowing Request) throws -> Upgrade<User> {
    ///         let (answer, token) = (request.answerLater(with: User.self), request.query("token") ?? "")
    ///         try gateway.offload { _ in try User(token) } then: { answer.answer(.accept($0)) }
    ///         return .later
    ///     }
    public func answerLater<State>(with state: State.Type = State.self) -> DeferredUpgrade<State> {
        DeferredUpgrade(ticket: ticket, host: host)
    }

    /// Lets a plain request be answered after `respond` has returned `.later`.
    public func respondLater() -> DeferredResponse { DeferredResponse(ticket: ticket, host: host) }
}
