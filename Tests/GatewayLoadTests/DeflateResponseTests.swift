import GatewayLoad
import Testing

@Suite("RFC 7692 7.1, what a server answers to the offer of permessage-deflate")
struct DeflateResponseTests {
    @Test(arguments: [
        ("permessage-deflate", true, true),
        ("permessage-deflate; server_no_context_takeover", false, true),
        ("permessage-deflate;client_no_context_takeover ; server_no_context_takeover", false, false),
        ("permessage-deflate; server_max_window_bits=10", true, true),
        ("permessage-deflate; server_max_window_bits=\"15\"", true, true),
    ])
    func `says who keeps context`(_ text: String, _ server: Bool, _ client: Bool) {
        let response = DeflateResponse(text)
        #expect(response?.keepsContext == server)
        #expect(response?.clientKeepsContext == client)
    }

    @Test(arguments: [
        "", "x-webkit-deflate-frame", "permessage-deflate, permessage-deflate", "permessage-deflate; other",
        "permessage-deflate; client_max_window_bits=10", "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=16", "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover", "permessage-deflate;",
    ])
    func `what no server may answer is none`(_ text: String) {
        #expect(DeflateResponse(text) == nil)
    }
}
