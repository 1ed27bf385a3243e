import COpenSSL
import GatewayTLS
import Synchronization
import Testing

@Suite("The keys of tickets change every hour, and none decrypts for more than a day")
struct TicketKeysTests {
    /// Seconds that pass when the test says so.
    private final class HandClock: Sendable {
        let now = Atomic<UInt64>(1_000_000)
        func pass(_ seconds: UInt64) { now.add(seconds, ordering: .relaxed) }
    }

    private static let versions = [TLS1_2_VERSION, TLS1_3_VERSION]
    private let clock = HandClock()
    private let keys: TicketKeys

    init() {
        let clock = clock
        keys = TicketKeys { clock.now.load(ordering: .relaxed) }
    }

    /// A context with a certificate of its own, as after a reload with another one.
    private func context() throws -> TLSContext {
        let identity = try TestIdentity("DNS:a")
        return try TLSContext([TLSCertificate(identity.certificate, key: identity.key)], tickets: keys)
    }

    /// A session with a ticket, counted for OpenSSL.
    private final class Ticket {
        let session: OpaquePointer

        init(_ pair: TLSPair) {
            _ = pair.clientReads()
            session = SSL_get1_session(pair.client)
        }

        deinit { SSL_SESSION_free(session) }

        /// The name of the key stands in front (RFC 5077 4).
        var keyName: [UInt8] {
            var (bytes, count): (UnsafePointer<UInt8>?, Int) = (nil, 0)
            SSL_SESSION_get0_ticket(session, &bytes, &count)
            return Array(UnsafeBufferPointer(start: bytes, count: min(count, 16)))
        }
    }

    private func connect(_ version: Int32, with ticket: Ticket? = nil) throws -> TLSPair {
        let pair = TLSPair(try context(), versions: (version, version), session: ticket?.session)
        pair.shake()
        try #require(pair.isOpen)
        return pair
    }

    @Test("a session goes on for a day, with any context, and not longer", arguments: versions)
    func life(_ version: Int32) throws {
        let first = try connect(version)
        #expect(!first.layer.isResumed)
        let ticket = Ticket(first)
        #expect(SSL_SESSION_get_ticket_lifetime_hint(ticket.session) == 23 * 3600)
        for hours in [0, 1, 22] as [UInt64] {
            clock.pass(hours * TicketKeys.hour)
            #expect(try connect(version, with: ticket).layer.isResumed)
        }
        clock.pass(TicketKeys.hour - 1)
        #expect(try connect(version, with: ticket).layer.isResumed)
        clock.pass(1)
        // What is of no use does no harm: the handshake is a full one, and ends in a ticket that is good.
        let again = try connect(version, with: ticket)
        #expect(!again.layer.isResumed)
        #expect(try connect(version, with: Ticket(again)).layer.isResumed)
    }

    @Test(
        "a key encrypts for an hour; whoever comes with an older one gets a ticket of the new one", arguments: versions)
    func rotation(_ version: Int32) throws {
        let ticket = Ticket(try connect(version))
        clock.pass(TicketKeys.hour - 1)
        #expect(Ticket(try connect(version)).keyName == ticket.keyName)
        clock.pass(1)
        let resumed = try connect(version, with: ticket)
        #expect(resumed.layer.isResumed)
        let renewed = Ticket(resumed)
        #expect(renewed.keyName != ticket.keyName)
        #expect(Ticket(try connect(version)).keyName == renewed.keyName)
    }

    @Test("a ticket of somebody else is of no use", arguments: versions)
    func forgery(_ version: Int32) throws {
        let ticket = Ticket(try connect(version))
        let others = TicketKeys { 1 }
        let identity = try TestIdentity("DNS:a")
        let elsewhere = try TLSContext([TLSCertificate(identity.certificate, key: identity.key)], tickets: others)
        let pair = TLSPair(elsewhere, versions: (version, version), session: ticket.session)
        pair.shake()
        #expect(pair.isOpen && !pair.layer.isResumed)
    }
}
