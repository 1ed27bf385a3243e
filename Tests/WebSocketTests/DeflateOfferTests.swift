import HTTP
import Testing
import WebSocket

/// A handshake whose lines of Sec-WebSocket-Extensions have these values.
func handshake(offering values: [String]) throws -> RequestHead {
    let lines = ["GET / HTTP/1.1", "Host: localhost"] + values.map { "Sec-WebSocket-Extensions: \($0)" } + ["", ""]
    let bytes = Array(lines.joined(separator: "\r\n").utf8)
    var reader = RequestHeadReader()
    guard case .head(let head, _) = try reader.read(bytes.span.bytes) else { throw RequestHeadError.badRequestLine }
    return head
}

@Suite("RFC 7692 7.1, an offer of permessage-deflate")
struct DeflateOfferTests {
    private func read(_ text: String) throws -> [DeflateOffer?] {
        let head = try handshake(offering: [text])
        return head.elements(of: "sec-websocket-extensions").map { DeflateOffer($0, in: head) }
    }

    @Test func `every parameter has its place`() throws {
        var wanted = DeflateOffer()
        #expect(try read("permessage-deflate") == [wanted])
        wanted.serverNoContextTakeover = true
        #expect(try read("permessage-deflate; server_no_context_takeover") == [wanted])
        wanted.clientNoContextTakeover = true
        #expect(try read("permessage-deflate;client_no_context_takeover ;server_no_context_takeover") == [wanted])
        wanted.serverMaxWindowBits = 10
        wanted.clientMaxWindowBits = 15
        #expect(
            try read(
                "permessage-deflate; client_max_window_bits; server_max_window_bits=10; client_no_context_takeover"
                    + "; server_no_context_takeover") == [wanted])
        wanted = DeflateOffer()
        wanted.clientMaxWindowBits = 9
        #expect(try read("permessage-deflate; client_max_window_bits = 9") == [wanted])
    }

    @Test(arguments: 8...15) func `windows have 8 to 15 bits`(bits: Int) throws {
        var wanted = DeflateOffer()
        wanted.serverMaxWindowBits = bits
        wanted.clientMaxWindowBits = bits
        for value in ["\(bits)", "\"\(bits)\"", "\"\\\(bits)\""] {
            let text = "permessage-deflate; server_max_window_bits=\(value); client_max_window_bits=\(value)"
            #expect(try read(text) == [wanted])
        }
    }

    @Test(arguments: [
        "server_max_window_bits", "server_max_window_bits=7", "server_max_window_bits=16", "server_max_window_bits=08",
        "server_max_window_bits=", "server_max_window_bits=\"\"", "server_max_window_bits=-9",
        "server_max_window_bits=1e1", "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits=7", "client_max_window_bits=16", "client_max_window_bits=\"15",
        "client_max_window_bits=\"1 5\"", "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits=9; client_max_window_bits", "server_no_context_takeover=1",
        "server_no_context_takeover=true", "client_no_context_takeover=\"\"", "client_no_context_takeover=0",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover", "level", "level=9", "Server_No_Context_Takeover",
        "", "=", "=9", "client_max_window_bits 9", "client_no_context_takeover;", "; client_no_context_takeover",
        "client_max_window_bits=9 9", "client_max_window_bits=\"9\"9",
    ])
    func `anything else declines it`(parameters: String) throws {
        #expect(try read("permessage-deflate; \(parameters)") == [nil])
    }

    @Test(arguments: [
        "permessage-bzip2", "x-webkit-deflate-frame", "Permessage-Deflate", "permessage-deflate2",
        "\"permessage-deflate\"",
        "permessage-deflate=1",
    ])
    func `other extensions are none`(name: String) throws {
        #expect(try read(name) == [nil])
    }
}
