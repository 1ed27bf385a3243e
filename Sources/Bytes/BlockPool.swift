import Glibc

/// The memory that queued output lives in: blocks of two sizes, handed out and taken back by one thread.
///
/// A block is cut from the heap when the pool is empty and goes back there when the pool is full, so a burst is
/// paid for once and a quiet gateway holds little.
@safe
public struct BlockPool: ~Copyable {
    /// What stands at the front of every block.
    @unsafe
    public struct Block {
        public var next: UnsafeMutablePointer<Block>?
        /// The bytes of this block: behind its header, or those of another owner that it refers to.
        public var base: UnsafeMutableRawPointer
        /// The first byte that has not been sent.
        public var start: Int
        /// Behind the last byte.
        public var end: Int
        /// Room at `base`; 0 in a block that refers to bytes elsewhere.
        public var capacity: Int
        public var shared: UnsafeMutablePointer<SharedBuffer>?
    }

    /// How many bytes a block of each size offers, with the header counted off.
    public enum Size: Int, Sendable {
        /// For a connection that gets an odd message from others.
        case small = 1024
        /// For a connection that is answering what it just received.
        case large = 32768
    }

    @unsafe
    private struct Shelf {
        var first: UnsafeMutablePointer<Block>?
        var count = 0
    }

    @unsafe
    private struct State {
        var small = unsafe Shelf()
        var large = unsafe Shelf()
        var references = unsafe Shelf()
    }

    private static let header = unsafe MemoryLayout<Block>.stride
    private let state: UnsafeMutablePointer<State>
    /// The one block for bytes that go out from where they came in; out of use while its `end` is 0.
    @usableFromInline let inPlaceRun: UnsafeMutablePointer<Block>

    public init() {
        unsafe state = .allocate(capacity: 1)
        unsafe state.initialize(to: State())
        unsafe inPlaceRun = Self.cut(Self.header)
        unsafe inPlaceRun.pointee = Block(
            next: nil, base: UnsafeMutableRawPointer(inPlaceRun), start: 0, end: 0, capacity: 0, shared: nil)
    }

    deinit {
        unsafe free(inPlaceRun)
        unsafe Self.empty(&state.pointee.small)
        unsafe Self.empty(&state.pointee.large)
        unsafe Self.empty(&state.pointee.references)
        unsafe state.deallocate()
    }

    /// An empty block; its owner gives it back.
    public func take(_ size: Size) -> UnsafeMutablePointer<Block> {
        let block: UnsafeMutablePointer<Block>
        switch size {
        case .small: unsafe block = Self.pop(&state.pointee.small) ?? Self.cut(size.rawValue)
        case .large: unsafe block = Self.pop(&state.pointee.large) ?? Self.cut(size.rawValue)
        }
        unsafe block.pointee = Block(
            next: nil, base: UnsafeMutableRawPointer(block) + Self.header, start: 0, end: 0,
            capacity: size.rawValue - Self.header, shared: nil)
        return unsafe block
    }

    /// A block that refers to shared bytes; it takes over one ownership of them.
    public func refer(to shared: UnsafeMutablePointer<SharedBuffer>, from start: Int) -> UnsafeMutablePointer<Block>? {
        guard let base = unsafe shared.pointee.start else { return nil }
        let block = unsafe Self.pop(&state.pointee.references) ?? Self.cut(Self.header)
        unsafe block.pointee = Block(
            next: nil, base: UnsafeMutableRawPointer(mutating: base), start: start, end: shared.pointee.count,
            capacity: 0, shared: shared)
        return unsafe block
    }

    /// Whether a queue refers to bytes that it was only lent.
    @inline(__always)
    public var hasInPlaceRun: Bool { unsafe inPlaceRun.pointee.end != 0 }

    /// Takes a block back from a queue.
    public func give(back block: UnsafeMutablePointer<Block>) {
        if let shared = unsafe block.pointee.shared {
            unsafe SharedBuffer.release(shared)
            unsafe Self.push(block, &state.pointee.references, atMost: 4096)
        } else if unsafe block == inPlaceRun {
            unsafe block.pointee.end = 0
        } else if unsafe block.pointee.capacity == Size.small.rawValue - Self.header {
            unsafe Self.push(block, &state.pointee.small, atMost: 1024)
        } else {
            unsafe Self.push(block, &state.pointee.large, atMost: 32)
        }
    }

    private static func cut(_ bytes: Int) -> UnsafeMutablePointer<Block> {
        guard let memory = unsafe malloc(bytes) else { fatalError("out of memory for \(bytes) bytes") }
        return unsafe memory.bindMemory(to: Block.self, capacity: 1)
    }

    private static func pop(_ largeBuffers: inout Shelf) -> UnsafeMutablePointer<Block>? {
        guard let block = unsafe largeBuffers.first else { return nil }
        unsafe largeBuffers.first = block.pointee.next
        unsafe largeBuffers.count -= 1
        return unsafe block
    }

    private static func push(_ block: UnsafeMutablePointer<Block>, _ largeBuffers: inout Shelf, atMost most: Int) {
        if unsafe largeBuffers.count >= most {
            unsafe free(block)
            return
        }
        unsafe block.pointee.next = largeBuffers.first
        unsafe largeBuffers.first = block
        unsafe largeBuffers.count += 1
    }

    private static func empty(_ largeBuffers: inout Shelf) {
        while let block = unsafe pop(&largeBuffers) { unsafe free(block) }
    }
}
