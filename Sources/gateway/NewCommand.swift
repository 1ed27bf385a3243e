import GatewayConfiguration
import GatewayServer
import Glibc
import HandlerTemplates

/// `gateway new`: writes a handler to begin with.
enum NewCommand {
    static func run(_ arguments: Arguments) -> Int32 {
        guard let name = arguments.operands.first else { return ExitStatus.usage }
        do throws(Refusal) {
            let language = try choice("--language", Language.swift, arguments)
            if language != .swift, arguments.values["--flavour"] != nil {
                throw Refusal("flavours are for Swift: a handler in \(language.title) has none", ExitStatus.usage)
            }
            let flavour = try choice("--flavour", Flavour.reactive, arguments)
            if let objection = HandlerProject.objection(toName: name) {
                throw Refusal("the name of a handler \(objection)", ExitStatus.usage)
            }
            let project = HandlerProject(
                name: name, language: language, flavour: flavour, gateway: Server.ownProgram,
                version: GatewayVersion.text)
            let folder = try folder(arguments, name)
            try write(project, to: folder)
            report(project, folder)
            return ExitStatus.ok
        } catch {
            Terminal.complain("error: \(error.sentence)")
            return error.status
        }
    }

    private struct Refusal: Error {
        let sentence: String
        let status: Int32

        init(_ sentence: String, _ status: Int32 = ExitStatus.failure) {
            self.sentence = sentence
            self.status = status
        }
    }

    /// The last value of an option as one of those there are.
    private static func choice<Choice: RawRepresentable & CaseIterable>(
        _ option: String, _ standard: Choice, _ arguments: Arguments
    ) throws(Refusal) -> Choice where Choice.RawValue == String {
        guard let word = arguments.values[option]?.last else { return standard }
        if let choice = Choice(rawValue: word) { return choice }
        let all = Choice.allCases.map(\.rawValue)
        let hint = Suggestion.nearest(to: word, among: all).map { " (did you mean \"\($0)\"?)" } ?? ""
        throw Refusal(
            "no such \(option.dropFirst(2)): there are \(all.joined(separator: ", "))\(hint)", ExitStatus.usage)
    }

    private static func folder(_ arguments: Arguments, _ name: String) throws(Refusal) -> String {
        guard let parent = arguments.values["--into"]?.last else { return name }
        var status = stat()
        guard unsafe stat(parent, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw Refusal("there is no folder \(parent)")
        }
        return parent.last == "/" ? parent + name : "\(parent)/\(name)"
    }

    /// Writes into a folder that this makes, so nothing that was there before can be overwritten.
    private static func write(_ project: HandlerProject, to folder: String) throws(Refusal) {
        guard unsafe mkdir(folder, 0o755) == 0 else {
            let isThere = errno == EEXIST
            throw Refusal(isThere ? "\(folder) is there already" : "cannot make the folder \(folder): \(reason())")
        }
        var made: Set<String> = []
        for file in project.files {
            let parts = file.path.split(separator: "/").dropLast()
            for depth in parts.indices {
                let inner = "\(folder)/\(parts[...depth].joined(separator: "/"))"
                if made.insert(inner).inserted, unsafe mkdir(inner, 0o755) != 0 {
                    throw Refusal("cannot make the folder \(inner): \(reason())")
                }
            }
            try write(file.text, to: "\(folder)/\(file.path)")
        }
    }

    private static func write(_ text: String, to path: String) throws(Refusal) {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Refusal("cannot write \(path): \(reason())") }
        defer { close(descriptor) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw Refusal("cannot write \(path): \(reason())") }
            rest = rest.dropFirst(count)
        }
    }

    private static func reason() -> String { unsafe String(cString: strerror(errno)) }

    private static func report(_ project: HandlerProject, _ folder: String) {
        var text = "\(folder)/\n"
        for file in project.files where !file.path.hasPrefix("Kit/") { text += "  \(file.path)\n" }
        let kit = project.files.count { $0.path.hasPrefix("Kit/") }
        if kit > 0 { text += "  Kit/  the kit for handlers in Swift, \(kit) files\n" }
        Terminal.show(text + "\nnext: make -C \(folder) test\n")
    }
}
