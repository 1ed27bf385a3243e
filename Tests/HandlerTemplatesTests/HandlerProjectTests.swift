import HandlerTemplates
import Testing

@Suite("A new handler is complete")
struct HandlerProjectTests {
    static func project(
        _ language: Language, _ flavour: Flavour = .reactive, name: String = "my-hello"
    ) -> HandlerProject {
        HandlerProject(name: name, language: language, flavour: flavour, gateway: "/opt/gateway", version: "9.8")
    }

    @Test(arguments: Language.allCases)
    func `every file has a text, with nothing left to fill in`(_ language: Language) {
        for flavour in Flavour.allCases {
            for file in Self.project(language, flavour).files {
                #expect(!file.text.isEmpty, "\(file.path)")
                #expect(file.text.firstMatch(of: /@[A-Z]+@/) == nil, "\(file.path)")
            }
        }
    }

    @Test(arguments: Language.allCases)
    func `the README names files that are there`(_ language: Language) throws {
        let files = Self.project(language).files
        let paths = files.map(\.path)
        let readme = try #require(files.first { $0.path == "README.md" }?.text)
        for row in readme.split(separator: "\n") where row.hasPrefix("| `") {
            let name = String(row.dropFirst(3).prefix { $0 != "`" })
            #expect(paths.contains { $0 == name || $0.hasPrefix(name + "/") }, "\(name)")
        }
        #expect(readme.contains(/version 1\.[0-9]+[ ;,|]/), "the version of the contract")
        #expect(paths.contains(language.source) && readme.contains(language.source))
        #expect(Set(paths).count == paths.count)
    }

    @Test
    func `a dash becomes an underscore where compilers want one`() throws {
        let files = Self.project(.rust).files
        let crate = try #require(files.first { $0.path == "Cargo.toml" }?.text)
        #expect(crate.contains("name = \"my-hello\"") && crate.contains("name = \"my_hello\""))
    }

    @Test
    func `only builds of one handler hand over to each other`() throws {
        func format(_ name: String) throws -> Substring {
            let text = try #require(Self.project(.c, name: name).files.first { $0.path == "handler.c" }?.text)
            return try #require(text.firstMatch(of: /state_format = (0x[0-9a-f]+)u/)).1
        }
        #expect(try format("one") == format("one"))
        #expect(try format("one") != format("two"))
    }

    @Test(arguments: ["a", "hello", "my-hello_2", String(repeating: "x", count: 48)])
    func `names that can be a handler's`(_ name: String) { #expect(HandlerProject.objection(toName: name) == nil) }

    @Test(arguments: [
        "", "Hello", "2x", "-x", "a.b", "a b", "a/b", "..", "ü", "a\n", "test", "core",
        String(repeating: "x", count: 49),
    ])
    func `names that cannot`(_ name: String) { #expect(HandlerProject.objection(toName: name) != nil) }
}
