import CLinux
import GatewayControl
import GatewayIO
import GatewayServer
import GatewayTLS
import Glibc

/// A gateway in a process of its own, in a folder of its own, that serves the handler under trial: whatever the handler
/// does to its process, the trial goes on to tell of it.
final class TrialGateway {
    /// Why there is nothing to try.
    struct Failure: Error {
        let sentence: String
    }

    /// Where clients connect.
    let target: TrialTarget
    /// What `gateway.conf` calls the handler.
    let handler: String
    private let folder: String
    private let process: pid_t
    /// How the process ended; nil while it lives.
    private var end: clinux_end?

    /// Starts one; `isServing` says what came of it.
    init(_ plan: TrialPlan) throws(Failure) {
        let module = try Self.read(plan.file)
        folder = try Self.makeFolder()
        handler = plan.handler
        do throws(Failure) {
            let tls = plan.isSecure ? try Self.makeCertificate(in: folder) : nil
            target = TrialTarget(socket: "\(folder)/s", path: plan.path, tls: tls, deflates: plan.deflates)
            guard unsafe mkdir("\(folder)/plugins", 0o755) == 0 else { throw Self.failure("cannot make a folder") }
            try Self.write(Array(plan.configuration.utf8), to: "\(folder)/gateway.conf")
            try Self.write(module, to: "\(folder)/plugins/\(plan.handler).so")
            process = try Self.spawn(plan.gateway, folder)
        } catch {
            Self.remove(folder)
            throw error
        }
    }

    deinit {
        if hasEnded == nil {
            kill(-process, SIGKILL)
            var end = clinux_end()
            _ = unsafe clinux_reap(process, 1, &end)
        }
        Self.remove(folder)
    }

    // MARK: Its life

    /// How the process ended: its exit status, or the signal as a negative number; nil while it lives.
    var hasEnded: Int32? {
        if end == nil {
            var found = clinux_end()
            if unsafe clinux_reap(process, 0, &found) == 1 { end = found }
        }
        return end.map { $0.signal != 0 ? -$0.signal : $0.status }
    }

    /// Waits for something to become true; false when it has not after so many seconds.
    func wait(seconds: UInt64, for condition: () -> Bool) -> Bool {
        let news = TrialNews(of: process, log: "\(folder)/log")
        let deadline = Clock.monotonicNanoseconds() + seconds * 1_000_000_000
        while !condition() {
            let now = Clock.monotonicNanoseconds()
            guard now < deadline else { return false }
            news.wait(milliseconds: Int32(clamping: (deadline - now) / 1_000_000 + 1))
        }
        return true
    }

    /// Waits until clients are served; false when they will not be.
    func isServing() -> Bool {
        _ = wait(seconds: 60) { hasEnded != nil || log().contains("info: serving with") }
        return hasEnded == nil && log().contains("info: serving with")
    }

    /// Asks it to end, as `systemctl stop` does.
    func stop() { kill(process, SIGTERM) }

    /// Bytes of memory that are its own.
    var memory: Int {
        guard let text = try? Self.read("/proc/\(process)/smaps_rollup") else { return 0 }
        let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
        let words = lines.first { $0.hasPrefix("Private_Dirty:") }?.split(separator: " ") ?? []
        return words.count > 1 ? (Int(words[1]) ?? 0) * 1024 : 0
    }

    // MARK: What it says

    /// All it has written so far.
    func log() -> String { (try? Self.read("\(folder)/log")).map { String(decoding: $0, as: UTF8.self) } ?? "" }

