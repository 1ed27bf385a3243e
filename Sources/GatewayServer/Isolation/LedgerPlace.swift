/// What a worker knows of the entry of a slot that it has written: where things lie, and what has changed since. All zero
/// for a slot that was never written.
struct LedgerPlace {
    struct Flags: OptionSet {
        let rawValue: UInt8

        /// It is to be looked at when the event is over.
        static let touched = Flags(rawValue: 1 << 0)
        /// Something has changed that the record says.
        static let stale = Flags(rawValue: 1 << 1)
        /// A callback has run that was no message, since the handler saved last.
        static let called = Flags(rawValue: 1 << 2)
        /// The checkpoint is newer than the entry that holds.
        static let isFresh = Flags(rawValue: 1 << 3)
        /// By the record nothing has come by half.
        static let isQuiet = Flags(rawValue: 1 << 4)
        /// It is listed for the next checkpoint at intervals.
        static let waits = Flags(rawValue: 1 << 5)
    }

    /// Whose it is; 0 for nobody's.
    var id: UInt64 = 0
    var sequence: UInt64 = 0
    var entry = LedgerEntry()
    /// Of the words of the entry that do not change with every message, and how many of the two entries have them.
    var sumOfRest: UInt64 = 0
    var agreeing: UInt8 = 0
    var flags: Flags = []
    /// That the record is of.
    var phase = Connection.Phase.head
    var record = LedgerArena.Block()
    /// How many messages had come when it was made.
    var recordedMessages: UInt64 = 0
    var checkpoint = LedgerArena.Block()
    /// For the next checkpoint, so that the entry that holds has its own.
    var spare = LedgerArena.Block()
    var message = LedgerArena.Block()
    /// How much of the message is there, and how many there were before it.
    var messageBytes = 0
    var messageNumber: UInt64 = 0
    var output = LedgerArena.Block()
    /// What will have gone out with what is there, as `bytesOut` counts.
    var outputEnd: UInt64 = 0
    /// How many messages the handler had been given when it saved last.
    var savedMessages: UInt64 = 0

    /// Changes a word of those that do not change with every message.
    mutating func set(_ word: LedgerEntry.Word, _ value: UInt64) {
        if entry[word] == value { return }
        entry[word] = value
        agreeing = 0
    }

    mutating func set(messageLength: Int? = nil, outputLength: Int? = nil) {
        var next = entry
        if let messageLength { next.messageLength = messageLength }
        if let outputLength { next.outputLength = outputLength }
        set(.lengths, next[.lengths])
    }
}
