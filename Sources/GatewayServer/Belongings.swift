import Bytes

/// What few connections have, kept beside the slot so that the others do not pay for it. The worker's own.
final class Belongings {
    /// A topic the connection is subscribed to, and its place among the members there.
    struct Membership {
        let topic: LocalTopic
        var index: Int
    }

    var memberships: [Membership] = []
    /// Whole messages that wait for the end of an open fragment stream to the peer.
    var held = SendQueue()
}
