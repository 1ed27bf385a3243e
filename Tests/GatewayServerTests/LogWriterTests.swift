import Glibc
import TestSupport
import Testing

@testable import GatewayServer

@Suite("The log is written by one thread, and nobody waits for its reader")
struct LogWriterTests {
    /// A pipe of the least size.
    private struct Pipe {
        let reading: Int32
        let writing: Int32

        init() {
            var ends: [Int32] = [-1, -1]
            #expect(pipe(&ends) == 0)
            (reading, writing) = (ends[0], ends[1])
            // F_SETPIPE_SZ, which Glibc declares only for _GNU_SOURCE.
            #expect(fcntl(writing, 1031, 4096) == 4096)
        }

        /// Lines as they come, until one is the last.
        func lines(until last: String) -> [Substring] {
            var text: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            while true {
                let count = read(reading, &buffer, buffer.count)
                if count <= 0 { break }
                text += buffer[..<count]
                if String(decoding: text.suffix(last.utf8.count + 1), as: UTF8.self) == last + "\n" { break }
            }
            return String(decoding: text, as: UTF8.self).split(separator: "\n")
        }
    }

    @Test func `lines of several threads arrive whole, those of each in their order`() {
        let pipe = Pipe()
        let writer = LogWriter(pipe.writing)
        let writing = RunningThread {
            inThreads(4) { thread in
                for line in 0..<100 { writer.append("\(thread) \(line) " + String(repeating: "x", count: line * 10)) }
            }
            writer.append("end")
        }
        let lines = pipe.lines(until: "end")
        writing.join()
        #expect(lines.count == 401)
        for thread in 0..<4 {
            let own = lines.filter { $0.hasPrefix("\(thread) ") }
            let wanted = (0..<100).map { "\(thread) \($0) " + String(repeating: "x", count: $0 * 10) }
            #expect(own.map { String($0) } == wanted)
        }
    }

    @Test func `lines that a full disk does not take are counted where they are missing`() {
        let descriptor = open("/dev/full", O_WRONLY | O_CLOEXEC)
        let writer = LogWriter(descriptor)
        for line in 0..<3 { writer.append("\(line)") }
        writer.finish(patience: 60_000)
        let pipe = Pipe()
        #expect(dup2(pipe.writing, descriptor) == descriptor)
        for line in ["again", "end"] { writer.append(line) }
        let lines = pipe.lines(until: "end")
        #expect(lines.first?.hasSuffix("Z warning: 3 lines could not be written: No space left on device") == true)
        #expect(lines.dropFirst() == ["again", "end"])
        #expect(writer.droppedLines == 3)
    }

    @Test func `lines that find no room are counted where they are missing`() {
        let pipe = Pipe()
        let writer = LogWriter(pipe.writing)
        // Far more than it takes, and nobody reads: this returns all the same.
        for line in 0..<3000 { writer.append("\(line) " + String(repeating: "x", count: 1000)) }
        writer.finish(patience: 1)
        let reader = RunningThread {
            let lines = pipe.lines(until: "end").dropLast()
            let numbers = lines.compactMap { Int($0.split(separator: " ")[0]) }
            let gaps = lines.enumerated().filter { $0.element.hasSuffix("lines were dropped, the log was not read") }
            let dropped = gaps.compactMap { Int($0.element.split(separator: " ")[2]) }
            #expect(dropped.count == 1 && numbers.count + (dropped.first ?? 0) == 3000)
            #expect(numbers == Array(0..<numbers.count), "what is there is all that came before the gap")
            #expect(gaps.first?.offset == numbers.count)
        }
        // Once everything has been taken there is room again.
        writer.finish(patience: 60_000)
        writer.append("end")
        reader.join()
    }

    @Test func `one line is one line`() {
        #expect(LogWriter.gap(1) == "1 line was dropped, the log was not read")
        #expect(LogWriter.gap(12) == "12 lines were dropped, the log was not read")
    }
}
