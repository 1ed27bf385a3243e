import CGatewayABI
import HandlerModules
import Testing

@Suite("Statuses and versions are shown by name")
struct StatusNameTests {
    @Test(arguments: [
        (GW_OK, "GW_OK"), (GW_BACKPRESSURE, "GW_BACKPRESSURE"), (GW_REJECT, "GW_REJECT"), (GW_DEFER, "GW_DEFER"),
        (GW_E_CLOSED, "GW_E_CLOSED"), (GW_E_DROPPED, "GW_E_DROPPED"), (GW_E_STATE, "GW_E_STATE"),
        (GW_E_INVALID, "GW_E_INVALID"), (GW_E_LIMIT, "GW_E_LIMIT"), (GW_E_NOMEM, "GW_E_NOMEM"),
        (GW_E_UNSUPPORTED, "GW_E_UNSUPPORTED"), (GW_E_NOTFOUND, "GW_E_NOTFOUND"), (GW_E_RETIRED, "GW_E_RETIRED"),
        (GW_E_THREAD, "GW_E_THREAD"), (GW_E_FAILED, "GW_E_FAILED"), (-99, "-99"), (4, "4"),
    ])
    func `names`(_ status: Int, _ name: String) {
        #expect(StatusName.of(gw_status(status)) == name)
    }

    @Test func `versions`() {
        #expect("\(ABIVersion.current)" == "1.2")
        #expect("\(ABIVersion(number: 0x10003))" == "1.3")
        #expect("\(ABIVersion(number: .max))" == "65535.65535")
    }
}
