import GatewayControl
import GatewayMetrics
import Testing

@testable import GatewayServer

@Suite("HandlerMetrics: what handlers define cannot spoil the page")
struct HandlerMetricsTests {
    private func families(_ definitions: [(MetricTable.Kind, String, String, Double)]) -> [MetricFamily] {
        let table = MetricTable()
        for (kind, name, route, value) in definitions {
            let number = table.define(
                .init(name: "handler_h_\(name)", help: "h", kind: kind, module: 1, route: route))
            table.record(number, module: 1, value)
        }
        return HandlerMetrics.own(table.samples())
    }

    @Test func `one name is one metric with a sample for each route, also where others stand between`() {
        let found = families([
            (.counter, "orders", "/a", 2), (.gauge, "stock", "/a", -1), (.counter, "orders", "/b", 3),
        ])
        #expect(found.map(\.name) == ["handler_h_orders", "handler_h_stock"])
        #expect(
            found[0].samples == [
                .init([.init("route", "/a")], .number(2)), .init([.init("route", "/b")], .number(3)),
            ])
        #expect(found[1].samples == [.init([.init("route", "/a")], .number(-1))])
    }

    @Test func `a counter may say _total itself`() {
        let found = families([(.counter, "orders_total", "/a", 2)])
        #expect(found.map(\.sampleName) == ["handler_h_orders_total"])
        // The same thing under two names is one.
        let twice = families([(.counter, "orders_total", "/a", 2), (.counter, "orders", "/a", 7)])
        #expect(twice.map(\.samples) == [[.init([.init("route", "/a")], .number(2))]])
    }

    @Test func `a name that is taken by another kind is refused`() {
        let found = families([(.counter, "x", "/a", 2), (.gauge, "x", "/b", 7), (.gauge, "x_total", "/b", 7)])
        #expect(found.map(\.kind) == [.counter])
        #expect(found.flatMap(\.samples).count == 1)
        // So are lines of a histogram.
        #expect(families([(.histogram, "y", "/a", 1), (.gauge, "y_sum", "/a", 1)]).map(\.kind) == [.histogram])
    }

    @Test func `histograms come with their buckets`() throws {
        let found = families([(.histogram, "size", "/a", 3e-6)])
        guard case .histogram(let reading)? = found.first?.samples.first?.value else {
            Issue.record("no histogram: \(found)")
            return
        }
        #expect(reading.bounds == MetricTable.bounds)
        #expect(reading.counts.prefix(3) == [0, 1, 0] && reading.count == 1 && reading.sum == 3e-6)
    }

    @Test func `a generation that routes have left in part is one`() throws {
        func generation(_ errors: Int, _ state: StatusReport.Generation.State) -> StatusReport.Generation {
            .init(
                number: 3, state: state, sinceMilliseconds: 0, digest: 0, file: "", language: "C", connections: 0,
                errors: errors)
        }
        var report = StatusReport.Handler(name: "h", file: nil)
        report.generations = [generation(1, .live), generation(2, .retiring)]
        let families = HandlerMetrics.families([report], try StepWorker().server.handlerManager)
        let errors = try #require(families.first { $0.sampleName == "gateway_handler_errors_total" })
        #expect(errors.samples == [.init([.init("handler", "h"), .init("generation", "3")], .count(3))])
    }
}
