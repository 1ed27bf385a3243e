/// When timers are due, to the nanosecond: a heap with the next one in front.
struct TimerSchedule {
    struct Entry {
        let due: UInt64
        let number: UInt64
    }

    private var entries: [Entry] = []

    /// The next one.
    var first: Entry? { entries.first }
    var count: Int { entries.count }

    mutating func insert(_ number: UInt64, at due: UInt64) {
        entries.append(Entry(due: due, number: number))
        var index = entries.count - 1
        while index > 0 {
            let parent = (index - 1) / 2
            if entries[parent].due <= due { return }
            entries.swapAt(index, parent)
            index = parent
        }
    }

    /// Takes the next one out if it is due.
    mutating func popFirst(until now: UInt64) -> Entry? {
        guard let first = entries.first, first.due <= now else { return nil }
        let last = entries.removeLast()
        if entries.isEmpty { return first }
        entries[0] = last
        sink(from: 0)
        return first
    }

    mutating func removeAll(where hasEnded: (_ number: UInt64) -> Bool) {
        entries.removeAll { hasEnded($0.number) }
        for index in stride(from: entries.count / 2 - 1, through: 0, by: -1) { sink(from: index) }
    }

    private mutating func sink(from start: Int) {
        var index = start
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2]
            where child < entries.count && entries[child].due < entries[least].due {
                least = child
            }
            if least == index { return }
            entries.swapAt(index, least)
            index = least
        }
    }
}
