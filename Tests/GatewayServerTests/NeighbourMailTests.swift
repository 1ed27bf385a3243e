import GatewayIO
import Testing

@testable import GatewayServer

@Suite("NeighbourMail: publications for other processes wait in their order, and not without bound")
struct NeighbourMailTests {
    private static func give(_ mail: NeighbourMail, _ payload: [UInt8]) -> Bool {
        unsafe payload.withUnsafeBytes { bytes in
            unsafe mail.give(
                TopicKey(scope: "", name: Array("all".utf8)), isText: false, isPlain: true, except: 7, bytes)
        }
    }

    @Test("they come out as they went in, once")
    func order() throws {
        let mail = NeighbourMail()
        mail.begin(try ControlWaker())
        for index in 0..<100 { #expect(Self.give(mail, [UInt8(index)])) }
        let taken = mail.take()
        #expect(taken.map(\.payload) == (0..<100).map { [UInt8($0)] })
        #expect(taken.allSatisfy { $0.except == 7 && $0.isPlain && !$0.isText })
        #expect(mail.take().isEmpty)
    }

    @Test("beyond 64 MiB nothing is taken until something has left")
    func bound() throws {
        let mail = NeighbourMail()
        mail.begin(try ControlWaker())
        let large = [UInt8](repeating: 1, count: 8 << 20)
        var count = 0
        while count < 20, Self.give(mail, large) { count += 1 }
        #expect(count == 8)
        _ = mail.take()
        #expect(Self.give(mail, large))
    }
}
