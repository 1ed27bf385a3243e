import GatewayIO
import GatewayServer
import TestSupport

/// A layer between connection and socket that changes every byte, takes and gives as many as it likes, and keeps some of
/// both directions, as TLS would.
final class ScramblingLayer: TransportLayer {
    static let key: UInt8 = 0x5A
    static let options = ListenerOptions(isSecure: true) { ScramblingLayer() }

    private var random = SeededRandom(seed: 1)
    /// Scrambled, and not with the kernel.
    private var output: [UInt8] = []
    /// Unscrambled, and not read.
    private var input: [UInt8] = []

    override func read(_ socket: borrowing Socket, into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        if buffer.isEmpty { return .moved(0) }
        if input.isEmpty {
            var bytes = [UInt8](repeating: 0, count: 20_000)
            let result = bytes.withUnsafeMutableBytes { socket.read(into: $0) }
            guard case .moved(let count) = result else { return result }
            input = bytes[..<count].map { $0 ^ Self.key }
        }
        let count = min(buffer.count, input.count, Int.random(in: 1...5000, using: &random))
        buffer.copyBytes(from: input[..<count])
        input.removeFirst(count)
        return .moved(count)
    }

    override var hasInput: Bool { !input.isEmpty }

    override func write(_ socket: borrowing Socket, _ bytes: UnsafeRawBufferPointer) -> IOResult {
        guard output.count < 30_000 else {
            let result = flush(socket)
            return output.count < 30_000 ? write(socket, bytes) : result
        }
        let count = min(bytes.count, Int.random(in: 1...20_000, using: &random))
        output += bytes[..<count].map { $0 ^ Self.key }
        return .moved(count)
    }

    override var isDrained: Bool { output.isEmpty }

    override func flush(_ socket: borrowing Socket) -> IOResult {
        while !output.isEmpty {
            let result = output.withUnsafeBytes { socket.write($0) }
            guard case .moved(let count) = result else { return result }
            output.removeFirst(count)
        }
        return .moved(0)
    }
}
