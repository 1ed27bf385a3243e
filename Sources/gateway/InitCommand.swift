import GatewayIO
import GatewayServer
import Glibc

/// `gateway init`: a configuration to begin with.
enum InitCommand {
    static func run(_ arguments: Arguments) -> Int32 {
        let folder = arguments.operands.first ?? "."
        let front = folder == "." ? "" : folder.hasSuffix("/") ? folder : folder + "/"
        let file = WrittenFile(path: front + "gateway.conf")
        let text = Array(InitialConfiguration.text(hasEcho: hasEcho).utf8)
        do throws(DevCertFailure) {
            if folder != "." { try make(folder) }
            let isThere = try file.read() != nil
            if isThere, !arguments.flags.contains("--force") {
                Terminal.complain(
                    "error: \(file.path) is there already, and stays as it is\n"
                        + "   `gateway init --force` writes over it; `gateway init NAME` begins in another folder.")
                return ExitStatus.failure
            }
            try make(front + "Plugins")
            if isThere { try file.replace(text, mode: 0o644) } else { try file.create(text, mode: 0o644) }
        } catch {
            Terminal.complain("error: \(error.sentence)")
            return ExitStatus.failure
        }
        Terminal.show("\(file.path)\n\(front)Plugins/\n\n" + next(folder))
        return ExitStatus.ok
    }

    /// The three commands that come next.
    private static func next(_ folder: String) -> String {
        let change = folder == "." ? "" : "cd \(TrustCommands.quoted(folder)) && "
        return """
            next:
              \(change)gateway new hello --language c           a handler to begin with; also swift, cpp, rust
              make -C hello && cp hello/hello.so Plugins/     and the # away from `route /hello` in gateway.conf
              gateway                                         serves it: http://localhost:8080/ is a console

            """
    }

    /// The samples lie beside a gateway that was built here.
    private static var hasEcho: Bool {
        let folder = Server.ownProgram.split(separator: "/").dropLast().joined(separator: "/")
        return ["echo.so", "libecho.so"].contains { unsafe access("/\(folder)/\($0)", R_OK) == 0 }
    }

    private static func make(_ folder: String) throws(DevCertFailure) {
        if unsafe mkdir(folder, 0o755) == 0 { return }
        let reason = errno
        var status = stat()
        let isFolder = unsafe stat(folder, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
        if reason == EEXIST, isFolder { return }
        throw DevCertFailure("cannot make the folder \(folder): \(Errno(reason))")
    }
}
