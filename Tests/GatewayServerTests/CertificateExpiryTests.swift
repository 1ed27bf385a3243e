import GatewayControl
import Testing

@testable import GatewayServer

@Suite("That a certificate ends is said in time, and once a day")
struct CertificateExpiryTests {
    private static let day: Int64 = 86_400
    private static let now: Int64 = 1_800_000_000

    private static func certificate(_ name: String = "a.example", days: Int64) -> StatusReport.Certificate {
        .init(name: name, file: "/\(name).pem", listeners: [], expiresAt: now + days * day)
    }

    @Test(
        arguments: [
            (15, nil), (14, nil), (13, "expires in 13 days"), (1, "expires in 1 day"), (0, "expires in 0 hours"),
            (-1, "expired 1 day ago: clients refuse it"), (-30, "expired 30 days ago: clients refuse it"),
        ] as [(Int64, String?)])
    func `from 14 days on`(_ days: Int64, _ said: String?) {
        let notice = CertificateExpiry.notice(Self.certificate(days: days), at: Self.now)
        #expect(notice?.text == said.map { "the certificate for a.example in /a.example.pem \($0)" })
        #expect(notice?.isOver ?? false == (days < 0))
    }

    @Test func `each is spoken of once a day, and again when it was read again`() {
        var expiry = CertificateExpiry()
        let all = [Self.certificate(days: 10), Self.certificate("b.example", days: 20)]
        var said: [Int64] = []
        // Hour by hour.
        for hour in 0..<(8 * 24) as Range<Int64> {
            said += expiry.turn(all, at: Self.now + hour * 3600).map { _ in hour }
        }
        // The second one's time comes within the seventh day.
        #expect(said == [0, 24, 48, 72, 96, 120, 144, 145, 168, 169])
        expiry.forget()
        #expect(expiry.turn(all, at: Self.now + 170 * 3600).count == 2)
        #expect(expiry.turn(all, at: Self.now + 170 * 3600).isEmpty)
    }

    @Test func `it knows when it has something to say next`() {
        var expiry = CertificateExpiry()
        #expect(expiry.pause([], at: Self.now) == nil)
        let all = [Self.certificate(days: 20)]
        #expect(expiry.pause(all, at: Self.now) == 6 * Self.day)
        #expect(expiry.turn(all, at: Self.now + 6 * Self.day + 1).count == 1)
        #expect(expiry.pause(all, at: Self.now + 6 * Self.day + 2) == Self.day - 1)
    }

    @Test func `a clock that is set back does not silence it`() {
        var expiry = CertificateExpiry()
        let all = [Self.certificate(days: 1)]
        #expect(expiry.turn(all, at: Self.now).count == 1)
        #expect(expiry.turn(all, at: Self.now - 2 * 3600).count == 1)
    }
}
