import CGatewayABI
import HandlerModules
import Synchronization

/// The generation that a `gw_host` was given to: found behind the table by every host function.
@safe final class HostContext: Sendable {
    let server: ServerContext
    /// The number of the handler file; all its generations share it.
    let module: UInt32
    let handler: String
    let generation: UInt64
    let note: FailureReason
    /// Set when the generation has been stopped: from then on it may only release and log.
    let isRetired = Atomic<Bool>(false)
    /// The address of `wrapped`.
    private let wrappedAddress: UInt

    init(server: ServerContext, module: UInt32, handler: String, generation: UInt64, note: FailureReason) {
        self.server = server
        self.module = module
        self.handler = handler
        self.generation = generation
        self.note = note
        let wrapped = UnsafeMutablePointer<Atomic<Int>>.allocate(capacity: 1)
        unsafe wrapped.initialize(to: Atomic(0))
        wrappedAddress = UInt(bitPattern: wrapped)
    }

    /// Counts buffers of its (`buf_wrap`) whose release function has not run yet; never freed, like the context itself.
    var wrapped: UnsafeMutablePointer<Atomic<Int>>? { unsafe UnsafeMutablePointer(bitPattern: wrappedAddress) }

    /// How many buffers of its are still somewhere: until their release the generation cannot end.
    var borrowedBuffers: Int { unsafe wrapped?.pointee.load(ordering: .acquiring) ?? 0 }

    /// The table in the memory that handlers get a pointer to, and what is ours behind it.
    @unsafe private struct Block {
        var table: gw_host
        var context: Unmanaged<HostContext>
    }

    /// Makes the host table of a generation. It is never freed: handlers may hold on to it for ever.
    static func makeHost(_ context: HostContext) -> UnsafePointer<gw_host> {
        let block = UnsafeMutablePointer<Block>.allocate(capacity: 1)
        var table = unsafe HostFunctions.table(generation: context.generation)
        if context.server.contractChecker != nil { unsafe WatchedFunctions.watch(&table) }
        unsafe block.initialize(to: Block(table: table, context: Unmanaged.passRetained(context)))
        return unsafe UnsafeRawPointer(block).assumingMemoryBound(to: gw_host.self)
    }

    /// The context of a generation, whose table `makeHost` made.
    static func of(_ generation: Generation) -> HostContext {
        let context: HostContext? = unsafe with(generation.host, else: nil) { $0 }
        guard let context else { preconditionFailure("a generation without a host") }
        return context
    }

    /// The context behind a table; nil for NULL.
    @inline(__always)
    static func with<Result>(
        _ host: UnsafePointer<gw_host>?, else missing: Result, _ body: (HostContext) -> Result
    ) -> Result {
        guard let host = unsafe host else { return missing }
        let block = unsafe UnsafeRawPointer(host).assumingMemoryBound(to: Block.self)
        return unsafe block.pointee.context._withUnsafeGuaranteedRef(body)
    }
}
