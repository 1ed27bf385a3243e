import GatewayIO
import Glibc
import Testing

@testable import GatewayServer

@Suite("The pair of sockets of a relayed connection")
struct RelayTests {
    private func write(_ relay: Relay, _ text: String) -> Int {
        Array(text.utf8).withUnsafeBytes { relay.write($0) }
    }

    private func read(_ relay: Relay) -> (IOResult, [UInt8]) {
        var bytes = [UInt8](repeating: 0, count: 1000)
        let result = bytes.withUnsafeMutableBytes { relay.read(into: $0) }
        guard case .moved(let count) = result else { return (result, []) }
        return (result, Array(bytes[..<count]))
    }

    @Test func `carries bytes both ways, and each end of them`() throws {
        let relay = try Relay()
        let process = Relayed.Process(copying: relay.descriptor)
        #expect(write(relay, "in") == 2 && process.heard() == Array("in".utf8))
        process.say("out".utf8)
        #expect(read(relay) == (.moved(3), Array("out".utf8)) && read(relay).0 == .wouldBlock)
        relay.finishInput()
        #expect(process.heard().isEmpty && process.hasEnded && relay.isInputOver && !relay.isOutputOver)
        // Nobody reads it any more.
        #expect(write(relay, "lost") == 4)
        process.finish()
        #expect(read(relay).0 == .endOfStream && relay.isOutputOver)
        relay.closeIfOver()
        #expect(read(relay).0 == .endOfStream)
    }

    @Test func `a process that has left is an end, whatever it has left unread`() throws {
        for hasRead in [false, true] {
            let relay = try Relay()
            let process = Relayed.Process(copying: relay.descriptor)
            _ = write(relay, "in")
            if hasRead { _ = process.heard() }
            process.say("out".utf8)
            process.close()
            // The copy here keeps it open.
            #expect(write(relay, "more") == 4)
            relay.leave()
            #expect(read(relay) == (.moved(3), Array("out".utf8)) && read(relay).0 == .endOfStream)
            #expect(relay.isLeft && relay.isInputOver && relay.isOutputOver && !relay.isCutOff)
        }
    }

    @Test func `a reset that the process has asked for is seen at its other copy`() throws {
        let relay = try Relay()
        let process = Relayed.Process(copying: relay.descriptor)
        #expect(!relay.endsWithReset)
        process.resetOnClose()
        process.close()
        #expect(relay.endsWithReset)
    }

    @Test func `what is cut off is a reset behind what was said`() throws {
        let relay = try Relay()
        let process = Relayed.Process(copying: relay.descriptor)
        _ = write(relay, "in")
        relay.cutOff()
        relay.cutOff()
        #expect(process.heard() == Array("in".utf8) && process.error == nil)
        #expect(process.isReset && process.say([1]) == 0)
        #expect(relay.isCutOff && read(relay).0 == .endOfStream)
    }

    @Test func `asks the poller for what is waited for, and for nothing where nothing is`() throws {
        let relay = try Relay()
        let process = Relayed.Process(copying: relay.descriptor)
        let poller = try Poller()
        func ready() throws -> Int { try poller.wait(milliseconds: 0) }
        try relay.watch(.writable, as: 7, poller)
        #expect(try ready() == 1)
        try relay.watch([], as: 7, poller)
        process.close()
        relay.leave()
        #expect(try ready() == 0)
        try relay.watch(.readable, as: 7, poller)
        #expect(try ready() == 1)
    }
}
