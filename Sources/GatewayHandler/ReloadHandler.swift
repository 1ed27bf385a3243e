/// Hears when a reload is about to replace the handler.
public protocol ReloadHandler: Handler {
    /// A newer generation has been started; what is kept is saved next, if at all. The reload may still fail.
    func reloadPending()

    /// A newer generation serves new clients; those that are still here stay until they are moved or leave.
    func draining()
}

extension ReloadHandler {
    public func reloadPending() {}
    public func draining() {}

    public func _onReloadPending() { reloadPending() }
    public func _onDraining() { draining() }
}
