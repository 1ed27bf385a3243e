// Re-exported, so that the one entry function of a module is checked against the C prototype with a single import.
@_exported public import CGatewayABI

/// What every flavour of handler has: a beginning, an end and a manifest. One instance serves one route.
///
/// `Sendable`, because callbacks of different connections run at once: what they share is immutable or in a `Mutex`.
/// Write a handler on a flavour, `ReactiveHandler` or `StatefulHandler`, not on this.
public protocol Handler: HandlerCallbacks {
    /// Name, version and options; by default the name of the type and 1.0.0.
    static var manifest: Manifest { get }

    /// Starts serving a route; what is thrown is shown to the operator, and the generation before goes on serving.
    init(_ context: borrowing StartContext) throws

    /// The last call: every connection has been closed. Join what was started.
    func stop()
}

extension Handler {
    public static var manifest: Manifest { Manifest(name: "\(Self.self)".lowercased()) }

    public func stop() {}
}

/// The callbacks of gw_handler.h with Swift's types: what a flavour of the kit implements, and an author never does.
///
/// One requirement per C callback, so a call costs one look-up in the witness table of the author's type, where the
/// optimiser has put the author's code. The `_takes` questions are answered by type: a callback whose absence means
/// something in C (NULL) is offered only by a type that conforms to its protocol.
public protocol HandlerCallbacks: AnyObject, Sendable {
    static var _takesRequests: Bool { get }
    static var _takesFragments: Bool { get }
    static var _takesPings: Bool { get }
    static var _takesPongs: Bool { get }
    static var _takesDrained: Bool { get }
    static var _handover: Handover? { get }
    static var _hasState: Bool { get }
    static var _keepsNothing: Bool { get }
    static var _types: [Any.Type] { get }

    func _onUpgrade(_ request: borrowing Request) -> gw_status
    func _onOpen(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ request: borrowing Request)
    func _onMessage(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ message: borrowing Message)
    func _onFragment(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ fragment: borrowing Message)
    func _onPing(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ payload: RawSpan)
    func _onPong(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ payload: RawSpan)
    func _onDrained(_ connection: Connection, _ state: UnsafeMutableRawPointer?)
    func _onError(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ failure: Failure)
    func _onClose(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ event: CloseEvent)
    func _onDrop(_ state: UnsafeMutableRawPointer?)
    func _onRequest(_ request: borrowing Request) -> gw_status

    func _onPendingClosure(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ closure: _PendingClosure)
    func _onWake(_ state: UnsafeMutableRawPointer?)
    func _onReloadPending()
    func _onDraining()
    func _onGap(_ topic: String?)
    func _onSave(_ writer: inout StateWriter)
    func _onRestore(_ reader: inout StateReader) throws
    func _onSave(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ writer: inout StateWriter) throws
    func _onRestore(_ connection: Connection, _ reader: inout StateReader) throws -> UnsafeMutableRawPointer?
}

extension HandlerCallbacks {
    public static var _takesRequests: Bool { false }
    public static var _takesFragments: Bool { false }
    public static var _takesPings: Bool { false }
    public static var _takesPongs: Bool { false }
    public static var _takesDrained: Bool { false }
    public static var _handover: Handover? { nil }

    // Never called: the table has NULL where these stand.
    public func _onFragment(
        _ connection: Connection, _ state: UnsafeMutableRawPointer?, _ fragment: borrowing Message
    ) {}
    public func _onPing(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ payload: RawSpan) {}
    public func _onPong(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ payload: RawSpan) {}
    public func _onDrained(_ connection: Connection, _ state: UnsafeMutableRawPointer?) {}
    public func _onRequest(_ request: borrowing Request) -> gw_status { gw_status(GW_REJECT) }
    public func _onWake(_ state: UnsafeMutableRawPointer?) {}
    public func _onReloadPending() {}
    public func _onDraining() {}
    public func _onGap(_ topic: String?) {}
    public func _onSave(_ writer: inout StateWriter) {}
    public func _onRestore(_ reader: inout StateReader) throws {}
    public func _onSave(
        _ connection: Connection, _ state: UnsafeMutableRawPointer?, _ writer: inout StateWriter
    ) throws {}
    public func _onRestore(
        _ connection: Connection, _ reader: inout StateReader
    ) throws -> UnsafeMutableRawPointer? { throw StateError.otherFormat }
}
