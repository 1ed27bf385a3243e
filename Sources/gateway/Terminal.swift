import GatewayServer
import Glibc

/// Where words go: data to standard output, everything else to standard error.
enum Terminal {
    /// Data, as it is.
    static func show(_ text: String) { print(text, terminator: "") }

    /// Data that is looked at while it comes.
    ///
    /// - Returns: false when nobody looks any more.
    static func showAtOnce(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            var written = 0
            while written < bytes.count {
                let rest = unsafe UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[written...])
                let count = unsafe write(STDOUT_FILENO, rest.baseAddress, rest.count)
                if count > 0 { written += count } else if count == 0 || errno != EINTR { return false }
            }
            return true
        }
    }

    /// Data at once, past every buffer, so that it keeps its place among what is typed.
    static func draw(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            // Nobody reads it any more, and the next look at the terminal will say so.
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    static func draw(_ text: String) { draw(Array(text.utf8)) }

    /// A diagnostic.
    static func complain(_ text: String) {
        Log.line(text.utf8.last == UInt8(ascii: "\n") ? String(text.dropLast()) : text)
    }

    /// Whether a descriptor is a terminal that shall have colours; see no-color.org.
    static func hasColour(_ descriptor: Int32) -> Bool {
        guard isatty(descriptor) == 1 else { return false }
        let isRefused = unsafe getenv("NO_COLOR").map { unsafe $0.pointee != 0 } ?? false
        let isDumb = unsafe getenv("TERM").map { unsafe String(cString: $0) == "dumb" } ?? true
        return !isRefused && !isDumb
    }
}
