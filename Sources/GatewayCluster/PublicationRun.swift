import Bytes

/// Publications one behind the other in one piece of memory, each with room for the head of its envelope in front, so that
/// an engine gets them from where the publisher has put them.
@safe struct PublicationRun: Sendable {
    /// So many bytes lie together.
    static let capacity = 128 * 1024
    /// So many publications: what goes to an engine at once.
    static let most = Engine.batch
    /// From here on a payload has a piece of memory of its own, and is copied while nobody waits for the queue.
    static let large = 16 * 1024

    struct Entry: Sendable {
        let number: UInt64
        /// Monotonic nanoseconds.
        let at: UInt64
        /// Where the head is to be, behind which the payload is.
        let offset: Int
        /// Of the payload.
        let count: Int
        /// What it counts.
        let weight: Int
        /// Which of the names of the run.
        let name: Int
        let flags: Envelope.Flags
    }

    /// Publications of nothing are bounded as well.
    @inline(__always)
    static func weight(_ name: NumberedName, _ count: Int) -> Int { name.count + count + Envelope.headLength + 64 }

    @safe private final class Memory: Sendable {
        let bytes: SendablePointer<UnsafeMutableRawPointer>
        let entries: SendablePointer<UnsafeMutablePointer<Entry>>
        let capacity: Int
        let most: Int

        init(_ capacity: Int, _ most: Int) {
            unsafe bytes = SendablePointer(.allocate(byteCount: capacity, alignment: 8))
            unsafe entries = SendablePointer(.allocate(capacity: most))
            (self.capacity, self.most) = (capacity, most)
        }

        deinit {
            unsafe bytes.pointer.deallocate()
            unsafe entries.pointer.deallocate()
        }
    }

    private let memory: Memory
    private var used = 0
    /// The first one that waits, and the end of them.
    private var first = 0
    private var end = 0
    private var names: [NumberedName] = []
    /// The last of them, which most publications are to.
    private var newest: Unmanaged<NumberedName>?
    /// Of those that wait.
    private(set) var weight = 0

    init() { memory = Memory(Self.capacity, Self.most) }

    /// For one payload, which is copied here and waits for its name and number.
    init(holding payload: UnsafeRawBufferPointer) {
        memory = Memory(Envelope.headLength + payload.count, 1)
        unsafe copy(payload)
    }

    var count: Int { end - first }
    var isEmpty: Bool { first == end }
    var oldest: UInt64? { isEmpty ? nil : self[0].at }

    /// One of those that wait.
    subscript(_ index: Int) -> Entry {
        precondition(index >= 0 && index < count, "publication \(index) of \(count)")
        return unsafe memory.entries.pointer[first + index]
    }

    func name(of entry: Entry) -> NumberedName { names[entry.name] }

    /// Head and payload, for as long as there is a copy of the run. Nobody else looks at them meanwhile.
    func whole(_ entry: Entry) -> UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(
            start: memory.bytes.pointer + entry.offset, count: Envelope.headLength + entry.count)
    }

    func payload(_ entry: Entry) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(whole(entry))[Envelope.headLength...])
    }

    /// One more of so many bytes goes in.
    @inline(__always)
    func hasRoom(for count: Int) -> Bool {
        end < memory.most && used &+ Envelope.headLength &+ count <= memory.capacity
    }

    @inline(__always)
    private func copy(_ payload: UnsafeRawBufferPointer) {
        guard let from = payload.baseAddress else { return }
        unsafe (memory.bytes.pointer + (used &+ Envelope.headLength)).copyMemory(from: from, byteCount: payload.count)
    }

    /// Puts one in, for which there is room.
    @inline(__always)
    mutating func append(
        _ name: NumberedName, _ number: UInt64, _ flags: Envelope.Flags, _ payload: UnsafeRawBufferPointer,
        weight: Int, at: UInt64
    ) {
        unsafe copy(payload)
        note(name, number, flags, payload.count, weight: weight, at: at)
    }

    /// The payload that is held belongs to a name.
    @inline(__always)
    mutating func note(
        _ name: NumberedName, _ number: UInt64, _ flags: Envelope.Flags, _ count: Int, weight: Int, at: UInt64
    ) {
        if unsafe newest?.toOpaque() != Unmanaged.passUnretained(name).toOpaque() { begin(name) }
        let entry = Entry(
            number: number, at: at, offset: used, count: count, weight: weight, name: names.count &- 1, flags: flags)
        unsafe (memory.entries.pointer + end).initialize(to: entry)
        end &+= 1
        used &+= Envelope.headLength &+ count
        self.weight &+= weight
    }

    @inline(never)
    private mutating func begin(_ name: NumberedName) {
        names.append(name)
        unsafe newest = .passUnretained(name)
    }

    /// The oldest ones wait no more.
    mutating func drop(_ count: Int) {
        for index in 0..<count { weight -= self[index].weight }
        first += count
    }

    /// For others of any size.
    mutating func empty() {
        names.removeAll(keepingCapacity: true)
        unsafe newest = nil
        (first, end, used, weight) = (0, 0, 0, 0)
    }

    /// Its memory is worth keeping.
    var isOfUse: Bool { memory.capacity == Self.capacity }
}