    /// The last words of the process when a handler killed it: handler, callback and connection.
    func crash() -> String? {
        guard let bytes = try? Self.read("\(folder)/.gateway.crash"), !bytes.isEmpty else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    // MARK: Reloads

    /// Makes the file another one, so that the gateway takes it for a newer build: bytes behind the end of an ELF file
    /// mean nothing.
    func renewModule() throws(Failure) {
        let path = "\(folder)/plugins/\(handler).so"
        let module = try Self.read(path)
        try Self.write(module + Array("newer".utf8), to: "\(path).new")
        guard unsafe rename("\(path).new", path) == 0 else { throw Self.failure("cannot rename \(path)") }
    }

    /// The control socket, for `ControlClient`.
    var control: String { "\(folder)/c" }

    // MARK: Files

    private static func makeFolder() throws(Failure) -> String {
        let wanted = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
        // A path of a unix socket has room for 107 bytes.
        let base = wanted.utf8.count < 60 && wanted.utf8.first == UInt8(ascii: "/") ? wanted : "/tmp"
        let folder = "\(base)/gateway-test-\(String(UInt64.random(in: 0 ... .max), radix: 36))"
        guard unsafe mkdir(folder, 0o700) == 0 else { throw failure("cannot make the folder \(folder)") }
        return folder
    }

    /// Writes a certificate for this trial alone.
    ///
    /// - Returns: clients that trust it and nobody else.
    private static func makeCertificate(in folder: String) throws(Failure) -> TLSClient {
        let files: [(name: String, text: [UInt8])]
        do throws(TLSFailure) {
            let (authority, key) = (try CertificateAuthority(of: "gateway test"), try CertificateKey())
            let certificate = try authority.issue(for: [.host(TrialTarget.host)], to: key)
            files = [
                ("ca.pem", try authority.certificate.text), ("cert.pem", try certificate.text),
                ("key.pem", try key.text),
            ]
        } catch {
            throw Failure(sentence: error.description)
        }
        for file in files { try write(file.text, to: "\(folder)/\(file.name)") }
        do throws(TLSFailure) {
            return try TLSClient(host: TrialTarget.host, trusting: .file("\(folder)/ca.pem"))
        } catch {
            throw Failure(sentence: error.description)
        }
    }

    private static func failure(_ what: String) -> Failure {
        Failure(sentence: "\(what): \(Errno.last)")
    }

    private static func read(_ path: String) throws(Failure) -> [UInt8] {
        let file = FileDescriptor(adopting: unsafe open(path, O_RDONLY | O_CLOEXEC))
        guard file.number >= 0 else { throw failure("cannot read \(path)") }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe part.withUnsafeMutableBytes { unsafe Glibc.read(file.number, $0.baseAddress, $0.count) }
            if count == 0 { return bytes }
            guard count > 0 else { throw failure("cannot read \(path)") }
            bytes += part[..<count]
        }
    }

    private static func write(_ bytes: [UInt8], to path: String) throws(Failure) {
        let file = FileDescriptor(adopting: unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644))
        guard file.number >= 0 else { throw failure("cannot write \(path)") }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(file.number, $0.baseAddress, $0.count) }
            guard count > 0 else { throw failure("cannot write \(path)") }
            rest = rest.dropFirst(count)
        }
    }

    private static func spawn(_ program: String, _ folder: String) throws(Failure) -> pid_t {
        let nothing = FileDescriptor(adopting: unsafe open("/dev/null", O_RDWR | O_CLOEXEC))
        let log = FileDescriptor(
            adopting: unsafe open("\(folder)/log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600))
        guard nothing.number >= 0, log.number >= 0 else { throw failure("cannot write \(folder)/log") }
        let descriptors = [nothing.number, nothing.number, log.number]
        let process = unsafe clinux_spawn(program, "--trial", "\(folder)/gateway.conf", descriptors, 3)
        guard process > 0 else { throw failure("cannot start \(program)") }
        return process
    }

    /// Everything this trial can have left there, by name.
    private static func remove(_ folder: String) {
        removeFiles(in: "\(folder)/plugins/.last-good")
        removeFiles(in: "\(folder)/plugins")
        removeFiles(in: folder)
    }

    private static func removeFiles(in folder: String) {
        guard let listing = unsafe opendir(folder) else { return }
        while let entry = unsafe readdir(listing) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name != ".", name != ".." { _ = unsafe unlink("\(folder)/\(name)") }
        }
        unsafe closedir(listing)
        _ = unsafe rmdir(folder)
    }
}
