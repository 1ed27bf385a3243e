import Bytes
import CGatewayABI
import HandlerModules

/// What a `gw_sink` points at: the bytes that a save callback writes.
struct StateSink: ~Copyable {
    /// More than this is no state of a connection or a route but a leak of one.
    static let maximum = 64 << 20

    private(set) var bytes = ByteBuffer()
    /// A write that did not fit; what was saved is then not whole.
    private(set) var isOverflown = false

    init() {}

    mutating func write(_ start: UnsafeRawPointer?, _ count: Int) -> gw_status {
        guard count >= 0, unsafe start != nil || count == 0 else { return Status.invalid }
        guard bytes.count + count <= Self.maximum else {
            isOverflown = true
            return Status.limit
        }
        unsafe bytes.append(UnsafeRawBufferPointer(start: start, count: count))
        return Status.ok
    }

    mutating func clear() {
        bytes.removeAll()
        isOverflown = false
    }

    /// The same for another process.
    func record(by generation: Generation) -> StateRecord {
        StateRecord(
            version: generation.stateVersion, format: generation.stateFormat, generation: generation.number,
            data: unsafe Array(bytes.bytes))
    }

    /// The bytes as the next generation gets them; they are borrowed from this sink.
    func saved(by generation: Generation) -> gw_saved {
        let run = unsafe bytes.bytes
        return unsafe gw_saved(
            struct_size: UInt32(MemoryLayout<gw_saved>.size), state_version: generation.stateVersion,
            state_format: generation.stateFormat, generation: generation.number,
            data: gw_bytes(UnsafeRawBufferPointer(run)), flags: 0, reserved0: 0)
    }
}
