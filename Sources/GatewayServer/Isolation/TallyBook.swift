import Synchronization

/// What the first process has heard of the counts of a handler's process. It belongs to the control thread.
///
/// Counts of a process go on from 0 when it is another one; what is added here is what has come since the last word of it.
struct TallyBook {
    private var routes: [String: ProcessTally.RouteTally] = [:]
    private var rejections: [String: UInt64] = [:]
    private(set) var metrics: [ProcessTally.OwnMetric] = []
    /// Memory of the process.
    private(set) var residentBytes: UInt64 = 0
    /// Callbacks that held up a loop.
    private(set) var stalls = 0

    mutating func note(_ tally: ProcessTally, _ port: IsolatedPort, _ server: ServerContext) {
        for each in tally.routes {
            guard let binding = unsafe port.binding(of: each.route) else { continue }
            let before = routes[each.route] ?? ProcessTally.RouteTally(route: each.route)
            unsafe binding.pointee.instanceContext.counters.elsewhere.note(each.reading)
            unsafe binding.pointee.failures.add(Int(clamping: each.failures &- before.failures), ordering: .relaxed)
            unsafe each.costs.add(to: binding.pointee.route.costs, since: before.costs)
            stalls += Int(clamping: each.stalls &- before.stalls)
            routes[each.route] = each
        }
        for each in tally.rejections {
            server.rejections.note(each.word, times: each.count &- (rejections[each.word] ?? 0))
            rejections[each.word] = each.count
        }
        metrics = tally.metrics
        residentBytes = tally.residentBytes
    }

    /// The process has ended.
    mutating func endProcess(_ port: IsolatedPort) {
        for name in routes.keys {
            unsafe port.binding(of: name)?.pointee.instanceContext.counters.elsewhere.endProcess()
        }
        (routes, rejections, residentBytes) = ([:], [:], 0)
    }
}
