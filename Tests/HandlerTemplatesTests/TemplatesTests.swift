import Foundation
import HandlerTemplates
import Testing

@Suite("Every template is in the executable, as it lies in the repository")
struct TemplatesTests {
    static let sources = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Sources")

    /// The files under a folder of Sources, by the names they have as templates.
    static func files(_ folder: String, prefix: String, _ isWanted: (String) -> Bool = { _ in true }) -> [String: URL] {
        let root = sources.appending(path: folder)
        let found = (FileManager.default.enumerator(atPath: root.path)?.allObjects as? [String]) ?? []
        let kept = found.filter { name in
            var isFolder: ObjCBool = false
            let path = root.appending(path: name).path
            let isThere = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
            return isThere && !isFolder.boolValue && isWanted(name)
        }
        return Dictionary(uniqueKeysWithValues: kept.map { (prefix + $0, root.appending(path: $0)) })
    }

    @Test
    func `as it lies in the repository`() throws {
        let expected = Self.files("CTemplates/files", prefix: "")
            .merging(Self.files("GatewayHandler", prefix: "kit/GatewayHandler/") { $0.hasSuffix(".swift") }) { $1 }
            .merging(Self.files("CGatewayABI", prefix: "kit/CGatewayABI/")) { $1 }
        let missing = Set(expected.keys).subtracting(Templates.names).sorted()
        #expect(missing.isEmpty, "Sources/CTemplates/templates.c lacks these: add a row for each")
        #expect(Set(Templates.names).subtracting(expected.keys).isEmpty)
        for (name, file) in expected where Templates.text(name) != nil {
            #expect(Templates.text(name) == (try String(contentsOf: file, encoding: .utf8)), "\(name)")
        }
    }
}
