/// What the first process keeps of a connection that is with the process of its handler. The worker's own.
final class AwayPeer {
    /// Where it is.
    var port: IsolatedPort
    /// The head of its request, as it came; empty once the connection has been given away.
    var head: [UInt8]
    /// What has been given, until the process says that it has it; and again while there is no process.
    var record: [UInt8]?
    /// What had come in when it went on with a whole message that no process had been done with, so that a second one that
    /// dies of the same is the last; nil otherwise.
    var owed: UInt64?
    /// A process may have died of taking it over: should a second one, it is the last.
    var isSuspect = false
    /// It was open in the process that has died, and nobody has told of its end.
    var owesEnd = false
    /// The process of the port that it was given to last (`IsolatedPort.process`).
    var process: UInt64 = 0

    init(_ port: IsolatedPort, head: [UInt8]) {
        self.port = port
        self.head = head
    }
}
