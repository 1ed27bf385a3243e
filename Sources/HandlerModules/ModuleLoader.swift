package import CGatewayABI
import CLinux

/// Brings a handler from its file into the process: locate, stage, examine, load, negotiate. Control thread.
///
/// Nothing it does touches a generation that serves: whatever fails, the one before goes on.
@safe package final class ModuleLoader {
    /// Makes the host table of a generation; it is never freed, and its `fail` records in the note.
    package typealias HostFactory =
        (_ generation: UInt64, _ handler: String, _ note: FailureNote) -> UnsafePointer<gw_host>

    private let locator: ModuleLocator
    private let runDirectory: RunDirectory
    private let makeHost: HostFactory
    /// Which generation has its entry at an address; those that were unloaded are gone from it.
    private var entries: [UInt: String] = [:]

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

    /// Locates, copies and examines the module of a handler, without running any of it.
    package func prepare(_ module: Module) throws(ModuleError) -> Candidate {
        do throws(ModuleError) {
            let file = try locator.find(module.handler, home: module.home)
            module.home = file.folder
            return try prepare(module, file)
        } catch {
            throw error.serving(module.current?.number)
        }
    }

    /// The same with a file of the caller's choice: what was good last time, or an older generation. The file has to
    /// be as trustworthy as one that is located.
    package func prepare(_ module: Module, from path: String) throws(ModuleError) -> Candidate {
        do throws(ModuleError) {
            return try prepare(module, open(path, module.handler))
        } catch {
            throw error.serving(module.current?.number)
        }
    }

    private func prepare(_ module: Module, _ file: consuming ModuleFile) throws(ModuleError) -> Candidate {
        let number = module.takeNumber()
        let staged = try stage(file, module.handler, number)
        let image = try examine(staged, file.path, module.handler)
        return Candidate(handler: module.handler, number: number, source: file.path, image: image, staged: staged)
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

    /// Loads what was prepared; the new generation is not live yet, and has no instances.
    package func activate(_ candidate: consuming Candidate, of module: Module) throws(ModuleError) -> Generation {
        do throws(ModuleError) {
            let generation = try load(candidate)
            module.add(generation)
            return generation
        } catch {
            throw error.serving(module.current?.number)
        }
    }

    /// All in one: for the first load, and where nobody asks for a probe.
    package func load(_ module: Module) throws(ModuleError) -> Generation {
        try activate(prepare(module), of: module)
    }

    /// Unloads a generation that has ended, if that can be; harmless when repeated.
    @discardableResult
    package func unload(_ generation: Generation) -> UnloadOutcome {
        let isFirst = generation.unloadOutcome == nil
        let outcome = generation.unload()
        // The next image may well be mapped to the same place.
        if isFirst, outcome == .unloaded { entries[generation.entryAddress] = nil }
        return outcome
    }

    private func stage(_ file: borrowing ModuleFile, _ handler: String, _ number: UInt64) throws(ModuleError)
        -> StagedModule
    {
        do throws(StagingError) {
            return try StagedModule.copy(of: file, handler: handler, generation: number, to: runDirectory)
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

    private func load(_ candidate: consuming Candidate) throws(ModuleError) -> Generation {
        let handler = candidate.handler
        let place = "File: \(candidate.source)"
        let title = "generation \(candidate.number) of \(handler)"
        func refusal(_ reason: String, _ remedy: String) -> ModuleError {
            ModuleError(handler: handler, stage: .loading, reason: reason, place: place, remedy: remedy)
        }

        let site = CrashSite(handler: handler, generation: candidate.number, route: "")
        site.enter(CLINUX_LOADING)
        defer { CrashSite.leave() }
        let image: ModuleImage
        do throws(ModuleImageError) {
            image = try ModuleImage(path: candidate.path, stays: candidate.image.isSwift || candidate.image.isGo)
        } catch {
            throw refusal(error.reason, error.remedy)
        }
        // Two generations that share an image would share its variables, and with them the host table.
        if let twin = entries[image.entryAddress] {
            throw refusal("its module is the same image as \(twin)", "report this: it is a fault of the gateway")
        }
        entries[image.entryAddress] = title

        let note = FailureNote()
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
