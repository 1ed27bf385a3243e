import Synchronization

/// What a handler said through `host->fail` about a call that is about to fail.
///
/// One per generation. The host function `fail` records, from the thread of the call; the control thread takes.
package final class FailureReason: Sendable {
    /// Bytes that are kept; what is beyond them is cut off.
    package static let longest = 1024

    private let text = Mutex<String?>(nil)

    package init() {}

    /// Keeps what the handler gave, made harmless for a terminal and a log; a later one replaces it.
    package func record(_ why: UnsafePointer<CChar>?, length: Int) {
        guard let why = unsafe why, length > 0 else { return }
        let bytes = unsafe UnsafeRawBufferPointer(start: why, count: min(length, Self.longest))
        let said = unsafe String(decoding: bytes, as: UTF8.self)
        text.withLock { $0 = said.printable }
    }

    /// Answers what was recorded since the last call.
    package func take() -> String? {
        text.withLock { text in
            defer { text = nil }
            return text
        }
    }
}

extension String {
    /// Harmless for a terminal and a log: control characters are spaces.
    var printable: String {
        unicodeScalars.map { $0.properties.generalCategory == .control ? " " : String($0) }.joined()
    }
}
