package import CGatewayABI

/// The names of gw_status values, for people.
package enum StatusName {
    /// "GW_E_INVALID", or the number where there is no name.
    package static func of(_ status: gw_status) -> String {
        switch Int(status) {
        case GW_OK: "GW_OK"
        case GW_BACKPRESSURE: "GW_BACKPRESSURE"
        case GW_REJECT: "GW_REJECT"
        case GW_DEFER: "GW_DEFER"
        case GW_E_CLOSED: "GW_E_CLOSED"
        case GW_E_DROPPED: "GW_E_DROPPED"
        case GW_E_STATE: "GW_E_STATE"
        case GW_E_INVALID: "GW_E_INVALID"
        case GW_E_LIMIT: "GW_E_LIMIT"
        case GW_E_NOMEM: "GW_E_NOMEM"
        case GW_E_UNSUPPORTED: "GW_E_UNSUPPORTED"
        case GW_E_NOTFOUND: "GW_E_NOTFOUND"
        case GW_E_RETIRED: "GW_E_RETIRED"
        case GW_E_THREAD: "GW_E_THREAD"
        case GW_E_FAILED: "GW_E_FAILED"
        default: "\(status)"
        }
    }
}
