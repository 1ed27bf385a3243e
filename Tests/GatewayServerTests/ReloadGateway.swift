import GatewayConfiguration
import GatewayControl
import GatewayIO
import GatewayServer
import Glibc
import Synchronization
import TestSupport
import Testing

/// A gateway in a folder of its own, whose handlers are replaced while a test talks to it.
final class ReloadGateway {
    /// How a file comes to be another one.
    enum Way: CaseIterable {
        case rename
        case inPlace
    }

    private(set) var port: UInt16 = 0
    let folder: String
    var plugins: String { folder + "/Plugins" }
    private var file: String { folder + "/gateway.conf" }
    private var socket: String { folder + "/control.sock" }
    private let top: String
    private let stopper: Server.Stopper
    private var thread: Thread?

    private final class Thread {
        private var running: RunningThread?
        init(_ running: consuming RunningThread) { self.running = consume running }
        func join() { running.take()?.join() }
    }

    /// - Parameters:
    ///   - fixture: what the handler `counter` is at first; nil for nothing.
    ///   - route: what stands in the block of `/counter`.
    ///   - routes: what stands instead of that route.
    ///   - others: fixtures that lie in the folder under their own names.
    ///   - earlier: one that has ended, whose folder it takes over.
    ///   - clock: of its control thread; that of the system if nil.
    init(
        _ fixture: String? = "counter_v1", route: String = "", routes: String? = nil, defaults: String = "",
        watches: Bool = false, threads: Int = 2, others: [String] = [], after earlier: ReloadGateway? = nil,
        clock: MovedClock? = nil
    ) throws {
        var template = Array("/tmp/gateway-reload-XXXXXX".utf8CString)
        let folder =
            earlier?.folder ?? template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
        self.folder = folder
        _ = mkdir(folder + "/Plugins", 0o755)
        top = """
            listen 127.0.0.1:0; threads \(threads); access_log off; error_log off; control unix:\(folder)/control.sock;
            plugins \(folder)/Plugins { watch \(watches ? "on" : "off"); settle 20ms; }
            defaults { close_timeout 200ms; start_timeout 60s; ping_interval off; \(defaults) }

            """
        let first = routes ?? "route /counter { handler counter; \(route) }"
        Self.write(Array((top + first).utf8), to: folder + "/gateway.conf")
        if let fixture { Self.copy(fixture, to: folder + "/Plugins/counter.so", .rename) }
        for other in others { Self.copy(other, to: "\(folder)/Plugins/\(other).so", .rename) }
        let system: @Sendable () -> UInt64 = { Clock.monotonicNanoseconds() }
        let reading = clock?.reading ?? system
        // Only the thread that runs it touches it from here on.
        nonisolated(unsafe) let server = try Server(
            Configuration.load(file: folder + "/gateway.conf").configuration,
            prober: "\(Self.executableFolder)/gateway", clock: reading)
        port = server.listeningPorts[0]
        stopper = server.stopper
        thread = Thread(
            RunningThread {
                do { try server.run() } catch { fatalError("\(error)") }
            })
    }

    deinit {
        stop()
        _ = system("rm -rf '\(folder)'")
    }

    /// Returns when the gateway has ended.
    func stop() {
        stopper.stop()
        thread?.join()
        thread = nil
    }

    // MARK: Files

