import Glibc
import HandlerModules
import Testing

@Suite("Only root and the gateway's own user can change what is loaded")
struct FileTrustTests {
    struct Case: CustomTestStringConvertible {
        let place: FileTrust.Place
        let mode: mode_t
        let owner: uid_t
        let group: gid_t
        let objection: String?
        var testDescription: String { "\(place) \(String(mode, radix: 8)) \(owner):\(group)" }
    }

    /// Seen by user 1000.
    static let cases = [
        Case(place: .module, mode: 0o755, owner: 1000, group: 100, objection: nil),
        Case(place: .module, mode: 0o644, owner: 0, group: 0, objection: nil),
        Case(
            place: .module, mode: 0o755, owner: 1001, group: 100,
            objection: "belongs to user 1001, who is neither root nor user 1000 of the gateway"),
        Case(
            place: .module, mode: 0o757, owner: 1000, group: 100,
            objection: "can be written by every user (mode 0757)"),
        Case(
            place: .module, mode: 0o775, owner: 1000, group: 100,
            objection: "can be written by group 100 (mode 0775)"),
        Case(place: .module, mode: 0o775, owner: 1000, group: 1000, objection: nil),
        Case(place: .module, mode: 0o775, owner: 0, group: 1000, objection: "can be written by group 1000 (mode 0775)"),
        Case(
            place: .folder, mode: 0o1777, owner: 0, group: 0, objection: "can be written by every user (mode 01777)"),
        Case(place: .folder, mode: 0o775, owner: 0, group: 50, objection: "can be written by group 50 (mode 0775)"),
        Case(place: .folder, mode: 0o700, owner: 1000, group: 100, objection: nil),
        Case(place: .parent, mode: 0o1777, owner: 0, group: 0, objection: nil),
        Case(
            place: .parent, mode: 0o1777, owner: 1001, group: 0,
            objection: "belongs to user 1001, who is neither root nor user 1000 of the gateway"),
        Case(place: .link, mode: 0o777, owner: 1000, group: 100, objection: nil),
        Case(place: .link, mode: 0o777, owner: 0, group: 0, objection: nil),
        Case(
            place: .link, mode: 0o777, owner: 1001, group: 100,
            objection: "belongs to user 1001, who is neither root nor user 1000 of the gateway"),
        Case(place: .parent, mode: 0o777, owner: 0, group: 0, objection: "can be written by every user (mode 0777)"),
    ]

    @Test(arguments: cases)
    func `judges owner and mode`(_ example: Case) {
        let objection = FileTrust.objection(
            to: example.place, mode: example.mode, owner: example.owner, group: example.group, user: 1000)
        #expect(objection == example.objection)
    }
}
