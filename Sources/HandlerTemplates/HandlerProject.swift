/// A new handler as files: everything it needs to be built, tested and served without this repository.
package struct HandlerProject: Sendable {
    /// A file of the project.
    package struct File: Sendable, Equatable {
        /// Where it goes, seen from the project's folder.
        package let path: String
        /// What is in it.
        package let text: String
    }

    /// Why a name cannot be a handler's, as the predicate of a sentence; nil when it can.
    ///
    /// It becomes the name of a file, a package, a crate and a route.
    package static func objection(toName name: String) -> String? {
        guard let first = name.utf8.first, (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(first) else {
            return "must begin with a lower-case letter"
        }
        let isClean = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
                UInt8(ascii: "_"):
                true
            default: false
            }
        }
        if !isClean { return "may have lower-case letters, digits, - and _ in it, and nothing else" }
        if name.utf8.count > 48 { return "is longer than 48 letters" }
        return reserved.contains(name) ? "means something else to a compiler" : nil
    }

    /// Crates and modules of these names exist wherever there is a compiler, or cannot.
    private static let reserved: Set<String> = [
        "alloc", "build", "core", "deps", "examples", "incremental", "main", "proc_macro", "std", "swift", "test",
    ]

    /// The files, in the order a reader would look at them.
    package let files: [File]

    /// Makes the project; the flavour is for Swift alone.
    ///
    /// - Parameters:
    ///   - gateway: where the gateway is that makes it, for when none is in `PATH`.
    ///   - version: of the gateway, and so of the kit.
    package init(name: String, language: Language, flavour: Flavour, gateway: String, version: String) {
        let folder = language.rawValue
        let abi = "\(Self.constant("GW_ABI_MAJOR")).\(Self.constant("GW_ABI_MINOR"))"
        let substitutes = [
            ("@FILES@\n", Templates.text("\(folder)/files.md") ?? ""),
            ("@NOTES@\n", Templates.text("\(folder)/notes.md") ?? ""),
            ("@NAME@", name),
            // What Swift and Rust call it.
            ("@IDENTIFIER@", String(name.map { $0 == "-" ? "_" : $0 })),
            ("@FORMAT@", String(Self.digest(name), radix: 16)),
            ("@LANGUAGE@", language.title), ("@SOURCE@", "`\(language.source)`"), ("@GATEWAY@", gateway),
            ("@ABI@", abi), ("@KIT@", version),
        ]
        files = Self.plan(language, flavour).map { path, template in
            var text = Templates.text(template) ?? ""
            // What is copied stays as it is.
            if !template.hasPrefix("kit/") {
                for (word, value) in substitutes { text = text.replacing(word, with: value) }
            }
            return File(path: path, text: text)
        }
    }

    /// Which file is made of which template.
    static func plan(_ language: Language, _ flavour: Flavour) -> [(path: String, template: String)] {
        let common = [
            ("README.md", "common/README.md"), ("Makefile", "\(language.rawValue)/Makefile"),
            ("test_client.py", "common/test_client.py"), ("gateway.conf", "common/gateway.conf"),
            (".gitignore", "common/gitignore"),
        ]
        let headers = ["gw_handler.h", "gw_extensions.h"].map { ($0, "kit/CGatewayABI/include/\($0)") }
        switch language {
        case .c: return [("handler.c", "c/handler.c")] + headers + common
        case .cpp: return [("handler.cpp", "cpp/handler.cpp")] + headers + common
        case .rust:
            return [
                ("src/lib.rs", "rust/lib.rs"), ("src/gw.rs", "rust/gw.rs"), ("Cargo.toml", "rust/Cargo.toml"),
            ] + headers + common
        case .swift:
            let kit = Templates.names.filter { $0.hasPrefix("kit/") }.map { ("Kit" + $0.dropFirst(3), $0) }
            return [("Sources/Handler.swift", flavour.template), ("Package.swift", "swift/Package.swift")] + common
                + [("exports.map", "swift/exports.map")] + kit
        }
    }

    /// A number that the header defines, as it is written there without its `u`.
    static func constant(_ name: String) -> Substring {
        let lines = (Templates.text("kit/CGatewayABI/include/gw_handler.h") ?? "").split(separator: "\n")
        let words = lines.lazy.map { $0.split(separator: " ") }.first { $0.count == 3 && $0[1] == name }
        return words?[2].prefix { $0.isNumber } ?? ""
    }

    /// FNV-1a, as the kit does it: any constant would do, it only has to be the same in every build. Never 0.
    static func digest(_ name: String) -> UInt64 {
        let digest = name.utf8.reduce(14_695_981_039_346_656_037 as UInt64) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
        return max(digest, 1)
    }
}
