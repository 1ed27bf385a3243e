internal import CGatewayABI

/// What the saved state of a handler is called, and which edition of it a module writes and reads.
public struct Handover: Sendable, Hashable {
    /// The `state_format` of the ABI: only modules with the same one are asked to hand over to each other.
    public let format: UInt64
    /// The edition that is written; a reader finds it as `StateReader.version`.
    public let version: UInt32
    /// The editions that are read; others are refused before a single byte is looked at.
    public let readable: ClosedRange<UInt32>

    /// Names the state: keep `name` as long as later modules shall go on where earlier ones stopped.
    ///
    /// Raise `version` with every change of what is written. By default all versions up to it are read; a `readable`
    /// that reaches beyond it promises that later versions only append, and makes rolling back possible.
    public init(_ name: String, version: UInt32 = 1, readable: ClosedRange<UInt32>? = nil) {
        format = Self.digest(name)
        self.version = version
        self.readable = readable ?? 0...version
    }

    /// FNV-1a: any constant would do, it only has to be the same in every build. Never 0, which says "none".
    private static func digest(_ name: String) -> UInt64 {
        let digest = name.utf8.reduce(14_695_981_039_346_656_037 as UInt64) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
        return max(digest, 1)
    }

    /// The bytes of a generation that has them to hand over; they are copied, and checked to be for us.
    func reader(_ saved: UnsafePointer<gw_saved>, _ host: Host) throws(StateError) -> StateReader {
        guard unsafe saved.pointee.state_format == format else { throw .otherFormat }
        let version = unsafe saved.pointee.state_version
        guard readable.contains(version) else { throw .unreadableVersion(version) }
        let data = unsafe saved.pointee.data
        let bytes = unsafe [UInt8](UnsafeRawBufferPointer(start: data.ptr, count: data.len))
        let isCheckpoint = unsafe Self.flags(of: saved) & UInt32(GW_SAVED_CHECKPOINT) != 0
        return StateReader(bytes, version: version, isCheckpoint: isCheckpoint, host: host)
    }

    /// Since ABI 1.2: a gateway without them passes a struct that ends before.
    private static func flags(of saved: UnsafePointer<gw_saved>) -> UInt32 {
        guard let start = unsafe MemoryLayout<gw_saved>.offset(of: \.flags),
            unsafe Int(saved.pointee.struct_size) >= start + MemoryLayout<UInt32>.size
        else { return 0 }
        return unsafe saved.pointee.flags
    }

    /// Bytes left over mean that writer and reader disagree, unless a later edition appended them.
    func finish(_ reader: StateReader) throws(StateError) {
        guard reader.remaining == 0 || reader.version > version else { throw .leftOver(reader.remaining) }
    }
}
