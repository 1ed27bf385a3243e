/// The answer to an opening handshake.
///
///     .accept(Member(name: name))
///     .reject(.text("Who are you?\n", status: 401))
public struct Upgrade<State> {
    enum Answer {
        case accept(State, subprotocol: String?, headers: Headers)
        case reject(Response)
        case later
    }

    let answer: Answer

    /// Lets the client in; `state` stays with the connection until it is closed.
    ///
    /// A subprotocol must be one the client offered; without one it is the first offered that the route lists.
    public static func accept(_ state: State, subprotocol: String? = nil, headers: Headers = [:]) -> Upgrade {
        Upgrade(answer: .accept(state, subprotocol: subprotocol, headers: headers))
    }

    /// Refuses the client; 403 unless the response says something else.
    public static func reject(_ response: Response = .text("forbidden\n", status: 403)) -> Upgrade {
        Upgrade(answer: .reject(response))
    }
}

extension Upgrade {
    /// The answer comes later, through what `Request.answerLater` gave; without one the gateway answers 504 when the
    /// route's `reply_timeout` is over.
    public static var later: Upgrade { Upgrade(answer: .later) }
}

extension Upgrade where State == Void {
    /// Lets the client in.
    public static func accept(subprotocol: String? = nil, headers: Headers = [:]) -> Upgrade {
        accept((), subprotocol: subprotocol, headers: headers)
    }
}
