import Testing

@testable import GatewayServer

@Suite("Metrics of handlers: recorded from anywhere without a lock")
struct MetricTableTests {
    private func definition(_ kind: MetricTable.Kind, _ name: String = "m") -> MetricTable.Definition {
        MetricTable.Definition(name: name, help: "", kind: kind, module: 7, route: "/r")
    }

    @Test func `counters grow, gauges are set`() {
        let table = MetricTable()
        let counter = table.define(definition(.counter, "c"))
        let gauge = table.define(definition(.gauge, "g"))
        for value in [1.5, 2, -5, .infinity, .nan] {
            table.record(counter, module: 7, value)
            table.record(gauge, module: 7, value)
        }
        #expect(table.samples().map(\.value) == [3.5, -5])
    }

    @Test func `a histogram counts what lies at or below each bound`() throws {
        let table = MetricTable()
        let number = table.define(definition(.histogram))
        for value in [1e-6, 1e-6, 4e-6, 1e9] { table.record(number, module: 7, value) }
        let sample = try #require(table.samples().first)
        #expect(sample.count == 4)
        #expect(sample.buckets.prefix(3) == [2, 3, 3])
        #expect(sample.buckets.last == 3)
    }

    @Test func `numbers of nobody and of others record nothing`() {
        let table = MetricTable()
        let number = table.define(definition(.counter))
        table.record(0, module: 7, 1)
        table.record(number + 1, module: 7, 1)
        table.record(.max, module: 7, 1)
        table.record(number, module: 8, 1)
        #expect(table.samples().map(\.value) == [0])
    }

    @Test func `there is an end to them`() {
        let table = MetricTable()
        for index in 0..<MetricTable.capacity { #expect(table.define(definition(.gauge, "m\(index)")) != 0) }
        #expect(table.define(definition(.gauge, "one more")) == 0)
        #expect(table.define(definition(.gauge, "m3")) == 4)
    }
}
