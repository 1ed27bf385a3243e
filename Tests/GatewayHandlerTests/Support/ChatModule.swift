import CGatewayABI
import Glibc
import Testing

/// The samples that are one chat in several flavours, by the names of their modules.
enum ChatFlavour: String, CaseIterable, Sendable {
    case reactive = "chat"
    case functional = "chat-functional"
    case fleck = "chat-fleck"
    case imperative = "chat-imperative"

    func module() throws -> ChatModule { try ChatModule(rawValue) }
}

/// A module beside the test runner, loaded as the gateway does it.
struct ChatModule {
    private typealias Entry = @convention(c) (UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>?
    private let entry: Entry

    init(_ name: String) throws { try self.init(path: Self.path(of: name)) }

    /// A private copy, as each generation of a module is one: another image, whose types are others.
    static func copy(of name: String) throws -> ChatModule {
        var template = Array("/tmp/gateway-handler-XXXXXX.so".utf8CString)
        let descriptor = mkstemps(&template, 3)
        let path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        defer {
            _ = close(descriptor)
            _ = unlink(path)
        }
        let source = open(Self.path(of: name), O_RDONLY)
        defer { _ = close(source) }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = read(source, &buffer, buffer.count), count > 0 {
            try #require(write(descriptor, buffer, count) == count)
        }
        return try ChatModule(path: path)
    }

    private init(path: String) throws {
        let image = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)
        let loaded = try #require(image, "\(String(cString: dlerror()))")
        let symbol = try #require(dlsym(loaded, "gw_handler_entry_v1"))
        entry = unsafeBitCast(symbol, to: Entry.self)
    }

    private static func path(of name: String) -> String {
        var path = [CChar](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &path, path.count - 1)
        let runner = String(decoding: path.prefix(max(length, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return "\(runner[..<(runner.lastIndex(of: "/") ?? runner.startIndex)])/lib\(name).so"
    }

    func driven(_ settings: KeyValuePairs<String, String> = [:]) throws -> Driven {
        let host = MockHost()
        return Driven(try #require(entry(host.table)).pointee, host, settings)
    }

    func isSameImage(as other: ChatModule) -> Bool {
        unsafeBitCast(entry, to: UInt.self) == unsafeBitCast(other.entry, to: UInt.self)
    }
}

extension Driven {
    /// The lines that were sent since it was last asked, in an order that does not depend on that of the members.
    func said() -> [String] {
        let lines = host.calls.compactMap { call -> String? in
            guard case .send(let connection, kind: 1, let bytes) = call else { return nil }
            return "\(connection) <- \(String(decoding: bytes, as: UTF8.self))"
        }
        host.set { $0.calls = [] }
        return lines.sorted()
    }
}
