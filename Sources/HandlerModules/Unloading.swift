import CGatewayABI
import Glibc

/// What became of the image of a generation that has ended.
package enum UnloadOutcome: Equatable, Sendable, CustomStringConvertible {
    /// The image is not in memory any more, and its copy is removed.
    case unloaded
    /// The image stays mapped, for this reason, and so does its copy, for debuggers.
    case pinned(String)

    package var description: String {
        switch self {
        case .unloaded: "unloaded"
        case .pinned(let why): "pinned: \(why)"
        }
    }
}

extension Generation {
    /// Removes the image from memory where its author vouches for that and it is possible; the first answer stands.
    ///
    /// After `end()`, and after `stop` of its instances has returned. Nothing may call into it any more, nor be about
    /// to release a buffer of its. Control thread.
    func unload() -> UnloadOutcome {
        if let outcome = unloadOutcome { return outcome }
        // These two pass: the next call may find it otherwise.
        guard phase == .ended else { return .pinned("it is still in use") }
        guard callsRunning == 0 else { return .pinned("a call into it has not returned yet") }
        let outcome = tryToUnload()
        record(outcome)
        if outcome == .unloaded {
            // A file that is gone already is as good as one that we remove.
            _ = unsafe unlink(path)
        }
        return outcome
    }

    private func tryToUnload() -> UnloadOutcome {
        // It went with its process.
        guard let handle else { return .unloaded }
        if image.isSwift { return .pinned("contains Swift") }
        if image.isGo { return .pinned("contains the Go runtime") }
        // The library would go with the module, and what is in it is not known.
        if let library = image.privateLibraries.first { return .pinned("needs \(library), which may not be unloaded") }
        guard has(GW_HF_UNLOAD) else { return .pinned("its author does not vouch for it (GW_HF_UNLOAD)") }
        guard handle.close() else { return .pinned("dlclose refused it") }
        // The linker answers success also when it keeps the image. The path still names the file, so this finds it.
        guard let resident = unsafe dlopen(path, RTLD_LAZY | RTLD_NOLOAD) else { return .unloaded }
        _ = unsafe dlclose(resident)
        return .pinned(
            image.uniqueSymbols > 0
                ? "pinned by \(image.uniqueSymbols) process-wide symbols (build with -fno-gnu-unique)"
                : "pinned by a TLS destructor of a thread that lives")
    }
}

/// Says that a call into a generation runs, for as long as it exists.
final class RunningCall: Sendable {
    private let generation: Generation

    init(_ generation: Generation) {
        self.generation = generation
        generation.callBegan()
    }

    deinit {
        generation.callEnded()
    }
}
