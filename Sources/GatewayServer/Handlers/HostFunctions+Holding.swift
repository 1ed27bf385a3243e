import CGatewayABI

extension HostFunctions {
    static func fillHolding(_ table: inout gw_host) {
        unsafe table.hold = { host, instance in
            unsafe HostContext.with(host, else: Status.invalid) { $0.hold(instance) }
        }
        unsafe table.release = { host, instance in
            unsafe HostContext.with(host, else: Status.invalid) { $0.release(instance) }
        }
    }
}

extension HostContext {
    func hold(_ instance: gw_instance) -> gw_status {
        if server.isProbe { return Status.ok }
        return switch find(instance: instance) {
        case .found(let instanceContext): instanceContext.hold() ? Status.ok : Status.retired
        case .refused(let status): status
        }
    }

    func release(_ instance: gw_instance) -> gw_status {
        if server.isProbe { return Status.ok }
        return switch find(instance: instance) {
        case .found(let instanceContext): instanceContext.release() ? Status.ok : Status.state
        case .refused(let status): status
        }
    }
}
