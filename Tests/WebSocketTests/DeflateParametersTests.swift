import HTTP
import Testing
import WebSocket

@Suite("RFC 7692 7.1, what the server answers to offers of permessage-deflate")
struct DeflateParametersTests {
    private func choose(_ offers: [String], keepsContext: Bool = true, windowBits: Int = 15) throws
        -> DeflateParameters?
    {
        let head = try handshake(offering: offers)
        return DeflateParameters.choose(
            among: Array(head.elements(of: "sec-websocket-extensions")), of: head,
            .init(keepsContext: keepsContext, windowBits: windowBits))
    }

    private func answer(_ offers: String..., keepsContext: Bool = true, windowBits: Int = 15) throws -> String? {
        try choose(offers, keepsContext: keepsContext, windowBits: windowBits).map {
            String(decoding: $0.response, as: UTF8.self)
        }
    }

    @Test(arguments: [
        ("", ""), ("; client_max_window_bits", ""), ("; client_max_window_bits=15", ""),
        ("; client_max_window_bits=8", "; client_max_window_bits=8"),
        ("; client_max_window_bits=12", "; client_max_window_bits=12"),
        ("; server_max_window_bits=15", "; server_max_window_bits=15"),
        ("; server_max_window_bits=9", "; server_max_window_bits=9"),
        ("; server_no_context_takeover", "; server_no_context_takeover"),
        ("; client_no_context_takeover", "; client_no_context_takeover"),
        (
            "; server_max_window_bits=10; client_max_window_bits; client_no_context_takeover",
            "; client_no_context_takeover; server_max_window_bits=10"
        ),
    ])
    func `what the client asks for it gets`(offered: String, answered: String) throws {
        #expect(try answer("permessage-deflate" + offered) == "permessage-deflate" + answered)
    }

    @Test func `a server without contexts says so unasked`() throws {
        let both = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        #expect(try answer("permessage-deflate", keepsContext: false) == both)
        #expect(try answer("permessage-deflate; server_no_context_takeover", keepsContext: false) == both)
    }

    @Test func `a small window is used unasked, and said where it was asked about`() throws {
        #expect(try answer("permessage-deflate", windowBits: 10) == "permessage-deflate")
        let parameters = try choose(["permessage-deflate"], windowBits: 10)
        #expect(parameters?.serverWindowBits == 10)
        // RFC 7692 7.1.2.2: a client that has not offered it cannot be told.
        #expect(parameters?.clientWindowBits == 15)
        #expect(
            try answer("permessage-deflate; server_max_window_bits=12; client_max_window_bits", windowBits: 10)
                == "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10")
        #expect(
            try answer("permessage-deflate; server_max_window_bits=9; client_max_window_bits=9", windowBits: 10)
                == "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9")
    }

    @Test func `the first offer that can be served is`() throws {
        #expect(
            try answer(
                "x-unknown, permessage-deflate; level=9, permessage-deflate; server_max_window_bits=8",
                "permessage-deflate; server_max_window_bits=11, permessage-deflate")
                == "permessage-deflate; server_max_window_bits=11")
        #expect(try answer("permessage-deflate, permessage-deflate; server_max_window_bits=11") == "permessage-deflate")
    }

    @Test func `a window that zlib does not deflate with, and nothing that fits, are declined`() throws {
        #expect(try answer("permessage-deflate; server_max_window_bits=8") == nil)
        #expect(try answer("x-unknown; a=\"b, permessage-deflate\"") == nil)
        #expect(try answer() == nil)
    }
}
