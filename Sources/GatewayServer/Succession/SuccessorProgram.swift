import GatewayIO
import Glibc
import HandlerModules

/// The file that an upgrade starts, and what is started of it: the command line of this process.
struct SuccessorProgram: Sendable, Equatable {
    /// Why a file cannot be it: a sentence.
    struct Refusal: Error, Equatable, CustomStringConvertible {
        let description: String
    }

    let path: String
    /// What stood behind the name of this program when it was started.
    let arguments: [String]
    /// As it was when it was asked for.
    private let fingerprint: FileFingerprint

    /// - Parameters:
    ///   - path: from the root; nil is the file that lies where this program came from.
    ///   - own: where that is, as the kernel says it.
    init(
        _ path: String?, arguments: [String] = Array(CommandLine.arguments.dropFirst()), own: String = ownLink()
    ) throws(Refusal) {
        // proc(5): a file that was replaced or removed has this behind its name, which is what tells where the new one lies.
        let mark = " (deleted)"
        let path = path ?? (own.hasSuffix(mark) ? String(own.dropLast(mark.count)) : own)
        guard path.hasPrefix("/") else { throw Refusal(description: "\(path) is no path from the root") }
        if let objection = FileTrust.objection(toProgram: path) {
            throw Refusal(description: "\(path) \(objection)")
        }
        guard let fingerprint = FileFingerprint(path: path) else {
            throw Refusal(description: "\(path) has gone")
        }
        (self.path, self.arguments, self.fingerprint) = (path, arguments, fingerprint)
    }

    /// Whether another file lies there than the one that was asked for, and rehearsed.
    var hasChanged: Bool { FileFingerprint(path: path) != fingerprint }

    /// What is started to take over.
    ///
    /// - Parameter variables: what the service manager has said to this process, and it has taken out of its environment.
    func child(_ variables: [String: String]) -> ChildProgram {
        ChildProgram(path: path, arguments: arguments, variables: variables)
    }

    /// What is started to rehearse that.
    var rehearsal: ChildProgram { ChildProgram(path: path, arguments: [Rehearsal.option] + arguments) }

    private static func ownLink() -> String {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer in
            guard let start = buffer.baseAddress else { return "" }
            let count = unsafe readlink("/proc/self/exe", start, buffer.count)
            let name = unsafe UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<max(0, count)])
            return unsafe String(decoding: name, as: UTF8.self)
        }
    }
}
