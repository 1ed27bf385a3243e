import HandlerModules
import TestSupport
import Testing

@Suite("A changed file is taken when it is quiet, the same in two looks, and whole")
struct DebouncerTests {
    private var settling = Debouncer(settle: .milliseconds(200), cap: .seconds(5))
    private let one = FileFingerprint(inode: 1, size: 100, modified: 1)
    private let two = FileFingerprint(inode: 1, size: 200, modified: 2)

    private mutating func advance(
        _ milliseconds: Int, _ look: FileFingerprint?, isWhole: Bool = true
    ) -> [Debouncer.Outcome] {
        settling.advance(to: .milliseconds(milliseconds), look: { _ in look }, isWhole: { _ in isWhole })
    }

    private mutating func touch(_ milliseconds: Int, _ look: FileFingerprint?) {
        settling.touch("echo", at: .milliseconds(milliseconds), look: look)
    }

    @Test mutating func `nothing is due when nothing happened`() {
        #expect(settling.nextDeadline == nil)
        #expect(advance(1000, one) == [])
    }

    @Test mutating func `takes it after it was quiet for a while`() {
        touch(1000, one)
        #expect(settling.nextDeadline == .milliseconds(1200))
        #expect(advance(1199, one) == [])
        #expect(advance(1200, one) == [.ready("echo")])
        #expect(settling.isEmpty)
    }

    @Test mutating func `waits after the last event, not the first`() {
        touch(1000, one)
        touch(1150, two)
        #expect(settling.nextDeadline == .milliseconds(1350))
        #expect(advance(1200, two) == [])
        #expect(advance(1350, two) == [.ready("echo")])
    }

    @Test mutating func `looks again when it is not the same`() {
        touch(0, one)
        #expect(advance(200, two) == [])
        #expect(settling.nextDeadline == .milliseconds(400))
        #expect(advance(400, two) == [.ready("echo")])
    }

    @Test mutating func `looks again when it is not whole`() {
        touch(0, one)
        #expect(advance(200, one, isWhole: false) == [])
        #expect(advance(400, one) == [.ready("echo")])
    }

    @Test mutating func `tries once what never ends`() {
        touch(0, one)
        for at in stride(from: 200, to: 5000, by: 200) { #expect(advance(at, one, isWhole: false) == []) }
        #expect(settling.nextDeadline == .milliseconds(5000))
        #expect(advance(5000, one, isWhole: false) == [.stillBeingWritten("echo")])
        #expect(settling.isEmpty)
    }

    @Test mutating func `events without end do not put it off for ever`() {
        for at in stride(from: 0, through: 4900, by: 100) {
            touch(at, FileFingerprint(inode: 1, size: Int64(at), modified: Int64(at)))
            #expect(advance(at, one) == [])
        }
        #expect(settling.nextDeadline == .milliseconds(5000))
        #expect(advance(5000, two) == [.stillBeingWritten("echo")])
    }

    @Test mutating func `a file that went is gone, unless it comes back`() {
        touch(0, nil)
        #expect(advance(200, nil) == [.deleted("echo")])
        touch(1000, nil)
        #expect(advance(1200, one) == [])
        #expect(advance(1400, one) == [.ready("echo")])
        touch(2000, one)
        #expect(advance(2200, nil) == [])
        #expect(advance(2400, nil) == [.deleted("echo")])
    }

    @Test mutating func `each file has its own time`() {
        touch(0, one)
        settling.touch("chat", at: .milliseconds(100), look: one)
        #expect(advance(200, one) == [.ready("echo")])
        #expect(settling.nextDeadline == .milliseconds(300))
        #expect(advance(300, one) == [.ready("chat")])
        settling.touch("b", at: .seconds(9), look: one)
        settling.touch("a", at: .seconds(9), look: one)
        #expect(advance(10_000, one) == [.ready("a"), .ready("b")])
    }

    @Test func `knows a module that is not whole`() {
        let folder = TemporaryFolder()
        let module = contents(of: "\(builtModules)/libecho.so")
        #expect(ELFImage.isWhole(folder.write("whole.so", module)))
        #expect(!ELFImage.isWhole(folder.write("half.so", Array(module.prefix(module.count / 2)))))
        #expect(!ELFImage.isWhole(folder.write("reserved.so", [UInt8](repeating: 0, count: 4096))))
        #expect(!ELFImage.isWhole(folder.write("empty.so", [])))
        #expect(!ELFImage.isWhole("\(folder.path)/nowhere.so"))
        #expect(ELFImage.isWhole(folder.write("text.so", Array("#!/bin/sh\n".utf8))), "waiting does not make it ELF")
        #expect(ELFImage.isWhole(Fixture.file("no_entry")))
    }
}
