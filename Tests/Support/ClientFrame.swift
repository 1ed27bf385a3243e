/// A frame as a client sends it (RFC 6455 5.2), written byte by byte and able to break every rule.
package struct ClientFrame: Sendable {
    /// How the payload length is written.
    package enum LengthForm: Sendable {
        case minimal
        case two
        case eight
    }

    package var opcode: UInt8
    package var isFinal = true
    package var reserved: UInt8 = 0
    package var isMasked = true
    package var key: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
    package var lengthForm = LengthForm.minimal
    /// The length that is announced instead of the payload's own.
    package var claimedLength: UInt64?
    package var payload: [UInt8] = []

    package init(_ opcode: UInt8, _ payload: [UInt8] = [], isFinal: Bool = true) {
        self.opcode = opcode
        self.payload = payload
        self.isFinal = isFinal
    }

    /// The same frame with changes.
    package func with(_ change: (inout ClientFrame) -> Void) -> ClientFrame {
        var frame = self
        change(&frame)
        return frame
    }

    /// The bytes up to the payload.
    package var header: [UInt8] {
        let length = claimedLength ?? UInt64(payload.count)
        let mask: UInt8 = isMasked ? 0x80 : 0
        var bytes = [(isFinal ? 0x80 : 0) | reserved << 4 | opcode]
        switch lengthForm {
        case .minimal where length < 126: bytes.append(mask | UInt8(length))
        case .minimal where length <= 0xFFFF, .two: bytes += [mask | 126] + Self.bigEndian(length, 2)
        case .minimal, .eight: bytes += [mask | 127] + Self.bigEndian(length, 8)
        }
        return isMasked ? bytes + key : bytes
    }

    package var bytes: [UInt8] {
        header + payload.enumerated().map { isMasked ? $1 ^ key[$0 % 4] : $1 }
    }

    private static func bigEndian(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - $0))) }
    }
}
