import Synchronization

/// A topic as an engine knows it, found once: whoever publishes to it again needs to look for nothing.
@safe package final class SharedTopic: Sendable {
    enum Place: Sendable {
        /// It ends here.
        case local
        /// It is shared, and no engine carries a name of this length.
        case unnameable
        case at(ClusterLink, NumberedName)
    }

    let place: Place
    /// Of the cluster when it was found.
    let version: UInt64
    /// Of `place`, which keeps them, for publishing without counting references.
    private let queue: Unmanaged<LinkQueue>?
    private let name: Unmanaged<NumberedName>?

    init(_ place: Place, version: UInt64) {
        (self.place, self.version) = (place, version)
        if case .at(let link, let name) = place {
            unsafe (queue, self.name) = (.passUnretained(link.queue), .passUnretained(name))
        } else {
            unsafe (queue, name) = (nil, nil)
        }
    }

    /// Sends a publication to the other gateways, once the topic rings, if that takes nothing but a place in the queue.
    ///
    /// - Returns: whether more than half of the queue waits, and whether somebody has to ring; nil when it was not taken:
    ///   `Cluster.publish` knows why.
    @inline(__always)
    package func publish(
        isText: Bool, isPlain: Bool, _ payload: UnsafeRawBufferPointer, at now: UInt64
    ) -> (isHigh: Bool, isAwaited: Bool)? {
        guard let queue = unsafe queue, let name = unsafe name else { return nil }
        return unsafe queue._withUnsafeGuaranteedRef { queue in
            unsafe name._withUnsafeGuaranteedRef { name in
                unsafe queue.tryAppend(name, Envelope.Flags(isText: isText, isPlain: isPlain), payload, at: now)
            }
        }
    }

    /// Something has been published to it.
    package func ring() { if case .at(let link, _) = place { link.ring() } }
}
