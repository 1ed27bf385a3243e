import GatewayIO
import Glibc

/// A server for one connection that echoes, with one fault or none.
final class ScriptedServer: Sendable {
    enum Manner: String, CaseIterable, Sendable {
        case honest
        case fragments
        case pings
        case refuses
        case falseAccept
        case masks
        case reservedBit
        case anotherType
        case changesByte
        case cutsShort
        case swapsOrder
        case repeats
        case endsAtOnce
        case closes
    }

    let port: UInt16
    private let listener: Int32

    init(_ manner: Manner) throws {
        let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
                bind(number, name, length) == 0 && listen(number, 8) == 0 && getsockname(number, name, &length) == 0
            }
        }
        precondition(bound, "no port for the scripted server")
        listener = number
        port = UInt16(bigEndian: address.sin_port)
        try SystemThread(name: "scripted") { Self.serve(number, manner) }.detach()
    }

    deinit { shutdown(listener, Int32(SHUT_RDWR)) }

    private static func serve(_ listener: Int32, _ manner: Manner) {
        defer { close(listener) }
        while true {
            let peer = accept(listener, nil, nil)
            guard peer >= 0 else { return }
            converse(peer, manner)
            close(peer)
        }
    }

    private static func converse(_ peer: Int32, _ manner: Manner) {
        var input: [UInt8] = []
        while !String(decoding: input, as: UTF8.self).contains("\r\n\r\n") {
            guard let more = receive(peer) else { return }
            input += more
        }
        if manner == .refuses { return transmit(peer, Array("HTTP/1.1 403 Forbidden\r\n\r\n".utf8)) }
        let accept = manner == .falseAccept ? "AAAALMBiTxaQ9kYGzzhZRbK+xOo=" : "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        let reply = "HTTP/1.1 101 Hi\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: \(accept)\r\n\r\n"
        transmit(peer, Array(reply.utf8))
        input = []
        var held: [UInt8] = []
        while let more = receive(peer) {
            input += more
            while let (opcode, payload) = takeFrame(&input) {
                guard opcode < 8 else { continue }
                if manner == .swapsOrder, held.isEmpty {
                    held = payload
                    continue
                }
                if manner == .endsAtOnce { return }
                transmit(peer, answer(opcode, payload, manner))
                if !held.isEmpty { transmit(peer, answer(opcode, held, manner)) }
                held = []
            }
        }
    }

    private static func answer(_ opcode: UInt8, _ payload: [UInt8], _ manner: Manner) -> [UInt8] {
        let length = UInt8(payload.count)
        let honest = [0x80 | opcode, length] + payload
        var changed = payload
        changed[changed.count - 1] ^= 1
        return switch manner {
        case .fragments: [opcode, 1, payload[0], 0x89, 0, 0x80, length - 1] + payload.dropFirst()
        case .pings: [0x89, 2, 1, 2] + honest
        case .masks: [0x80 | opcode, 0x80 | length, 0, 0, 0, 0] + payload
        case .reservedBit: [0xC0 | opcode, length] + payload
        case .anotherType: [0x80 | (3 - opcode), length] + payload
        case .changesByte: [0x80 | opcode, length] + changed
        case .cutsShort: [0x80 | opcode, length - 1] + payload.dropLast()
        case .repeats: honest + honest
        case .closes: [0x88, 2, 0x03, 0xF3]
        case .honest, .refuses, .falseAccept, .swapsOrder, .endsAtOnce: honest
        }
    }

    /// The first frame of a client with at most 125 bytes, if it is whole.
    private static func takeFrame(_ input: inout [UInt8]) -> (UInt8, [UInt8])? {
        guard input.count >= 6, input.count >= 6 + Int(input[1] & 0x7F) else { return nil }
        let end = 6 + Int(input[1] & 0x7F)
        let payload = (6..<end).map { input[$0] ^ input[2 + ($0 - 6) % 4] }
        let opcode = input[0] & 0x0F
        input.removeFirst(end)
        return (opcode, payload)
    }

    private static func receive(_ peer: Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = recv(peer, &bytes, bytes.count, 0)
        return count > 0 ? Array(bytes[..<count]) : nil
    }

    private static func transmit(_ peer: Int32, _ bytes: [UInt8]) {
        _ = send(peer, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }
}
