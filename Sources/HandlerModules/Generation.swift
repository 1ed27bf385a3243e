import Bytes
package import CGatewayABI
import Synchronization

/// One loaded copy of a module, and what may still call into it.
///
/// Everything but the phase is fixed when it is loaded, so every thread may read it. It is unmapped after
/// its end, if ever, and its host table is never freed.
@safe package final class Generation: Sendable {
    /// Where it stands; the control thread alone changes it.
    package enum Phase: UInt8, AtomicRepresentable, Sendable {
        case loading
        /// Gets the new connections.
        case live
        /// Keeps the connections it has.
        case retiring
        /// Has none left and gets none; its instances can be stopped.
        case ended
    }

    /// 1, 2, 3 ... per handler file.
    package let number: UInt64
    /// The name in gateway.conf.
    package let handler: String
    /// The file it was copied from.
    package let source: String
    /// The copy in the run directory, which stays there for debuggers as long as the image is mapped.
    package let path: String
    package let digest: UInt64
    package let image: ELFImage

    /// What the handler calls itself.
    package let name: String
    package let version: String
    package let sdk: String
    package let abiVersion: ABIVersion
    /// GW_HF_*.
    package let flags: UInt32
    package let stateFormat: UInt64
    package let stateVersion: UInt32
    package let callbacks: HandlerCallbacks

    /// What the handler last said through `fail`.
    package let failureNote: FailureReason
    /// Host tables are never freed, and never change.
    private let hostTable: SendablePointer<UnsafePointer<gw_host>>

    /// Where the entry lies.
    let entryAddress: UInt
    /// Nil where another process has loaded it, and nothing here calls into it.
    let handle: ImageHandle?
    /// Calls on the control thread's behalf that have not returned, perhaps never will.
    private let calls = Atomic<Int>(0)
    private let outcome = Mutex<UnloadOutcome?>(nil)

    private let currentPhase = Atomic(Phase.loading)

    init(
        candidate: borrowing Candidate, loaded: ModuleImage, table: HandlerTable, host: UnsafePointer<gw_host>,
        failureNote: FailureReason
    ) {
        number = candidate.number
        handler = candidate.handler
        source = candidate.source
        path = candidate.staged.path
        digest = candidate.staged.digest
        image = candidate.image
        name = table.name
        version = table.version
        sdk = table.sdk
        abiVersion = table.abiVersion
        flags = table.flags
        stateFormat = table.stateFormat
        stateVersion = table.stateVersion
        callbacks = table.callbacks
        self.failureNote = failureNote
        unsafe hostTable = SendablePointer(host)
        entryAddress = loaded.entryAddress
        handle = loaded.handle
    }

    /// One that a process of its own has loaded, and said this of.
    init(elsewhere candidate: Candidate, facts: ModuleFacts, host: UnsafePointer<gw_host>) {
        number = candidate.number
        handler = candidate.handler
        source = candidate.source
        path = candidate.staged.path
        digest = candidate.staged.digest
        image = candidate.image
        name = facts.name
        version = facts.version
        sdk = facts.sdk
        abiVersion = ABIVersion(number: facts.abiVersion)
        flags = facts.flags
        stateFormat = facts.stateFormat
        stateVersion = facts.stateVersion
        callbacks = HandlerCallbacks(elsewhere: facts)
        failureNote = FailureReason()
        unsafe hostTable = SendablePointer(host)
        entryAddress = 0
        handle = nil
    }

    /// It is in another process.
    package var isElsewhere: Bool { handle == nil }

    /// The table that this generation, and no other, passes back to us.
    package var host: UnsafePointer<gw_host> { unsafe hostTable.pointer }

    /// Whether a GW_HF_* flag is set.
    package func has(_ flag: Int) -> Bool {
        flags & UInt32(truncatingIfNeeded: flag) != 0
    }

    package var phase: Phase { currentPhase.load(ordering: .acquiring) }

    /// Loading or retiring to live: it gets the new connections. Retiring to live is a rollback. Control thread.
    func makeLive() {
        currentPhase.store(.live, ordering: .releasing)
    }

    /// The generation gets no new connections. Control thread.
    package func retire() {
        currentPhase.store(.retiring, ordering: .releasing)
    }

    /// The instances have been stopped, and nothing calls into the module any more. Control thread.
    package func end() {
        currentPhase.store(.ended, ordering: .releasing)
    }

    /// Whether its image left memory, and why not; nil as long as it was not asked to. Any thread.
    package var unloadOutcome: UnloadOutcome? { outcome.withLock { $0 } }

    func record(_ unloading: UnloadOutcome) {
        outcome.withLock { $0 = unloading }
    }

    var callsRunning: Int { calls.load(ordering: .acquiring) }

    func callBegan() {
        calls.wrappingAdd(1, ordering: .relaxed)
    }

    func callEnded() {
        calls.wrappingSubtract(1, ordering: .releasing)
    }
}
