import Glibc
import Synchronization

/// Handlers that tests load, most of them with one mistake each: built of Tests/Fixtures when a test asks for them, into
/// a folder beside the test runner where no gateway looks by itself. To a gateway each is the handler `fixture_<name>`.
public enum Fixture {
    /// Those that are not built of the file of their own name: of which, and with which macros.
    private static let variants: [String: (source: String, macros: [String])] = [
        "abort_stop": ("least.c", ["IN_STOP=give_up"]),
        "bad_name": ("least.c", [#"NAME="caf\xe9""#]),
        "crash_constructor": ("least.c", ["IN_CONSTRUCTOR=give_up"]),
        "crash_entry": ("least.c", ["IN_ENTRY=crash"]),
        "crash_start": ("least.c", ["IN_START=complain_and_crash"]),
        "exit_in_constructor": ("least.c", ["IN_CONSTRUCTOR=leave"]),
        "exit_in_start": ("least.c", ["IN_START=leave_with_3"]),
        "hang_constructor": ("least.c", ["IN_CONSTRUCTOR=hang"]),
        "hang_start": ("least.c", ["IN_START=hang"]),
        "huge_table": ("least.c", ["SIZE=0xfffffff0u"]),
        "memory_hog": ("least.c", ["IN_START=take_all_memory"]),
        "nameless": ("least.c", [#"NAME="""#]),
        "newer_major": ("least.c", ["ABI=0x20000"]),
        "newer_minor": ("least.c", ["ABI=0x10003", "MIN_ABI=0x10003"]),
        "no_callbacks": ("least.c", ["WITHOUT_MESSAGE"]),
        "no_start": ("least.c", ["WITHOUT_START"]),
        "null_table": ("least.c", [#"DECLINES="the licence file is missing""#]),
        // Of an older header, whose table ends with message().
        "short_table": ("least.c", ["SIZE=offsetof(gw_handler,fragment)", "HIDES_FRAGMENT"]),
        "silent_null": ("least.c", [#"DECLINES="""#]),
        "tiny_table": ("least.c", ["SIZE=8"]),
        "unloads": ("least.c", ["FLAGS=GW_HF_UNLOAD"]),

        "blocker_serial": ("blocker.c", [#"BLOCKER_VERSION="1""#, "BLOCKER_FLAGS=GW_HF_SERIAL"]),
        "blocker_v1": ("blocker.c", [#"BLOCKER_VERSION="1""#]),
        "blocker_v2": ("blocker.c", [#"BLOCKER_VERSION="2""#]),

        "counter_hangs_hearing": ("counter.c", [#"COUNTER_VERSION="hangs hearing""#, "COUNTER_HANGS_HEARING"]),
        "counter_hangs_restoring": ("counter.c", [#"COUNTER_VERSION="hangs restoring""#, "COUNTER_HANGS_RESTORING"]),
        "counter_hangs_saving": ("counter.c", [#"COUNTER_VERSION="hangs saving""#, "COUNTER_HANGS_SAVING"]),
        "counter_hangs_stopping": ("counter.c", [#"COUNTER_VERSION="hangs stopping""#, "COUNTER_HANGS_STOPPING"]),
        "counter_keeping": ("counter.c", [#"COUNTER_VERSION="1""#, "COUNTER_FLAGS=GW_HF_KEEP_REQUEST"]),
        "counter_other": ("counter.c", [#"COUNTER_VERSION="other""#, "COUNTER_FORMAT=0xBADu"]),
        "counter_refusing": ("counter.c", [#"COUNTER_VERSION="refusing""#, "COUNTER_REFUSES"]),
        "counter_serial_v1": ("counter.c", [#"COUNTER_VERSION="1""#, "COUNTER_FLAGS=GW_HF_SERIAL"]),
        "counter_serial_v2": ("counter.c", [#"COUNTER_VERSION="2""#, "COUNTER_FLAGS=GW_HF_SERIAL"]),
        "counter_stateless_v1": ("counter.c", [#"COUNTER_VERSION="1""#, "COUNTER_FLAGS=GW_HF_STATELESS"]),
        "counter_stateless_v2": ("counter.c", [#"COUNTER_VERSION="2""#, "COUNTER_FLAGS=GW_HF_STATELESS"]),
        "counter_stream_v1": ("counter.c", [#"COUNTER_VERSION="1""#, "COUNTER_STREAMS"]),
        "counter_stream_v2": ("counter.c", [#"COUNTER_VERSION="2""#, "COUNTER_STREAMS"]),
        "counter_v1": ("counter.c", [#"COUNTER_VERSION="1""#, "COUNTER_FLAGS=GW_HF_UNLOAD"]),
        "counter_v2": ("counter.c", [#"COUNTER_VERSION="2""#, "COUNTER_FLAGS=GW_HF_UNLOAD"]),

        "live_declines": ("live.c", ["LIVE_DECLINES"]),
        "live_hangs_entry": ("live.c", ["LIVE_HANGS_ENTRY"]),
        "live_hangs_start": ("live.c", ["LIVE_HANGS_START"]),
        "live_refuses": ("live.c", ["LIVE_REFUSES"]),

        "probe_serial": ("probe.c", ["PROBE_FLAGS=GW_HF_SERIAL"]),
        "probe_stream": ("probe.c", ["PROBE_STREAM", "PROBE_FLAGS=GW_HF_KEEP_REQUEST"]),

        "counter_swift_v1": ("Counter.swift", []),
        "counter_swift_v2": ("Counter.swift", ["SECOND"]),
        "imperative_swift": ("Loop.swift", []),
        "later_swift": ("Later.swift", []),
        "ticker_swift": ("Ticker.swift", []),
    ]

    /// Beside the test runner, where the package builds everything.
    private static let built: String = {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX))
        let length = readlink("/proc/self/exe", &path, path.count)
        let runner = String(decoding: path.prefix(max(length, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return String(runner[..<(runner.lastIndex(of: "/") ?? runner.endIndex)])
    }()

    /// Where they are: what a sanitizer needs is of use to nobody else.
    public static let folder = "\(built)/fixtures\(Sanitizer.name.map { "-\($0)" } ?? "")"

    private static let sources = "\(#filePath.dropLast("Support/Fixture.swift".utf8.count))Fixtures"
    private static let header = "\(sources)/../../Sources/CGatewayABI/include"

    /// Tests run on several threads and ask for the same.
    private static let ready = Mutex<Set<String>>([])

    /// The file of a fixture, built unless it is there and newer than what it is made of. Both names will do.
    @discardableResult
    public static func file(_ given: String) -> String {
        let name = given.hasPrefix("fixture_") ? String(given.dropFirst("fixture_".utf8.count)) : given
        let file = "\(folder)/libfixture_\(name).so"
        ready.withLock { ready in
            if ready.insert(name).inserted { build(name, file) }
        }
        return file
    }

    private static func build(_ name: String, _ file: String) {
        let (source, macros) = variants[name] ?? ("\(name).c", [])
        let isSwift = source.hasSuffix(".swift")
        let objects = isSwift ? objects(of: "GatewayHandler") + objects(of: "CGatewayABI") : []
        let parts = ["\(sources)/\(source)", "\(header)/gw_handler.h", #filePath] + objects
        if let age = modified(file), parts.allSatisfy({ modified($0).map { $0 < age } ?? false }) { return }
        _ = mkdir(folder, 0o755)
        // Another process may be at it as well; the name is taken by what is whole.
        let fresh = "\(file).\(getpid())"
        var words = isSwift ? swiftCompiler(name) : cCompiler(name)
        words += macros.map { "-D\($0)" } + ["\(sources)/\(source)"] + objects + ["-o", fresh]
        if let sanitizer = Sanitizer.name { words.append("\(isSwift ? "-" : "-f")sanitize=\(sanitizer)") }
        precondition(run(words) == 0 && rename(fresh, file) == 0, "the fixture \(name) cannot be built: \(words)")
    }

    private static func cCompiler(_ name: String) -> [String] {
        // Its sanitizers are those of the tests.
        let clang = toolchain("clang").map { [$0, "-fuse-ld=lld"] } ?? ["cc"]
        return clang + [
            "-std=gnu11", "-g", "-O1", "-Wall", "-Werror", "-Wno-unused-function", "-shared", "-fPIC", "-pthread",
            "-Wl,--build-id=sha1", "-I\(header)", "-DFIXTURE=\"\(name)\"",
        ]
    }

    /// Against the kit as it was built for the tests.
    private static func swiftCompiler(_ name: String) -> [String] {
        [
            toolchain("swiftc") ?? "swiftc", "-swift-version", "6", "-module-name", name, "-parse-as-library",
            "-emit-library", "-I\(built)/Modules", "-I\(header)",
            "-Xcc", "-fmodule-map-file=\(built)/CGatewayABI.build/module.modulemap",
        ]
    }

    private static func objects(of target: String) -> [String] {
        guard let folder = opendir("\(built)/\(target).build") else { return [] }
        defer { closedir(folder) }
        var found: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            // Objects of sources that are gone stay in the folder.
            let source = "\(sources)/../../Sources/\(target)/\(name.dropLast(2))"
            let isStale = name.hasSuffix(".swift.o") && access(source, F_OK) != 0
            if name.hasSuffix(".o"), !isStale { found.append("\(built)/\(target).build/\(name)") }
        }
        return found.sorted()
    }

    /// A program beside the `swiftc` that is found first.
    private static func toolchain(_ program: String) -> String? {
        guard let path = getenv("PATH") else { return nil }
        for folder in String(cString: path).split(separator: ":") {
            guard let real = realpath("\(folder)/swiftc", nil) else { continue }
            defer { free(real) }
            let path = String(cString: real)
            let beside = "\(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])/\(program)"
            return access(beside, X_OK) == 0 ? beside : nil
        }
        return nil
    }

    /// When a file was written, in nanoseconds.
    private static func modified(_ path: String) -> Int? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return status.st_mtim.tv_sec * 1_000_000_000 + status.st_mtim.tv_nsec
    }

    /// Runs a program to its end; its exit status.
    private static func run(_ words: [String]) -> Int32 {
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var child = pid_t()
        guard posix_spawnp(&child, arguments[0]!, nil, nil, &arguments, environ) == 0 else { return -1 }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
        return status
    }
}

/// Which sanitizer this was built for.
public enum Sanitizer {
    public static let isAddress = dlsym(nil, "__asan_init") != nil
    public static let isThread = dlsym(nil, "__tsan_init") != nil

    /// How compilers call it.
    static var name: String? { isThread ? "thread" : isAddress ? "address" : nil }
}
