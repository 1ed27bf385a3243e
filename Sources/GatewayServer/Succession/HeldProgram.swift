import CLinux
import GatewayIO
import Glibc
import HandlerModules

/// The file of a program that has run in this line, kept open so that it can be started again: also when its name is
/// another file's by now, or nobody's.
///
/// The program before hands it on while it still runs (`SuccessionMessage.programFile`), so nobody can have written into it
/// until then; the one that has it keeps it for life.
final class HeldProgram: Sendable {
    /// Where it lay when it was started, from the root.
    let path: String
    private let descriptor: FileDescriptor
    /// As it was while the program ran.
    let fingerprint: FileFingerprint

    /// - Parameter descriptors: the one that it is open by.
    /// - Returns: nil where that is no path from the root, or no regular file.
    init?(_ path: String, _ descriptors: PassedDescriptors) {
        guard path.hasPrefix("/"), let descriptor = descriptors.take(),
            let fingerprint = FileFingerprint(descriptor: descriptor.number)
        else { return nil }
        (self.path, self.fingerprint) = (path, fingerprint)
        self.descriptor = descriptor
    }

    /// For children to inherit.
    var number: Int32 { descriptor.number }

    /// For another process.
    func duplicate() throws(Errno) -> PassedDescriptors {
        let copy = fcntl(number, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { throw Errno.last }
        return PassedDescriptors(adopting: [copy])
    }

    /// Whether it is what lies at its path.
    var isInPlace: Bool { FileFingerprint(path: path).map { $0.isSameFile(as: fingerprint) } ?? false }

    /// Why it cannot be started, as the predicate of a sentence; nil where it can.
    var objection: String? {
        guard let now = FileFingerprint(descriptor: number), now.hasContent(of: fingerprint) else {
            return "has been written into since"
        }
        return FileTrust.objection(toOpenProgram: number)
    }

    /// What hands this program's file on, to the one that relieves it.
    static func own() throws(Errno) -> SuccessionMessage {
        let number = clinux_open_own_program()
        guard number >= 0 else { throw Errno.last }
        return .programFile(path: OwnProgram.path, PassedDescriptors(adopting: [number]))
    }
}
