/// Hears when members of topics may have missed what other gateways published, or a process of a handler that has died.
public protocol GapHandler: Handler {
    /// Members here of a topic, the route's or the gateway's, may have missed something; `nil`: those of any topic.
    ///
    /// What is published elsewhere comes again by then. A publication with `local` tells those who have to ask anew.
    func gap(in topic: String?)
}

extension GapHandler {
    public func _onGap(_ topic: String?) { gap(in: topic) }
}
