package import CGatewayABI
import CLinux
import Synchronization

/// Brings a handler from its file into the process: locate, stage, examine, load, negotiate. Any thread: a slow disk or
/// a constructor that hangs takes its time on a thread of its own.
///
/// Nothing it does touches a generation that serves: whatever fails, the one before goes on.
@safe package final class ModuleLoader: Sendable {
    /// Makes the host table of a generation; it is never freed, and its `fail` records in the note.
    package typealias HostFactory =
        @Sendable (_ generation: UInt64, _ handler: String, _ note: FailureReason) -> UnsafePointer<gw_host>

    private let locator: ModuleLocator
    private let runDirectory: RunDirectory
    private let makeHost: HostFactory
    /// Which generation has its entry at an address; those that were unloaded are gone from it.
    private let entries = Mutex<[UInt: String]>([:])

    package init(locator: ModuleLocator, runDirectory: RunDirectory, makeHost: @escaping HostFactory) {
        self.locator = locator
        self.runDirectory = runDirectory
        unsafe self.makeHost = makeHost
    }

    /// One that only prepares: for a check, which loads nothing.
    package convenience init(locator: ModuleLocator, runDirectory: RunDirectory) {
        unsafe self.init(locator: locator, runDirectory: runDirectory) { _, _, _ in
            preconditionFailure("a check loads nothing")
        }
    }

    /// What is to be copied, and under which numbers.
    package struct Order: Sendable {
        package let handler: String
        /// A file of the caller's choice, as trustworthy as one that is located; nil for the handler's own.
        package let path: String?
        /// Where the handler's own file has been found before.
        package let home: String?
        package let number: UInt64
        package let attempt: UInt64

        /// Takes the numbers. Control thread.
        package init(_ module: Module, from path: String? = nil) {
            handler = module.handler
            self.path = path
            home = module.home
            number = module.nextNumber
            attempt = module.takeAttempt()
        }
    }

    /// What came of an order.
    package struct Copy: Sendable {
        /// What is in the file; nil when it could not be read to its end.
        package var digest: UInt64?
        /// The folder that the handler's own file was found in.
        package var home: String?
        package var result: Result<Candidate, ModuleError>
    }

    /// Locates, copies and examines a module, without running any of it.
    package func prepare(_ order: Order) -> Copy {
        var (digest, home) = (UInt64?.none, String?.none)
        do throws(ModuleError) {
            let candidate = try prepare(order, &digest, &home)
            return Copy(digest: digest, home: home, result: .success(candidate))
        } catch {
            return Copy(digest: digest, home: home, result: .failure(error))
        }
    }

    private func prepare(
        _ order: Order, _ digest: inout UInt64?, _ home: inout String?
    ) throws(ModuleError) -> Candidate {
        let file = try find(order)
        if order.path == nil { home = file.folder }
        let source = file.path
        let staged = try stage(file, order.handler, order.attempt)
        digest = staged.digest
        let image = try examine(staged, source, order.handler)
        return Candidate(handler: order.handler, number: order.number, source: source, image: image, staged: staged)
    }

    private func find(_ order: Order) throws(ModuleError) -> ModuleFile {
        if let path = order.path { return try open(path, order.handler) }
        return try locator.find(order.handler, home: order.home)
    }

    /// The same for the module of a handler, at once. Control thread.
    package func prepare(_ module: Module, from path: String? = nil) throws(ModuleError) -> Candidate {
        do throws(ModuleError) {
            let copy = prepare(Order(module, from: path))
            module.home = copy.home ?? module.home
            return try copy.result.get()
        } catch {
            throw error.serving(module.current?.number)
        }
    }

    private func open(_ path: String, _ handler: String) throws(ModuleError) -> ModuleFile {
        do throws(Objection) {
            return try ModuleFile(trusting: path)
        } catch {
            throw ModuleError(
                handler: handler, stage: .locating, reason: "its module \(error.text)", place: "File: \(path)",
                remedy: error.remedy)
        }
    }

    /// Loads what was prepared, at once; the new generation is not live yet, and has no instances. Control thread.
    package func activate(_ candidate: Candidate, of module: Module) throws(ModuleError) -> Generation {
        do throws(ModuleError) {
            let generation = try load(candidate)
            module.add(generation)
            return generation
        } catch {
            throw error.serving(module.current?.number)
        }
    }

    /// All in one, where no probe is asked for. Control thread.
    package func load(_ module: Module) throws(ModuleError) -> Generation {
        try activate(prepare(module), of: module)
    }

    /// Unloads a generation that has ended, if that can be; harmless when repeated.
    @discardableResult
    package func unload(_ generation: Generation) -> UnloadOutcome {
        if let outcome = generation.unloadOutcome { return outcome }
        // The next image may well be mapped to the same place, by another thread before the linker has returned here.
        let title = generation.isElsewhere ? nil : entries.withLock { $0.removeValue(forKey: generation.entryAddress) }
        let outcome = generation.unload()
        if outcome != .unloaded, let title { entries.withLock { $0[generation.entryAddress] = title } }
        return outcome
    }

    private func stage(_ file: borrowing ModuleFile, _ handler: String, _ attempt: UInt64) throws(ModuleError)
        -> StagedModule
    {
        do throws(StagingError) {
            return try StagedModule.copy(of: file, handler: handler, attempt: attempt, to: runDirectory)
        } catch {
            throw ModuleError(
                handler: handler, stage: .staging, reason: "its module was not taken: \(error)",
                place: "File: \(file.path). Copy in: \(runDirectory.path)",
                remedy: error == .changing
                    ? "wait until it is written, or put a finished file there with mv"
                    : "look at space and mode of the folder of copies")
        }
    }

    private func examine(
        _ staged: borrowing StagedModule, _ source: String, _ handler: String
    ) throws(ModuleError) -> ELFImage {
        do throws(ELFError) {
            return try ELFImage(reading: staged.file)
        } catch {
            throw ModuleError(
                handler: handler, stage: .probing, reason: "its module cannot be loaded: \(error)",
                place: "File: \(source)", remedy: error.remedy)
        }
    }

    /// What another process has loaded of what was prepared, as it has said.
    package func represent(_ candidate: Candidate, _ facts: ModuleFacts) -> Generation {
        candidate.staged.keep()
        let host = unsafe makeHost(candidate.number, candidate.handler, FailureReason())
        return unsafe Generation(elsewhere: candidate, facts: facts, host: host)
    }

    /// Loads what was prepared: its constructors and its entry run, and may hang.
    package func load(_ candidate: Candidate) throws(ModuleError) -> Generation {
        let handler = candidate.handler
        let place = "File: \(candidate.source)"
        let title = "generation \(candidate.number) of \(handler)"
        func refusal(_ reason: String, _ remedy: String) -> ModuleError {
            ModuleError(handler: handler, stage: .loading, reason: reason, place: place, remedy: remedy)
        }

        let site = CrashSite(
            handler: handler, generation: candidate.number, digest: candidate.digest, route: "")
        site.enter(CLINUX_LOADING)
        defer { CrashSite.leave() }
        let image: ModuleImage
        do throws(ModuleImageError) {
            image = try ModuleImage(path: candidate.path, stays: candidate.image.isSwift || candidate.image.isGo)
        } catch {
            throw refusal(error.reason, error.remedy)
        }
        // Two generations that share an image would share its variables, and with them the host table.
        let twin = entries.withLock { entries in
            defer { if entries[image.entryAddress] == nil { entries[image.entryAddress] = title } }
            return entries[image.entryAddress]
        }
        if let twin {
            throw refusal("its module is the same image as \(twin)", "report this: it is a fault of the gateway")
        }

        let note = FailureReason()
        let host = unsafe makeHost(candidate.number, handler, note)
        site.enter(CLINUX_ENTRY)
        do throws(NegotiationError) {
            let table = try unsafe image.negotiate(host, note)
            candidate.staged.keep()
            return unsafe Generation(
                candidate: candidate, loaded: image, table: table, host: host, failureNote: note)
        } catch {
            throw refusal(error.reason, error.remedy)
        }
    }
}
