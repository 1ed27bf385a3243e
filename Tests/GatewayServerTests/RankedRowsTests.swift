import GatewayControl
import Testing

@testable import GatewayServer

@Suite("RankedRows: the first ones in their order, of however many")
struct RankedRowsTests {
    private static func shown(_ ranks: [UInt64], limit: Int, isDescending: Bool) -> [UInt64] {
        var query = ConnectionQuery()
        (query.limit, query.isDescending) = (limit, isDescending)
        var rows = RankedRows(query)
        for rank in ranks {
            rows.add(rank, ConnectionReport.Row(id: rank, state: .open, ageMilliseconds: 0, idleMilliseconds: 0))
            #expect(rows.entries.count < 2 * limit)
        }
        return rows.shown.map(\.id)
    }

    @Test(arguments: 1...8)
    func `either way`(limit: Int) {
        let ranks = (0..<100).map { UInt64($0 * 37 % 101) }
        #expect(Self.shown(ranks, limit: limit, isDescending: false) == Array(ranks.sorted().prefix(limit)))
        #expect(
            Self.shown(ranks, limit: limit, isDescending: true) == Array(ranks.sorted().reversed().prefix(limit)))
    }
}
