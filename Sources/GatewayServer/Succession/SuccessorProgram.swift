import GatewayControl
import GatewayIO
import Glibc
import HandlerModules

/// The file that an upgrade starts, and what is started of it: the command line of this process.
struct SuccessorProgram: Sendable {
    /// Why a file cannot be it: a sentence.
    struct Refusal: Error, Equatable, CustomStringConvertible {
        let description: String
    }

    let path: String
    /// What stood behind the name of this program when it was started.
    let arguments: [String]
    /// The program before, where another file lies at its path by now.
    let held: HeldProgram?
    /// As it was when it was asked for.
    private let fingerprint: FileFingerprint

    /// - Parameters:
    ///   - path: from the root; nil is the file that lies where this program came from.
    ///   - own: where that is.
    init(
        _ path: String?, arguments: [String] = Array(CommandLine.arguments.dropFirst()),
        own: String = OwnProgram.path
    ) throws(Refusal) {
        let path = path ?? own
        guard path.hasPrefix("/") else { throw Refusal(description: "\(path) is no path from the root") }
        if let objection = FileTrust.objection(toProgram: path) {
            throw Refusal(description: "\(path) \(objection)")
        }
        guard let fingerprint = FileFingerprint(path: path) else {
            throw Refusal(description: "\(path) has gone")
        }
        (self.path, self.arguments, self.fingerprint, held) = (path, arguments, fingerprint, nil)
    }

    /// The very file of a program that ran before. Where it still lies at its path it is started by that name, as any other.
    init(
        goingBackTo program: HeldProgram, arguments: [String] = Array(CommandLine.arguments.dropFirst())
    ) throws(Refusal) {
        if let objection = program.objection {
            throw Refusal(
                description:
                    "the program before, \(program.path), \(objection); `gateway upgrade FILE` takes another one"
            )
        }
        if program.isInPlace {
            try self.init(program.path, arguments: arguments)
            return
        }
        self.init(held: program, arguments: arguments)
    }

    private init(held program: HeldProgram, arguments: [String]) {
        (path, self.arguments, fingerprint, held) = (program.path, arguments, program.fingerprint, program)
    }

    /// What it is called in logs and answers.
    var title: String { held == nil ? path : "\(path), as it was before," }

    /// Whether another file lies there than the one that was asked for, and rehearsed; or what it is now may not be started.
    var hasChanged: Bool {
        if let held { return held.objection != nil }
        return FileFingerprint(path: path) != fingerprint
    }

    /// What is started to take over.
    ///
    /// - Parameter variables: what the service manager has said to this process, and it has taken out of its environment.
    func child(_ variables: [String: String]) -> ChildProgram {
        ChildProgram(path: path, arguments: arguments, variables: variables)
    }

    /// What is started to rehearse that.
    var rehearsal: ChildProgram { ChildProgram(path: path, arguments: [Rehearsal.option] + arguments) }
}
