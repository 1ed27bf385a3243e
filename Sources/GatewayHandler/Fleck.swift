/// The Fleck-style flavour: one closure configures each connection.
///
///     @c @implementation
///     public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
///         Module.export(
///             fleck(Manifest(name: "echo")) { _ in
///                 { socket in
///                     socket.onOpen = { socket.send("hello, \(socket.info.path)") }
///                     socket.onMessage = { text in socket.send("Echo: \(text)") }
///                 }
///             },
///             to: host)
///     }
///
/// `start` runs once per route and makes the closure that configures; what it captures is what all connections of the
/// route share. Closures cannot be handed over, so on a reload connections end on the generation they began with.
public func fleck(
    _ manifest: Manifest,
    start: @escaping @Sendable (borrowing StartContext) throws -> @Sendable (Socket) throws -> Void
) -> Functional<@Sendable (Socket) throws -> Void, Socket?> {
    // A connection has no number before it is open, so the socket is made then.
    Functional(manifest, start: start) { _, _ in .accept(nil) }
        .onOpened { configure, connection, request, state in
            let socket = Socket(connection, ConnectionInfo(request))
            state = socket
            try configure(socket)
            try socket.onOpen?()
        }
        .onMessage { _, _, message, socket in
            switch message.kind {
            case .text: try socket?.onMessage?(message.text ?? "")
            case .binary: try socket?.onBinary?(message.copyBytes())
            }
        }
        .onPing { _, _, payload, socket in try socket?.onPing?(payload.copied) }
        .onPong { _, _, payload, socket in try socket?.onPong?(payload.copied) }
        .onFailed { _, _, failure, socket in socket?.onError?(failure) }
        .onClosed { _, _, event, socket in
            socket?.onClose?(event)
            socket?.forget()
            socket = nil
        }
}

extension RawSpan {
    fileprivate var copied: [UInt8] { unsafe withUnsafeBytes { unsafe [UInt8]($0) } }
}

extension Socket {
    /// The closures of a socket name the socket itself, as a rule: without this it would keep itself alive for ever.
    fileprivate func forget() {
        (onOpen, onMessage, onBinary, onPing, onPong, onError, onClose) = (nil, nil, nil, nil, nil, nil, nil)
    }
}
