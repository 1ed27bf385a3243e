import GatewayConfiguration
import Glibc
import Testing

/// A folder with files, gone when the test is.
final class Folder {
    private let root: String
    private var made: [String] = []

    init(_ files: [String: String]) throws {
        var template = Array("/tmp/gatewayXXXXXX\0".utf8CString)
        let path = try #require(mkdtemp(&template))
        // realpath, since the temporary folder may be reached through a link.
        let real = try #require(realpath(path, nil))
        root = String(cString: real)
        free(real)
        for (name, text) in files {
            if let slash = name.lastIndex(of: "/") {
                let folder = self.path(String(name[..<slash]))
                if mkdir(folder, 0o700) == 0 { made.append(folder) }
            }
            let file = try #require(fopen(self.path(name), "w"))
            let bytes = Array(text.utf8)
            #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
            fclose(file)
            made.append(self.path(name))
        }
    }

    deinit {
        for path in made { unlink(path) }
        for path in made { rmdir(path) }
        rmdir(root)
    }

    func path(_ name: String) -> String { root + "/" + name }

    /// What is wrong, with the names of files without the folder.
    func findings(_ name: String) -> [String] {
        do throws(ConfigurationError) {
            return try Configuration.load(file: path(name)).warnings.map(\.summary)
        } catch {
            return error.diagnostics.map { diagnostic in
                var diagnostic = diagnostic
                let prefix = root + "/"
                if diagnostic.file.hasPrefix(prefix) { diagnostic.file.removeFirst(prefix.count) }
                let isMain = diagnostic.file == "gateway.conf"
                return (isMain ? "gateway.conf:" : "") + diagnostic.summary
            }
        }
    }
}
