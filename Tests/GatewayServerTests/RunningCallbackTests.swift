import CGatewayABI
import Testing

@testable import GatewayServer

@Suite("A running callback")
struct RunningCallbackTests {
    /// What is answered about a part of these bytes while [1, 8) of them are lent.
    private func isText(_ part: Range<Int>, kind: Int = GW_TEXT) -> Bool {
        let running = RunningCallback()
        return Self.bytes.withUnsafeBytes { bytes in
            running.message.pointee.kind = UInt32(kind)
            running.borrowedBuffer.pointee.borrow(UnsafeRawBufferPointer(rebasing: bytes[1..<bytes.count - 1]))
            return running.isBorrowedText(UnsafeRawBufferPointer(rebasing: bytes[part]))
        }
    }

    /// What stands around a message need not be text.
    private static let bytes = [0x80] + Array("aé€z".utf8) + [0x80]

    @Test(arguments: [1..<8, 1..<2, 1..<4, 2..<4, 4..<7, 4..<8, 7..<8])
    func `a part that begins and ends between characters is known to be text`(part: Range<Int>) {
        #expect(isText(part))
    }

    @Test(arguments: [1..<3, 3..<8, 3..<4, 4..<5, 4..<6, 5..<8, 6..<7, 2..<5])
    func `one that cuts a character is not`(part: Range<Int>) {
        #expect(!isText(part))
    }

    @Test(arguments: [0..<8, 1..<9, 0..<1, 8..<9, 0..<9, 1..<1, 8..<8])
    func `nor is one that lies outside, or none`(part: Range<Int>) {
        #expect(!isText(part))
    }

    @Test func `nor a part of a message that is no text`() {
        #expect(!isText(1..<8, kind: GW_BINARY))
        #expect(!isText(1..<8, kind: 0))
    }

    @Test func `nor other bytes, nor anything when nothing is lent`() {
        let running = RunningCallback()
        running.message.pointee.kind = UInt32(GW_TEXT)
        let bytes = Array("text".utf8)
        #expect(!bytes.withUnsafeBytes { running.isBorrowedText($0) })
        Array("lent".utf8).withUnsafeBytes { lent in
            running.borrowedBuffer.pointee.borrow(lent)
            #expect(!bytes.withUnsafeBytes { running.isBorrowedText($0) })
        }
        let isEmptyText = running.isBorrowedText(UnsafeRawBufferPointer(start: nil, count: 0))
        #expect(!isEmptyText)
    }

    @Test func `names a connection from its begin to its end, but for a request`() throws {
        let steps = try StepWorker()
        let peer = steps.open()
        let place = try #require(peer.place)
        var running = RunningCallback()
        #expect(running.connection == 0)
        running.begin(place)
        #expect(running.connection == peer.id?.number)
        running.forgetConnection()
        let isKnown = running.peer != nil
        #expect(running.connection == 0 && isKnown)
        running.end()
        let isOver = running.peer == nil
        #expect(isOver)
    }
}
