/// Why a connection could not go on if the process died now.
enum LedgerObstacle: UInt8, CaseIterable {
    case tooMuchOutput = 1
    case noRoom = 2
    case halfCompressed = 3
    /// Of programs that keep no windows.
    case compressionContext = 4
    case halfDelivered = 5
    case halfSent = 6
    case job = 7
    case event = 8
    case pool = 9
    case request = 10
    case ending = 11
    case tooMuchQueued = 12

    var sentence: String {
        switch self {
        case .tooMuchOutput: "more waited for its peer than is kept"
        case .noRoom: "there was no room to keep what had come and what waited for its peer"
        case .halfCompressed: "a compressed message had come by half"
        case .compressionContext: "its peer compresses messages by those before them"
        case .halfDelivered: "its handler had been given a message by half"
        case .halfSent: "its handler had sent a message by half"
        case .job: "its handler waited for the end of work"
        case .event: "an event waited for its handler"
        case .pool: "a thread of the pool was at work for it"
        case .request: "a request was being answered"
        case .ending: "it was ending"
        case .tooMuchQueued: "there was no room to keep what waited for the pool"
        }
    }

    /// What waits for its peer is known to the last byte, so something may be said to it.
    var leavesRecord: Bool {
        switch self {
        case .tooMuchOutput, .noRoom, .request, .ending: false
        case .halfCompressed, .compressionContext, .halfDelivered, .halfSent, .job, .event, .pool, .tooMuchQueued:
            true
        }
    }
}
