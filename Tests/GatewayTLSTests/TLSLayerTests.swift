import COpenSSL
import GatewayIO
import GatewayTLS
import Glibc
import TestSupport
import Testing

@Suite("TLS between connection and socket, against OpenSSL's own client")
struct TLSLayerTests {
    private static let versions = [TLS1_2_VERSION, TLS1_3_VERSION]

    private struct Broken: Error {
        let what: String
    }

    private func context() throws -> TLSContext {
        let identity = try TestIdentity()
        return try TLSContext([TLSCertificate(identity.certificate, key: identity.key)])
    }

    private func open(
        _ version: Int32 = TLS1_3_VERSION, _ context: TLSContext? = nil, buffer: Int32? = nil
    ) throws -> TLSPair {
        let pair = TLSPair(try context ?? self.context(), versions: (version, version), buffer: buffer)
        pair.shake()
        try #require(pair.isOpen)
        return pair
    }

    @Test("what a client sends in any cuts is read in any room", arguments: versions, [1, 100, 16_384, 70_000])
    func input(_ version: Int32, _ room: Int) throws {
        let pair = try open(version)
        var random = SeededRandom(seed: 3)
        for size in [1, 20, 500, 16_384, 16_385, 60_000] {
            let bytes = random.bytes(size)
            var (sent, heard): (Int, [UInt8]) = (0, [])
            while heard.count < size {
                if sent < size {
                    let cut = min(size - sent, Int.random(in: 1...20_000, using: &random))
                    try #require(pair.clientWrites(Array(bytes[sent..<sent + cut])))
                    sent += cut
                }
                var result = pair.read(room, into: &heard)
                while pair.layer.hasInput { result = pair.read(room, into: &heard) }
                if case .failed = result { throw Broken(what: "\(result) after \(heard.count) of \(size)") }
            }
            #expect(heard == bytes)
            #expect(pair.read() == .wouldBlock)
        }
    }

    @Test("a record that comes byte by byte is read when it is whole")
    func bytewise() throws {
        let pair = try open()
        // What the client writes goes to memory first, and from there to the socket.
        let memory = BIO_new(BIO_s_mem())
        SSL_set0_wbio(pair.client, memory)
        #expect(pair.clientWrites(Array("hello".utf8)))
        var record = [UInt8](repeating: 0, count: 100)
        let count = BIO_read(memory, &record, 100)
        var heard: [UInt8] = []
        for index in 0..<Int(count) {
            #expect(heard.isEmpty)
            #expect(Glibc.send(pair.clientNumber, [record[index]], 1, 0) == 1)
            _ = pair.read(100, into: &heard)
        }
        #expect(heard == Array("hello".utf8))
    }

    @Test("what we send in runs of any sizes is heard", arguments: versions)
    func output(_ version: Int32) throws {
        let pair = try open(version)
        var random = SeededRandom(seed: 4)
        for sizes in [[1], [2, 5], [0, 3, 0], [16_384], [16_383, 2], [100, 40_000, 7], [20, 16_384, 16_384]] {
            let runs = sizes.map { random.bytes($0) }
            let whole = runs.flatMap { $0 }
            #expect(pair.write(runs: runs) == .moved(whole.count))
            var heard: [UInt8] = []
            while heard.count < whole.count, case .bytes(let part) = pair.clientReads() {
                heard += part
                _ = pair.flush()
            }
            #expect(heard == whole)
        }
    }

    @Test("many small runs are one record")
    func gathering() throws {
        let pair = try open()
        #expect(pair.write(runs: (0..<50).map { [UInt8($0)] }) == .moved(50))
        #expect(pair.clientReads() == .bytes(Array(0..<50)))
    }

    @Test("a kernel that is full takes the rest later, and nothing is lost or doubled")
    func blocked() throws {
        let pair = try open(buffer: 4096)
        var random = SeededRandom(seed: 5)
        let whole = random.bytes(600_000)
        var (taken, heard): (Int, [UInt8]) = (0, [])
        var wasBlocked = false
        while heard.count < whole.count {
            switch pair.write(Array(whole[taken...])) {
            case .moved(let count): taken += count
            case .wouldBlock: wasBlocked = true
            case let other: throw Broken(what: "\(other)")
            }
            // What a layer keeps is bounded, however little is read.
            #expect(taken - heard.count < 400_000)
            if !pair.layer.isDrained { wasBlocked = true }
            _ = pair.flush()
            if case .bytes(let part) = pair.clientReads(10_000) { heard += part }
        }
        #expect(wasBlocked)
        #expect(heard == whole)
        #expect(pair.flush() == .moved(0))
        #expect(pair.layer.isDrained)
    }

    @Test("close_notify, theirs and ours, is a clean end; reading goes on behind ours", arguments: versions)
    func cleanEnd(_ version: Int32) throws {
        let pair = try open(version)
        pair.finishSending()
        #expect(pair.clientReads() == .end)
        #expect(pair.write([1]) == .failed(Errno(EPIPE)))
        #expect(pair.clientWrites([1, 2]))
        SSL_shutdown(pair.client)
        var heard: [UInt8] = []
        #expect(pair.read(100, into: &heard) == .moved(2))
        // Nothing else makes a poller tell of it.
        #expect(pair.layer.hasInput)
        #expect(pair.read() == .endOfStream)
        #expect(!pair.layer.hasInput)
        #expect(heard == [1, 2])
        #expect(pair.layer.failure == nil)
    }

