package import GatewayIO
import Glibc

/// What a new program does before it is let near a connection: it reads what the program that serves would hand over, a copy
/// without descriptors, and says whether it understands all of it. (Its command has looked at the configuration and at the
/// handlers before, as `gateway check` does.)
package enum Rehearsal {
    /// The word on the command line that has a program do this; the command line of the program that serves follows.
    /// Nobody types it.
    package static let option = "--rehearse"

    /// The last line of standard output, which says that a gateway has rehearsed, and all is fine.
    package static let answer = "rehearsed by gateway \(GatewayVersion.text)"
    static let answerStart = "rehearsed by gateway "

    /// At most so many things that are wrong are named.
    private static let mostTroubles = 10

    /// What is wrong with the messages in a file.
    package static func troubles(in descriptor: borrowing FileDescriptor) -> [String] {
        var look = Look()
        var part = [UInt8](repeating: 0, count: 1 << 18)
        while look.goesOn {
            let count = unsafe read(descriptor.number, &part, part.count)
            if count > 0 {
                look.take(part[..<count])
            } else if count == 0 {
                look.end()
            } else if Errno.last.code != EINTR {
                return ["what the program that serves hands over cannot be read: \(Errno.last)"]
            }
        }
        return look.troubles
    }

    /// What has been found so far. Records are let go once they were looked at: there may be a hundred thousand.
    private struct Look {
        private var reader = SuccessionReader()
        private(set) var troubles: [String] = []
        private(set) var goesOn = true
        private var count = 0

        mutating func take(_ bytes: ArraySlice<UInt8>) {
            reader.append(bytes)
            do throws(SuccessionFailure) {
                while troubles.count < mostTroubles, let message = try reader.next(withDescriptors: false) {
                    count += 1
                    if let trouble = trouble(message) { troubles.append(trouble) }
                }
            } catch {
                fail(error)
            }
            if troubles.count >= mostTroubles { goesOn = false }
        }

        mutating func end() {
            goesOn = false
            if !reader.isBetweenMessages { return fail(.cutShort) }
            if count == 0 { troubles.append("there is no greeting among what the program that serves hands over") }
        }

        private mutating func fail(_ failure: SuccessionFailure) {
            goesOn = false
            troubles.append(
                "what the program that serves hands over cannot be read (after \(count) messages): \(failure)")
        }

        private func trouble(_ message: SuccessionMessage) -> String? {
            switch message {
            case .welcome(let greeting):
                return SuccessionMessage.Greeting().objection(greeting).map {
                    "the program that serves (\(greeting.program)) is not understood: \($0)"
                }
            case _ where count == 1: return "what the program that serves hands over does not begin with a greeting"
            case .connection(let share, _):
                do throws(RecordError) {
                    _ = try ConnectionRecord(share.record)
                    return nil
                } catch {
                    return "what is known of a connection is not understood (message \(count)): \(error)"
                }
            default: return nil
            }
        }
    }
}
