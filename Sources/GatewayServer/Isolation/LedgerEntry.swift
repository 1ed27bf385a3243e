/// What the ledger says of one connection, in words of eight bytes: its counts, and where the rest of it lies.
struct LedgerEntry: Equatable {
    /// Which word it is. The counts, up to `moment`, change with every message.
    enum Word: Int, CaseIterable {
        case id
        case bytesIn
        case bytesOut
        case messagesIn
        case messagesOut
        /// When the last message came or went, in ticks, and above that what stands in the way (`LedgerState`).
        case moment
        /// Where a frame begins that can be given up, as `RareState.border` counts; one more than that, 0 for none.
        case border
        /// Where in the file its record lies; 0 for none, and so with those that follow.
        case record
        case checkpoint
        /// What waits for the pool, and a message that has come by half, and in the lower half of `lengths` the bytes of that.
        case message
        /// What waits for the peer, and in the upper half of `lengths` the bytes of that.
        case output
        /// What had gone out before that, as `bytesOut` counts.
        case outputStart
        case lengths
    }

    static let count = 13
    /// The words that change with every message.
    static let counts = Word.bytesIn.rawValue...Word.moment.rawValue

    private(set) var words = InlineArray<13, UInt64>(repeating: 0)

    subscript(word: Word) -> UInt64 {
        @inline(__always) get { words[word.rawValue] }
        @inline(__always) set { words[word.rawValue] = newValue }
    }

    subscript(index: Int) -> UInt64 {
        @inline(__always) get { words[index] }
        @inline(__always) set { words[index] = newValue }
    }

    var state: LedgerState {
        get { LedgerState(rawValue: UInt32(truncatingIfNeeded: self[.moment] >> 32)) }
        set { self[.moment] = UInt64(newValue.rawValue) << 32 | self[.moment] & 0xFFFF_FFFF }
    }

    var lastMessage: UInt32 { UInt32(truncatingIfNeeded: self[.moment]) }

    var messageLength: Int {
        get { Int(self[.lengths] & 0xFFFF_FFFF) }
        set { self[.lengths] = self[.lengths] & ~0xFFFF_FFFF | UInt64(newValue) }
    }

    var outputLength: Int {
        get { Int(self[.lengths] >> 32) }
        set { self[.lengths] = UInt64(newValue) << 32 | self[.lengths] & 0xFFFF_FFFF }
    }

    static func == (one: LedgerEntry, other: LedgerEntry) -> Bool {
        (0..<count).allSatisfy { one.words[$0] == other.words[$0] }
    }

    // MARK: Whether it is whole

    /// Each word and the sequence number count with another odd factor, so that one that is wrong changes the sum.
    @inline(__always)
    private static func term(_ index: Int, _ word: UInt64) -> UInt64 {
        word &* (UInt64(truncatingIfNeeded: index &* 2 &+ 3) &* 0x9E37_79B9_7F4A_7C15 | 1)
    }

    @inline(__always)
    static func term(ofSequence sequence: UInt64) -> UInt64 { term(count, sequence &+ 0x6C65_6467_6572) }

    /// Of the words that change with every message.
    @inline(__always)
    var sumOfCounts: UInt64 {
        var sum: UInt64 = 0
        for index in Self.counts { sum &+= Self.term(index, words[index]) }
        return sum
    }

    /// Of the others.
    var sumOfRest: UInt64 {
        var sum = Self.term(0, words[0])
        for index in Self.counts.upperBound + 1..<Self.count { sum &+= Self.term(index, words[index]) }
        return sum
    }

    func sum(_ sequence: UInt64) -> UInt64 { sumOfCounts &+ sumOfRest &+ Self.term(ofSequence: sequence) }
}

/// What stands in the way of a connection that is to go on in another process, beside what few bits say.
struct LedgerState: OptionSet {
    let rawValue: UInt32

    /// It is from the midst of an event of the connection: output has left of which its state knows nothing.
    static let isInside = LedgerState(rawValue: 1 << 0)
    /// A sender was told to wait.
    static let owesDrained = LedgerState(rawValue: 1 << 1)
    /// The connection has ended.
    static let isGone = LedgerState(rawValue: 1 << 2)
    /// It has left for the next process, which may not have had it yet: its record is whole, and all there is.
    static let isGiven = LedgerState(rawValue: 1 << 3)
    /// It was opened, and nobody has told of its end: its handler, the access log, who follows it.
    static let isOpened = LedgerState(rawValue: 1 << 4)
    /// What waits for the pool is written down where the message is that has come by half, and that behind it. Programs
    /// that do not know of it see what they would have written, that a thread of the pool is at work.
    static let isQueued = LedgerState(rawValue: 1 << 5)
}

extension LedgerState {
    /// It is here no longer.
    var hasLeft: Bool { !isDisjoint(with: [.isGone, .isGiven]) }

    init(_ obstacle: LedgerObstacle?) { self.init(rawValue: UInt32(obstacle?.rawValue ?? 0) << 8) }

    var obstacle: LedgerObstacle? {
        contains(.isQueued) ? nil : LedgerObstacle(rawValue: UInt8(truncatingIfNeeded: rawValue >> 8))
    }

    /// Calls are written down, of which so many have been run that lie among pieces of a message.
    init(behind skipped: Int) {
        let state = LedgerState(.pool).union(.isQueued)
        self.init(rawValue: state.rawValue | UInt32(UInt16(clamping: skipped)) << 16)
    }

    /// How many of the calls that are no messages are not to be run again.
    var skipped: Int { Int(rawValue >> 16) }
}

/// The place of a connection in the ledger: two entries, of which the lower bit of the sequence number says which one
/// holds. The other one is written to, so that there is a whole one at every moment.
///
///     [ sequence ][ running ][ entry, sum ][ entry, sum ]
enum LedgerSlot {
    static let size = 256
    /// What a thread of the pool is at: twice the number of the last message that has come to it, and one; 0 for nothing.
    static let running = 8

    /// Where the entry of a sequence number lies in the slot.
    @inline(__always)
    static func entry(_ sequence: UInt64) -> Int { 16 + Int(sequence & 1) * (LedgerEntry.count + 1) * 8 }

    /// The entry that holds in the words of a slot.
    ///
    /// - Returns: nil where it is not whole.
    static func read(_ words: [UInt64]) -> LedgerEntry? {
        let sequence = words[0]
        let first = entry(sequence) / 8
        var entry = LedgerEntry()
        for index in 0..<LedgerEntry.count { entry[index] = words[first + index] }
        return words[first + LedgerEntry.count] == entry.sum(sequence) ? entry : nil
    }
}
