import CGatewayABI
import CLinux
import Glibc
import HandlerModules
import Synchronization
import TestSupport

/// A folder of a test's own; gone with it.
final class TemporaryFolder {
    let path: String

    init() {
        var template = Array("/tmp/handler-modules-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }

    deinit {
        _ = system("rm -rf '\(path)'")
    }

    @discardableResult
    func write(_ name: String, _ bytes: [UInt8], mode: mode_t = 0o644) -> String {
        let file = "\(path)/\(name)"
        let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC, mode)
        _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        _ = fchmod(descriptor, mode)
        _ = close(descriptor)
        return file
    }

    func folder(_ name: String, mode: mode_t = 0o755) -> String {
        _ = mkdir("\(path)/\(name)", mode)
        _ = chmod("\(path)/\(name)", mode)
        return "\(path)/\(name)"
    }
}

/// Beside the test runner lie the modules that the package builds.
let builtModules = ModuleLocator.executableFolder()!

/// The file of a handler, of those or of the fixtures.
func modulePath(_ handler: String) -> String {
    handler.hasPrefix("fixture_") ? Fixture.file(handler) : "\(builtModules)/lib\(handler).so"
}

/// The bytes of a whole file.
func contents(of path: String) -> [UInt8] {
    let descriptor = open(path, O_RDONLY)
    defer { _ = close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: Int(lseek(descriptor, 0, SEEK_END)))
    let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
    return Array(bytes.prefix(max(count, 0)))
}

func names(in folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { _ = closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
}

/// A host table that only knows how to listen to `fail`.
enum TestHost {
    private static let notes = Mutex<[UInt: FailureReason]>([:])

    @Sendable static func make(_ generation: UInt64, _ handler: String, _ note: FailureReason) -> UnsafePointer<gw_host>
    {
        let host = UnsafeMutablePointer<gw_host>.allocate(capacity: 1)
        host.initialize(to: gw_host())
        host.pointee.struct_size = UInt32(MemoryLayout<gw_host>.size)
        host.pointee.abi_version = ABIVersion.current.number
        host.pointee.generation = generation
        host.pointee.fail = { host, why, length in
            TestHost.notes.withLock { $0[UInt(bitPattern: host)] }?.record(why, length: length)
        }
        notes.withLock { $0[UInt(bitPattern: host)] = note }
        return UnsafePointer(host)
    }
}

/// Everything it takes to load the modules that the package builds, or those in a folder of the test.
struct Workshop {
    let folder = TemporaryFolder()
    let run: RunDirectory
    let loader: ModuleLoader

    init(plugins: [String] = []) throws {
        run = try RunDirectory(bases: [folder.path])
        loader = ModuleLoader(
            locator: ModuleLocator(plugins: plugins + [Fixture.folder], executableFolder: builtModules),
            runDirectory: run,
            makeHost: TestHost.make)
    }

    func load(_ handler: String) throws -> Generation {
        try loader.load(module(handler))
    }

    /// A handler whose file is there to be found.
    func module(_ handler: String) -> Module {
        _ = modulePath(handler)
        return Module(handler: handler)
    }
}

/// What the control loop does step by step, for a test that has nothing else to do.
extension Instance {
    @discardableResult
    func start(_ settings: RouteSettings, timeout: Duration) throws(ModuleError) -> Duration {
        let began = ContinuousClock.now
        let bell = TestBell()
        try beginStart(settings, bell: { bell.ring() })
        bell.wait(timeout) { phase != .starting }
        if try !startOutcome(settings), let error = giveUpStart(settings, after: timeout) { throw error }
        return ContinuousClock.now - began
    }

    /// False when it is still busy.
    func stop(timeout: Duration) throws(SystemError) -> Bool {
        let bell = TestBell()
        try beginStop(bell: { bell.ring() })
        bell.wait(timeout) { phase != .stopping }
        return phase != .stopping
    }

    func reconfigure(_ settings: RouteSettings, timeout: Duration) throws(ModuleError) -> gw_status {
        let bell = TestBell()
        guard let call = try beginReconfigure(settings, bell: { bell.ring() }) else {
            return gw_status(GW_E_UNSUPPORTED)
        }
        bell.wait(timeout) { call.answer != nil }
        return call.answer ?? gw_status(GW_E_FAILED)
    }
}

/// Wakes the thread of a test.
final class TestBell: Sendable {
    private let descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))

    deinit { _ = close(descriptor) }

    func ring() { _ = eventfd_write(descriptor, 1) }

    /// Returns when it holds, or at the latest when the time is up.
    func wait(_ timeout: Duration, until isOver: () -> Bool) {
        let end = ContinuousClock.now + timeout
        while !isOver() {
            let left = (end - ContinuousClock.now) / .milliseconds(1)
            guard left > 0 else { return }
            var interest = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            _ = poll(&interest, 1, Int32(left.rounded(.up)))
            var count: eventfd_t = 0
            _ = eventfd_read(descriptor, &count)
        }
    }
}
