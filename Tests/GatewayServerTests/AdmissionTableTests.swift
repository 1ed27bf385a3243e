import GatewayConfiguration
import Testing

@testable import GatewayServer

@Suite("max_connections_per_ip: how many one address has")
struct AdmissionTableTests {
    private let table = AdmissionTable()
    private let one = AdmissionTable.Key(scope: 0, address: NetworkAddress("10.0.0.1")!)
    private let other = AdmissionTable.Key(scope: 0, address: NetworkAddress("10.0.0.2")!)

    @Test func `the limit, one more is refused, and one that left makes room`() {
        var tickets = (0..<3).map { _ in AdmissionTicket(table, [(one, 3)]) }
        #expect(tickets.allSatisfy { $0 != nil })
        #expect(AdmissionTicket(table, [(one, 3)]) == nil)
        #expect(AdmissionTicket(table, [(other, 3)]) != nil)
        tickets[1] = nil
        let fourth = AdmissionTicket(table, [(one, 3)])
        #expect(fourth != nil && AdmissionTicket(table, [(one, 3)]) == nil)
        withExtendedLifetime((tickets, fourth)) {}
    }

    @Test func `a limit that is lowered holds for those who come`() {
        let tickets = (0..<3).map { _ in AdmissionTicket(table, [(one, 3)]) }
        #expect(AdmissionTicket(table, [(one, 2)]) == nil && AdmissionTicket(table, [(one, 4)]) != nil)
        withExtendedLifetime(tickets) {}
    }

    @Test func `who is refused by one limit is not counted by another`() {
        let narrow = AdmissionTable.Key(scope: 1, address: one.address)
        let first = AdmissionTicket(table, [(one, 2), (narrow, 1)])
        for _ in 0..<5 { #expect(AdmissionTicket(table, [(one, 2), (narrow, 1)]) == nil) }
        let second = AdmissionTicket(table, [(one, 2)])
        #expect(first != nil && second != nil && AdmissionTicket(table, [(one, 2)]) == nil)
        withExtendedLifetime((first, second)) {}
    }

    @Test func `addresses without connections are forgotten`() {
        for number in 0..<1000 {
            let key = AdmissionTable.Key(scope: 0, address: NetworkAddress(ipv4: UInt32(number)))
            _ = AdmissionTicket(table, [(key, 1)])
        }
        #expect(table.addresses == 0)
        let ticket = AdmissionTicket(table, [(one, 1)])
        #expect(table.addresses == 1)
        withExtendedLifetime(ticket) {}
    }

    @Test func `seconds to wait are whole ones`() throws {
        let text = "listen 1; defaults { handshake_rate 1/m burst 1; } route /x { handler h; }"
        let rate = try #require(try Configuration.parse(text, file: "g").configuration.admission.handshakeRate)
        #expect(table.knock(one, rate, now: 1) == nil)
        #expect(table.knock(one, rate, now: 1) == 60)
        #expect(table.knock(one, rate, now: 59_900_000_000) == 1)
        #expect(table.knock(other, rate, now: 1) == nil)
        #expect(table.knock(one, rate, now: 60_000_000_001) == nil)
    }
}
