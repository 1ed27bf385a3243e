import CGatewayABI

/// The statuses of the ABI in the type that its functions return.
enum Status {
    static let ok = gw_status(GW_OK)
    static let backpressure = gw_status(GW_BACKPRESSURE)
    static let reject = gw_status(GW_REJECT)
    static let deferred = gw_status(GW_DEFER)
    static let closed = gw_status(GW_E_CLOSED)
    static let dropped = gw_status(GW_E_DROPPED)
    static let state = gw_status(GW_E_STATE)
    static let invalid = gw_status(GW_E_INVALID)
    static let limit = gw_status(GW_E_LIMIT)
    static let noMemory = gw_status(GW_E_NOMEM)
    static let unsupported = gw_status(GW_E_UNSUPPORTED)
    static let notFound = gw_status(GW_E_NOTFOUND)
    static let retired = gw_status(GW_E_RETIRED)
    static let thread = gw_status(GW_E_THREAD)
    static let failed = gw_status(GW_E_FAILED)
}