    @Test("close_notify waits for room, and the end of the stream for close_notify", arguments: versions)
    func lateEnd(_ version: Int32) throws {
        let pair = try open(version, buffer: 4096)
        var random = SeededRandom(seed: 7)
        let whole = random.bytes(50_000)
        try #require(pair.write(whole) == .moved(whole.count))
        try #require(!pair.layer.isDrained)
        pair.finishSending()
        #expect(!pair.layer.isDrained)
        var heard: [UInt8] = []
        var last = TLSPair.Heard.nothing
        for _ in 0..<1000 {
            last = pair.clientReads(10_000)
            if case .bytes(let part) = last { heard += part }
            if last == .end || last == .failure { break }
            // As often as there is room, or rather more often.
            _ = pair.flush()
            pair.finishSending()
        }
        #expect(last == .end)
        #expect(heard.elementsEqual(whole))
        #expect(pair.layer.isDrained)
    }

    @Test("a stream that is cut off is not one that has ended", arguments: versions)
    func truncation(_ version: Int32) throws {
        let pair = try open(version)
        #expect(pair.clientWrites([1, 2, 3]))
        shutdown(pair.clientNumber, Int32(SHUT_WR))
        #expect(pair.read() == .moved(3))
        #expect(pair.read() == .failed(Errno(ECONNRESET)))
        #expect(pair.layer.failure == "TLS: the stream was cut off, without close_notify")
    }

    @Test("a peer that leaves, or says nothing more, in the handshake")
    func halfHandshake() throws {
        let pair = TLSPair(try context(), name: "a.example")
        #expect(pair.read() == .wouldBlock)
        #expect(pair.layer.failure == "TLS: the handshake was not finished")
        _ = pair.clientReads()
        #expect(pair.read() == .wouldBlock)
        #expect(pair.layer.failure == "TLS for a.example: the handshake was not finished")
        #expect(pair.write([1]) == .failed(Errno(ENOTCONN)))
        pair.closeClient()
        #expect(pair.read() == .failed(Errno(ECONNRESET)))
        #expect(pair.layer.failure == "TLS for a.example: the peer left in the handshake")
    }

    @Test("forged records break the session, and the peer is told")
    func garbage() throws {
        let pair = try open()
        // An application record (RFC 8446 5.2) that nobody has encrypted.
        let record: [UInt8] = [23, 3, 3, 0, 32] + [UInt8](repeating: 7, count: 32)
        #expect(Glibc.send(pair.clientNumber, record, record.count, 0) == record.count)
        #expect(pair.read() == .failed(Errno(EPROTO)))
        #expect(pair.layer.failure == "TLS: decryption failed or bad record mac")
        #expect(pair.clientReads() == .failure)
        #expect(pair.read() == .failed(Errno(EPROTO)))
        #expect(pair.write([1]) == .failed(Errno(EPIPE)))
    }

    @Test("what is no TLS at all", arguments: ["\u{16}\u{3}\u{1}\u{0}\u{4}abcd", "SSH-2.0-OpenSSH_9\r\n"])
    func noTLS(_ text: String) throws {
        let pair = TLSPair(try context())
        let bytes = Array(text.utf8)
        #expect(Glibc.send(pair.clientNumber, bytes, bytes.count, 0) == bytes.count)
        #expect(pair.read() == .failed(Errno(EPROTO)))
        #expect(pair.layer.failure?.hasPrefix("TLS: ") == true)
        #expect(!pair.layer.isBypassed)
    }

    @Test("HTTP without TLS is told apart, and answered without it", arguments: ["GET", "POST", "HEAD"])
    func plainHTTP(_ method: String) throws {
        let pair = TLSPair(try context())
        let request = Array("\(method) / HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        #expect(Glibc.send(pair.clientNumber, request, request.count, 0) == request.count)
        #expect(pair.read() == .failed(Errno(EPROTO)))
        #expect(pair.layer.isBypassed)
        #expect(pair.write(Array("HTTP".utf8)) == .moved(4))
        pair.finishSending()
        var answer = [UInt8](repeating: 0, count: 10)
        #expect(recv(pair.clientNumber, &answer, 10, 0) == 4)
        #expect(recv(pair.clientNumber, &answer, 10, 0) == 0)
    }

    @Test("layers of a thread share its buffers and nothing else")
    func interleaved() throws {
        let context = try context()
        let pairs = try (0..<5).map { _ in try open(TLS1_3_VERSION, context, buffer: 4096) }
        var random = SeededRandom(seed: 6)
        let sent = pairs.map { _ in random.bytes(50_000) }
        var (taken, heard) = ([Int](repeating: 0, count: 5), [[UInt8]](repeating: [], count: 5))
        for pair in pairs { #expect(pair.clientWrites([9])) }
        while (0..<5).contains(where: { heard[$0].count < sent[$0].count }) {
            for (index, pair) in pairs.enumerated() {
                if case .moved(let count) = pair.write(Array(sent[index][taken[index]...].prefix(9000))) {
                    taken[index] += count
                }
                _ = pair.flush()
                if case .bytes(let part) = pair.clientReads(7000) { heard[index] += part }
            }
        }
        #expect(heard == sent)
        for pair in pairs { #expect(pair.read() == .moved(1)) }
    }
}
