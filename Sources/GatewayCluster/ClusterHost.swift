/// What the cluster needs of the gateway. All of it is called on threads of the cluster, and waits for nobody.
package protocol ClusterHost: AnyObject, Sendable {
    /// A publication of another gateway, for the members of a topic here.
    ///
    /// - Returns: false when it was given up, since too much waits for a worker.
    func deliver(
        _ topic: TopicName, _ id: PublicationID, isText: Bool, isPlain: Bool, _ payload: UnsafeRawBufferPointer
    ) -> Bool

    /// Members of a topic may have missed something; of any topic where none is named.
    func noteGap(_ topic: TopicName?)

    /// Members are here; what comes is subscribed to soon.
    func noteFollowed(_ topic: TopicName)

    /// Another program needs what comes for members that are not here any more, or not yet.
    var keepsTopics: Bool { get }

    func log(_ level: ClusterLogLevel, _ text: String)
}

package enum ClusterLogLevel: Sendable { case debug, info, warning, error }

/// What is counted.
package struct ClusterCounts: Sendable, Equatable {
    /// Handed to an engine.
    package var sent: UInt64 = 0
    /// Heard from other gateways.
    package var received: UInt64 = 0
    /// Publications that did not arrive, at whoever noticed.
    package var lost: UInt64 = 0
    /// What came from an engine and was no publication of a gateway.
    package var rejected: UInt64 = 0
    /// Times that handlers were told of a gap.
    package var gaps: UInt64 = 0
    /// Since when a publication was on its way that came last, in microseconds, as far as the clocks agree.
    package var lagMicroseconds: UInt64 = 0

    package init() {}
}

/// How it stands with one engine.
package struct LinkReport: Sendable, Equatable {
    /// Without a password.
    package var url: String
    package var isUp: Bool
    /// Nanoseconds of the monotonic clock.
    package var since: UInt64
    /// Engine, version and address; or why it is not up.
    package var text: String
    package var subscriptions: Int
    package var queuedBytes: Int
    package var connects: UInt64
    /// From a probe to its return, in microseconds; 0 before the first.
    package var probeMicroseconds: UInt64
}
