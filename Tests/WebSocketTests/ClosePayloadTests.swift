import Testing
import WebSocket

@Suite("RFC 6455 5.5.1: the body of a Close frame")
struct ClosePayloadTests {
    /// What a body came to.
    private enum Parsed: Equatable {
        case close(UInt16, reasonCount: Int)
        case violation(ProtocolViolation)

        init(_ result: Result<ClosePayload, ProtocolViolation>) {
            switch result {
            case .success(let payload): self = .close(payload.code, reasonCount: payload.reasonCount)
            case .failure(let violation): self = .violation(violation)
            }
        }
    }

    private func parse(_ body: [UInt8]) -> Parsed {
        // Off by one, as it stands in a buffer.
        let shifted = [0xFF] + body
        return Parsed(shifted.withUnsafeBytes { ClosePayload.parse(UnsafeRawBufferPointer(rebasing: $0[1...])) })
    }

    private func body(_ code: UInt16, _ reason: [UInt8] = []) -> [UInt8] {
        [UInt8(code >> 8), UInt8(code & 0xFF)] + reason
    }

    @Test("no body means 1005; one byte is malformed")
    func short() {
        #expect(parse([]) == .close(1005, reasonCount: 0))
        let nothing = Parsed(ClosePayload.parse(UnsafeRawBufferPointer(start: nil, count: 0)))
        #expect(nothing == .close(1005, reasonCount: 0))
        for byte in UInt8.min...UInt8.max { #expect(parse([byte]) == .violation(.badClosePayload)) }
    }

    @Test("every code, with and without a reason")
    func codes() {
        for reason in ["", "so"] {
            let wrong = (UInt16.min...UInt16.max).filter { code in
                let isAllowed = CloseCodeTests.allowed.contains(code)
                return parse(body(code, Array(reason.utf8)))
                    != (isAllowed ? .close(code, reasonCount: reason.utf8.count) : .violation(.badCloseCode))
            }
            #expect(wrong == [])
        }
    }

    @Test(
        "a reason is UTF-8, to its last byte",
        arguments: [
            ([], true), (Array("größer".utf8), true), (Array(repeating: 0x61, count: 123), true), ([0x00], true),
            ([0xC3], false), ([0xFF], false), ([0x61, 0xED, 0xA0, 0x80], false), ([0xF0, 0x9F, 0x98], false),
            (Array(repeating: 0x61, count: 122) + [0xC3], false),
        ] as [([UInt8], Bool)])
    func reason(_ bytes: [UInt8], isValid: Bool) {
        let expected: Parsed =
            isValid ? .close(1000, reasonCount: bytes.count) : .violation(.invalidReason)
        #expect(parse(body(1000, bytes)) == expected)
    }

    @Test("a code and the longest reason fill a control frame")
    func longest() { #expect(2 + ClosePayload.maximumReason == 125) }
}
