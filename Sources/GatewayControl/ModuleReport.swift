import HandlerModules

/// What `gateway inspect` shows of a file: all that can be known without running any of it.
package struct ModuleReport: Sendable {
    /// The facts, lines with an end.
    package let text: String
    /// Why the gateway would not load it, and what to do, lines with an end; nil when nothing is known against it.
    package let refusal: String?

    /// Why a file could not be looked at.
    package struct Failure: Error, Sendable {
        /// The sentence of the system.
        package let reason: String
    }

    /// Describes a file.
    package init(ofFile path: String) throws(Failure) {
        do throws(SystemError) {
            self.init(try ModuleInfo(path: path))
        } catch {
            throw Failure(reason: SystemError.text(error.code))
        }
    }

    private init(_ facts: ModuleInfo) {
        var rows = [
            ("file", [facts.path]),
            ("size", ["\(facts.size) bytes, written \(Timestamp.text(facts.modifiedAt))"]),
            ("digest", [StatusReport.Generation.digestText(facts.digest) + " (xxh64)"]),
        ]
        var complaints: [String] = []
        switch facts.image {
        case .success(let image): rows += Self.rows(of: image)
        case .failure(let error):
            complaints.append(Self.complaint(facts.path, "\(error)", error.remedy))
        }
        if let objection = facts.objection {
            let remedy = "give file and folders to root or to the user of the gateway, writable by the owner alone"
            complaints.append(Self.complaint(facts.path, "it \(objection)", remedy))
        }
        text = Self.lines(rows)
        refusal = complaints.isEmpty ? nil : complaints.joined()
    }

    private static func complaint(_ path: String, _ what: String, _ remedy: String) -> String {
        "error: \(StyledText(path).text): \(StyledText(what).text)\n   To do: \(remedy)\n"
    }

    private static func rows(of image: ELFImage) -> [(String, [String])] {
        let offered = "this gateway speaks \(ABIVersion.current)"
        return [
            ("interface", ["gw_handler_entry_v1: ABI major \(ABIVersion.current.major), \(offered)"]),
            ("language", [StatusReport.Generation.language(image)]),
            ("build id", [image.buildID.isEmpty ? "none" : image.buildID]),
            ("soname", [image.soname ?? "none"]),
            ("needs", image.needed.isEmpty ? ["nothing"] : image.needed),
            ("looks in", image.searchPaths.isEmpty ? ["the system's folders"] : image.searchPaths),
            ("unloading", [unloading(image)]),
            ("hazards", image.hazards.isEmpty ? ["none"] : image.hazards),
        ]
    }

    private static func unloading(_ image: ELFImage) -> String {
        if image.isSwift { return "never: an image with Swift in it stays in memory, with each generation" }
        if image.isGo { return "never: an image with Go in it stays in memory, with each generation" }
        return "when its table says GW_HF_UNLOAD"
    }

    private static func lines(_ rows: [(String, [String])]) -> String {
        var text = ""
        for (title, values) in rows {
            for (index, value) in values.enumerated() {
                let name = index == 0 ? title : ""
                text += name + String(repeating: " ", count: 11 - name.utf8.count) + StyledText(value).text + "\n"
            }
        }
        return text
    }
}
