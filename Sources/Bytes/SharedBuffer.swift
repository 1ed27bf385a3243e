import Glibc
public import Synchronization

/// Immutable bytes with many owners, counted; this is what a `gw_buf` points at.
///
/// Any thread may retain and release. Three kinds: bytes behind the header in one allocation, bytes of a handler that
/// are handed back through its release function, and bytes that are only lent for the length of a callback (these are
/// not counted; a callee that wants to keep them copies).
@unsafe
public struct SharedBuffer: ~Copyable {
    public typealias Release = @convention(c) (UnsafeMutableRawPointer?) -> Void

    private let owners: Atomic<Int>
    public private(set) var start: UnsafeRawPointer?
    public private(set) var count: Int
    /// True when the bytes die with the callback that lends them.
    public let isBorrowed: Bool
    private let release: Release?
    private let context: UnsafeMutableRawPointer?
    /// Told when the last owner lets go; keeps whatever must outlive the bytes, a generation for instance.
    private let keeper: UnsafeMutablePointer<Atomic<Int>>?
    /// What it was told when they came to be, and is told back.
    private let weight: Int

    private init(
        start: UnsafeRawPointer?, count: Int, isBorrowed: Bool, release: Release? = nil,
        context: UnsafeMutableRawPointer? = nil, keeper: UnsafeMutablePointer<Atomic<Int>>? = nil,
        weight: Int = 1
    ) {
        unsafe owners = Atomic(1)
        unsafe self.start = start
        unsafe self.count = count
        unsafe self.isBorrowed = isBorrowed
        unsafe self.release = release
        unsafe self.context = context
        unsafe self.keeper = keeper
        unsafe self.weight = weight
    }

    public var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: start, count: count) }

    /// A copy with one owner; nil when there is no memory. A keeper is told how many bytes it is, for as long as it is.
    public static func copy(
        _ bytes: UnsafeRawBufferPointer, keeper: UnsafeMutablePointer<Atomic<Int>>? = nil
    ) -> UnsafeMutablePointer<SharedBuffer>? {
        let header = unsafe MemoryLayout<SharedBuffer>.size
        let size = header.addingReportingOverflow(bytes.count)
        guard !size.overflow, let memory = unsafe malloc(size.partialValue) else { return nil }
        let payload = unsafe memory + header
        if let source = bytes.baseAddress { unsafe memcpy(payload, source, bytes.count) }
        let shared = unsafe memory.bindMemory(to: SharedBuffer.self, capacity: 1)
        unsafe keeper?.pointee.add(bytes.count, ordering: .relaxed)
        unsafe shared.initialize(
            to: SharedBuffer(
                start: payload, count: bytes.count, isBorrowed: false, keeper: keeper, weight: bytes.count))
        return unsafe shared
    }

    /// A copy of two runs, one behind the other; nil when there is no memory.
    public static func join(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer
    ) -> UnsafeMutablePointer<SharedBuffer>? {
        let header = unsafe MemoryLayout<SharedBuffer>.size
        let count = first.count.addingReportingOverflow(second.count)
        let size = header.addingReportingOverflow(count.partialValue)
        guard !count.overflow, !size.overflow, let memory = unsafe malloc(size.partialValue) else { return nil }
        let payload = unsafe memory + header
        if let source = first.baseAddress { unsafe memcpy(payload, source, first.count) }
        if let source = second.baseAddress { unsafe memcpy(payload + first.count, source, second.count) }
        let shared = unsafe memory.bindMemory(to: SharedBuffer.self, capacity: 1)
        unsafe shared.initialize(to: SharedBuffer(start: payload, count: count.partialValue, isBorrowed: false))
        return unsafe shared
    }

    /// Bytes that stay where they are until the last owner lets go; nil when there is no memory, and then
    /// nothing was taken over.
    public static func wrap(
        _ bytes: UnsafeRawBufferPointer, release: Release?, context: UnsafeMutableRawPointer?,
        keeper: UnsafeMutablePointer<Atomic<Int>>?
    ) -> UnsafeMutablePointer<SharedBuffer>? {
        guard let memory = unsafe malloc(MemoryLayout<SharedBuffer>.size) else { return nil }
        let shared = unsafe memory.bindMemory(to: SharedBuffer.self, capacity: 1)
        unsafe keeper?.pointee.add(1, ordering: .relaxed)
        unsafe shared.initialize(
            to: SharedBuffer(
                start: bytes.baseAddress, count: bytes.count, isBorrowed: false, release: release, context: context,
                keeper: keeper))
        return unsafe shared
    }

    /// A header for bytes that are lent, which is pointed at other ones for every callback.
    public static func borrowed() -> UnsafeMutablePointer<SharedBuffer> {
        let shared = UnsafeMutablePointer<SharedBuffer>.allocate(capacity: 1)
        unsafe shared.initialize(to: SharedBuffer(start: nil, count: 0, isBorrowed: true))
        return unsafe shared
    }

    /// Lender only: what the next callback borrows.
    public mutating func borrow(_ bytes: UnsafeRawBufferPointer) {
        unsafe start = bytes.baseAddress
        unsafe count = bytes.count
    }

    /// Adds an owner.
    public func retain() { unsafe owners.add(1, ordering: .relaxed) }

    /// Takes an owner away; the last one frees the bytes.
    public static func release(_ shared: UnsafeMutablePointer<SharedBuffer>) {
        if unsafe shared.pointee.isBorrowed { return }
        let left = unsafe shared.pointee.owners.subtract(1, ordering: .acquiringAndReleasing).newValue
        if left > 0 { return }
        unsafe shared.pointee.release?(shared.pointee.context)
        unsafe shared.pointee.keeper?.pointee.subtract(shared.pointee.weight, ordering: .releasing)
        unsafe shared.deinitialize(count: 1)
        unsafe free(shared)
    }
}
