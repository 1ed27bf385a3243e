import CLinux
import Glibc

/// A probe process from its start to its end; however its owner leaves it, it is killed and reaped.
struct ProbeProcess: ~Copyable {
    /// How it ended.
    enum End: Equatable {
        case exited(status: Int32)
        case killed(signal: Int32)
        /// The process was still busy after its time, and we killed it.
        case timedOut
    }

    /// Bytes of its output that are kept, the last ones.
    static let longestOutput = 4096
    /// Bytes of its progress that are kept, the first ones: its steps name every route that was asked for three times at
    /// most, and a refusal gives reasons.
    private let longestProgress: Int

    private let process: pid_t
    private let ending: OpenFile
    private var isReaped = false
    private var isKilled = false
    private let output: OpenFile
    private var isOutputOpen = true
    private let progress: OpenFile
    private var isProgressOpen = true

    private var outputBytes: [UInt8] = []
    private var progressBytes: [UInt8] = []

    private init(
        process: pid_t, requestLength: Int, output: consuming OpenFile, progress: consuming OpenFile
    ) {
        self.process = process
        longestProgress = 65536 + 4 * requestLength
        ending = OpenFile(adopting: clinux_process_descriptor(process))
        self.output = output
        self.progress = progress
    }

    /// Starts `executable --probe module`, with the request as its standard input.
    static func start(
        executable: String, module: String, request: ProbeRequest
    ) throws(SystemError) -> ProbeProcess {
        let input = OpenFile(adopting: unsafe clinux_memory_file("gateway probe"))
        guard input.descriptor >= 0 else { throw SystemError("memfd_create") }
        let bytes = request.bytes
        try input.write(bytes, count: bytes.count)
        guard lseek(input.descriptor, 0, SEEK_SET) == 0 else { throw SystemError("lseek") }
        let said = try ProbePipe()
        let told = try ProbePipe()
        let descriptors = [input.descriptor, said.writing.descriptor, said.writing.descriptor, told.writing.descriptor]
        let process = unsafe clinux_spawn(executable, "--probe", module, descriptors, Int32(descriptors.count))
        guard process > 0 else { throw SystemError("posix_spawn") }
        // Our ends for writing go here, so that the end of file comes from the child.
        return ProbeProcess(
            process: process, requestLength: bytes.count, output: said.takeReading(), progress: told.takeReading())
    }

    deinit {
        guard !isReaped else { return }
        _ = kill(-process, SIGKILL)
        let process = process
        // The process is dead in a moment, unless the kernel has much to clear away: that is not waited for. Where
        // there is no thread for it either, the end of this process reaps both.
        try? CallThread.run {
            var end = clinux_end()
            _ = unsafe clinux_reap(process, 1, &end)
        }
    }

    /// The steps it announced.
    var steps: [ProbeStep] { ProbeStep.all(in: progressBytes) }

    /// Bytes of memory it had, of those it might have, when it died of a fault; 0 where nothing is known of that.
    var lastMemory: UInt64 { ProbeStep.lastMemory(in: progressBytes) }

    /// What it wrote to standard output and standard error, the end of it.
    var said: String { String(decoding: outputBytes, as: UTF8.self) }

    /// Descriptors that become readable when there is something to be taken.
    var descriptors: [Int32] {
        var open: [Int32] = []
        if ending.descriptor >= 0 { open.append(ending.descriptor) }
        if isOutputOpen { open.append(output.descriptor) }
        if isProgressOpen { open.append(progress.descriptor) }
        return open
    }

    /// Whether the descriptors tell of the end, as they do but for old kernels, where the process has to be looked at.
    var tellsItsEnd: Bool { ending.descriptor >= 0 }

    /// Takes what it said; answers how it ended, nil while it lives.
    mutating func look() throws(SystemError) -> End? {
        drain()
        guard let end = try reap() else { return nil }
        return isKilled ? .timedOut : end
    }

    /// Kills the process: its time is up.
    mutating func end() {
        if isKilled || isReaped { return }
        isKilled = true
        _ = kill(-process, SIGKILL)
    }

    private mutating func reap() throws(SystemError) -> End? {
        var end = clinux_end()
        let answer = unsafe clinux_reap(process, 0, &end)
        guard answer >= 0 else { throw SystemError("waitid") }
        guard answer > 0 else { return nil }
        isReaped = true
        drain()
        return end.signal != 0 ? .killed(signal: end.signal) : .exited(status: end.status)
    }

    /// Reads what is there. Pipes hold little, and the writers are slower than we are or dead, so this comes to an end.
    private mutating func drain() {
        isOutputOpen = isOutputOpen && Self.read(output, limit: 1 << 20) { outputBytes += $0 }
        if outputBytes.count > Self.longestOutput { outputBytes.removeFirst(outputBytes.count - Self.longestOutput) }
        isProgressOpen = isProgressOpen && Self.read(progress, limit: longestProgress) { progressBytes += $0 }
        if progressBytes.count > longestProgress {
            progressBytes.removeLast(progressBytes.count - longestProgress)
        }
    }

    /// Hands over up to `limit` bytes; false when there will be no more.
    private static func read(_ file: borrowing OpenFile, limit: Int, _ body: (ArraySlice<UInt8>) -> Void) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 4096)
        var total = 0
        while total < limit {
            let count = unsafe Glibc.read(file.descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return count < 0 && errno == EAGAIN }
            body(buffer[..<count])
            total += count
        }
        return true
    }
}

/// The two ends of a pipe.
private struct ProbePipe: ~Copyable {
    private let reading: OpenFile
    let writing: OpenFile

    init() throws(SystemError) {
        var ends: (reading: Int32, writing: Int32) = (-1, -1)
        guard unsafe clinux_pipe(&ends.reading, &ends.writing) == 0 else { throw SystemError("pipe2") }
        reading = OpenFile(adopting: ends.reading)
        writing = OpenFile(adopting: ends.writing)
    }

    /// Closes the other end.
    consuming func takeReading() -> OpenFile { reading }
}
