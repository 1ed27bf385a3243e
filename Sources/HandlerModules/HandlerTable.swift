package import CGatewayABI
import Glibc

/// What a handler's entry answered, checked and copied.
package struct HandlerTable: Sendable {
    /// Bytes of a name, a version or an SDK that are looked at.
    static let longestText = 256
    /// Larger than any table that will ever be; beyond it struct_size was not set.
    static let largest = 1 << 16

    let callbacks: HandlerCallbacks
    let name: String
    let version: String
    let sdk: String
    let abiVersion: ABIVersion
    let flags: UInt32
    let stateFormat: UInt64
    let stateVersion: UInt32

    /// Reads the first `struct_size` bytes; what they do not cover is absent, and absent is zero (R3).
    package init(reading table: UnsafePointer<gw_handler>) throws(HandlerTableError) {
        let address = UInt(bitPattern: table)
        guard unsafe address % UInt(MemoryLayout<gw_handler>.alignment) == 0 else { throw .misaligned }
        let size = unsafe Int(table.pointee.struct_size)
        guard size >= Int(GW_HANDLER_MIN_SIZE), size <= Self.largest else { throw .size(size) }
        var copy = unsafe gw_handler()
        _ = unsafe withUnsafeMutableBytes(of: &copy) { bytes in
            unsafe memcpy(bytes.baseAddress!, table, min(size, bytes.count))
        }

        abiVersion = unsafe ABIVersion(number: copy.abi_version)
        let required = unsafe ABIVersion(number: copy.min_host_abi)
        guard abiVersion.major == ABIVersion.current.major else { throw .otherMajor(abiVersion) }
        guard required.number <= ABIVersion.current.number else { throw .newerHost(required) }
        let unnamed = unsafe copy.flags & ~Self.namedFlags
        guard unnamed == 0 else { throw .flags(unnamed) }
        guard unsafe copy.reserved0 == 0 else { throw .reserved }
        guard let callbacks = unsafe HandlerCallbacks(copy) else { throw .noStart }
        guard unsafe callbacks.message != nil || callbacks.fragment != nil || callbacks.http != nil else {
            throw .nothingToCall
        }
        self.callbacks = callbacks
        name = try unsafe Self.text(copy.name, "name")
        guard !name.isEmpty else { throw .nameless }
        version = try unsafe Self.text(copy.version, "version")
        sdk = try unsafe Self.text(copy.sdk, "sdk")
        flags = unsafe copy.flags
        stateFormat = unsafe copy.state_format
        stateVersion = unsafe copy.state_version
    }

    /// The flags of this gateway's header. Others would mean something to a newer one, so they are refused (R8).
    private static let namedFlags = UInt32(
        GW_HF_SERIAL | GW_HF_UNLOAD | GW_HF_NO_UTF8 | GW_HF_MANUAL_PONG | GW_HF_STATELESS | GW_HF_KEEP_REQUEST)

    /// NULL is the empty text.
    private static func text(_ pointer: UnsafePointer<CChar>?, _ field: String) throws(HandlerTableError) -> String {
        guard let pointer = unsafe pointer else { return "" }
        let count = unsafe strnlen(pointer, longestText + 1)
        guard count <= longestText else { throw .text(field) }
        let bytes = unsafe UnsafeRawBufferPointer(start: pointer, count: count)
        guard let text = unsafe String(validating: bytes, as: UTF8.self) else { throw .text(field) }
        return text
    }
}

/// Why the table of a handler is of no use.
package enum HandlerTableError: Error, Equatable {
    case misaligned
    /// struct_size says this.
    case size(Int)
    case otherMajor(ABIVersion)
    /// The handler wants a host of at least this version.
    case newerHost(ABIVersion)
    /// These bits of the flags have no name.
    case flags(UInt32)
    /// reserved0 is not 0.
    case reserved
    case noStart
    case nothingToCall
    case nameless
    /// This field is too long or not UTF-8.
    case text(String)
}

extension HandlerTableError {
    /// What to do about it.
    package var remedy: String {
        switch self {
        case .misaligned, .size: "return a static gw_handler with GW_HANDLER_INIT: struct_size = sizeof(gw_handler)"
        case .otherMajor: "build it against the gw_handler.h of this gateway"
        case .newerHost: "update the gateway, or build the handler against its gw_handler.h"
        case .flags: "set GW_HF_* of gw_handler.h alone; one of a newer header needs a newer gateway"
        case .reserved: "initialise the whole gw_handler, so that what is not set is 0"
        case .noStart, .nothingToCall: "set start and at least one of message, fragment, http"
        case .nameless, .text: "set name, version and sdk to short UTF-8 strings"
        }
    }
}

extension HandlerTableError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .misaligned: "its table is not aligned"
        case .size(0): "its table says struct_size 0, so it was not set"
        case .size(let size): "its table says struct_size \(size), which cannot be"
        case .otherMajor(let version):
            "it needs ABI major \(version.major), this gateway speaks \(ABIVersion.current.major)"
        case .newerHost(let version): "it needs host ABI \(version), this gateway offers \(ABIVersion.current)"
        case .flags(let bits): "its table has flags 0x\(String(bits, radix: 16)), which this gateway has no name for"
        case .reserved: "its table has a reserved0 that is not 0"
        case .noStart: "its table has no start"
        case .nothingToCall: "its table has none of message, fragment, http"
        case .nameless: "its table has no name"
        case .text(let field): "the \(field) in its table is too long or not UTF-8"
        }
    }
}