    static let executableFolder: String = {
        var path = [CChar](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &path, path.count - 1)
        let runner = String(decoding: path.prefix(max(length, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return String(runner[..<(runner.lastIndex(of: "/") ?? runner.startIndex)])
    }()

    static func bytes(_ fixture: String) -> [UInt8] {
        let descriptor = open(Fixture.file(fixture), O_RDONLY)
        precondition(descriptor >= 0, "no fixture \(fixture)")
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Int(lseek(descriptor, 0, SEEK_END)))
        let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        precondition(count == bytes.count)
        return bytes
    }

    static func write(_ bytes: some Collection<UInt8>, to path: String, appending: Bool = false) {
        let descriptor = open(path, O_WRONLY | O_CREAT | (appending ? O_APPEND : O_TRUNC), 0o644)
        precondition(descriptor >= 0, "cannot write \(path)")
        defer { close(descriptor) }
        var rest = Array(bytes)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            precondition(count > 0)
            rest = rest.dropFirst(count)
        }
    }

    private static func copy(_ fixture: String, to path: String, _ way: Way) {
        switch way {
        case .inPlace: write(bytes(fixture), to: path)
        case .rename:
            write(bytes(fixture), to: path + ".new")
            _ = rename(path + ".new", path)
        }
    }

    /// Puts a fixture where the handler `counter` is looked for.
    func put(_ fixture: String, _ way: Way = .rename) { Self.copy(fixture, to: plugins + "/counter.so", way) }

    /// Writes other routes, which nobody reads yet.
    func write(_ routes: String) { Self.write((top + routes).utf8, to: file) }

    /// Writes other routes and lets the gateway read them.
    func configure(_ routes: String) throws -> ControlAnswer {
        Self.write((top + routes).utf8, to: file)
        return try command(.reload(nil))
    }

    /// The same with other text in front of the routes.
    func configure(_ routes: String, replacing old: String, by new: String) throws -> ControlAnswer {
        let parts = top.split(separator: old, omittingEmptySubsequences: false)
        Self.write((parts.joined(separator: new) + routes).utf8, to: file)
        return try command(.reload(nil))
    }

    // MARK: Commands

    func command(_ command: ControlCommand) throws -> ControlAnswer {
        try ControlClient.ask(command, at: socket, seconds: 30)
    }

    /// Puts a fixture there and reloads; what that came to.
    @discardableResult
    func reload(_ fixture: String, _ way: Way = .rename) throws -> ControlAnswer {
        put(fixture, way)
        return try command(.reload("counter"))
    }

    /// The build that serves, as status and log write it.
    var digest: String {
        get throws {
            let json = try command(.status(.json)).text
            return String(try #require(json.firstMatch(of: #/"state":"live".*?"digest":"([0-9a-f]{16})"/#)).1)
        }
    }

    /// The build that was kept for a start at which the file is bad.
    var lastGood: String? {
        let path = plugins + "/.last-good/counter.so"
        guard access(path, R_OK) == 0, let facts = try? ModuleReport(ofFile: path) else { return nil }
        return facts.text.firstMatch(of: #/digest +([0-9a-f]{16})/#).map { String($0.1) }
    }

    /// How often a fixture of `live.h` was tried.
    var tries: Int {
        get throws {
            let json = try command(.status(.json)).text
            let copy = try #require(json.firstMatch(of: #/"file":"(\/[^"]*)\/counter\.[0-9]+\.[0-9a-f]+\.so"/#))
            let folder = try #require(opendir(String(copy.1)))
            defer { closedir(folder) }
            var count = 0
            while let entry = readdir(folder) {
                let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name.hasSuffix(".seen") { count += 1 }
            }
            return count
        }
    }

    /// What the gateway finds when a build killed the one before.
    func recordCrash(of digest: String) {
        let line =
            "2026-01-31T23:59:59Z crash: handler \"counter\", generation 1, in message of route /counter: SIGSEGV"
        Self.write("\(line) (build \(digest), pid 1, thread 1, code at 0x1)\n".utf8, to: folder + "/.gateway.crash")
        _ = chmod(folder + "/.gateway.crash", 0o600)
    }

    /// A command whose answer is waited for elsewhere.
    func ask(_ command: ControlCommand) -> Asking { Asking(command, at: socket) }

    func status() throws -> String { try command(.status(.text)).text }

    // MARK: Talking

    func connect(_ query: String = "", path: String = "/counter", receiveBuffer: Int32? = nil) throws -> TestClient {
        try TestClient(port: port, open: path + query, receiveBuffer: receiveBuffer)
    }

    /// What a plain request is answered: "<version> <live> <total>".
    func ask(_ query: String = "", path: String = "/counter") throws -> String {
        try TestClient(port: port).get(path + query).body
    }
}

/// A command on its way, and its answer when it has come.
final class Asking: Sendable {
    private let taken = Mutex<ControlAnswer?>(nil)
    private let thread = Mutex<RunningThread?>(nil)

    init(_ command: ControlCommand, at socket: String) {
        thread.withLock {
            $0 = RunningThread { [self] in
                let answer = try? ControlClient.ask(command, at: socket, seconds: 60)
                taken.withLock { $0 = answer }
            }
        }
    }

    var isAnswered: Bool { taken.withLock { $0 != nil } }

    /// Waits for it; nil when the gateway was gone first.
    func answer() -> ControlAnswer? {
        let running = thread.withLock { $0.take() }
        running?.join()
        return taken.withLock { $0 }
    }
}

extension TestClient {
    /// Says something and answers what the handler says to it.
    func say(_ text: String) throws -> String {
        try send(text)
        return try receive().text
    }

    /// What comes next, as text.
    func hear() throws -> String { try receive().text }
}

extension ControlAnswer {
    /// The text without the times in it, which are never the same, and without the last line's end.
    var timeless: String {
        var words = text.split(separator: " ", omittingEmptySubsequences: false)
        for index in words.indices.dropFirst(3).reversed() where index < words.count && words[index].hasPrefix("ms") {
            guard words[index - 2] == "in", Double(words[index - 1]) != nil else { continue }
            // What follows the unit, a comma or nothing, stays with the word before.
            words[index - 3] += words[index].dropFirst(2)
            words.removeSubrange(index - 2...index)
        }
        let line = words.joined(separator: " ")
        return line.hasSuffix("\n") ? String(line.dropLast()) : line
    }
}

extension ControlAnswer {
    /// Expects that what was asked for was done; a refusal is shown.
    func expectDone(sourceLocation: Testing.SourceLocation = #_sourceLocation) {
        #expect(exit == 0, "\(text)", sourceLocation: sourceLocation)
    }
}
