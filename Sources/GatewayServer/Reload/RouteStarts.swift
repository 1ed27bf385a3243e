import GatewayConfiguration
import HandlerModules

/// A generation on its way into service: `start` for each route, one after the other, then what the old instances know
/// goes to the new ones. It belongs to the control thread.
///
/// The rule is the same at a cold start and under way: a route that does not start is named and answers 503, and the
/// others serve; but a route that served before is not given up for a new generation.
final class RouteStarts {
    private enum Phase {
        case next
        case starting(InstanceStart)
        case transferring(SelfTransfer)
    }

    private let serving: ServingGeneration
    private let service: HandlerService
    private let handlerManager: HandlerManager
    private var waiting: ArraySlice<Reload.Place>
    private var transfers: [(from: RouteInstance, to: RouteInstance)] = []
    private var hasStarted = false
    private var phase = Phase.next
    /// Why the start of a route said no, in the probe or here.
    private let refused: [String: ModuleError]

    init(
        _ serving: ServingGeneration, _ service: HandlerService, _ places: [Reload.Place],
        refused: [String: ModuleError], _ handlerManager: HandlerManager
    ) {
        self.serving = serving
        self.service = service
        self.handlerManager = handlerManager
        self.refused = refused
        waiting = places[...]
    }

    /// When it is to be stepped even if the bell does not ring.
    var nextStep: UInt64? {
        switch phase {
        case .next: nil
        case .starting(let start): start.nextStep
        case .transferring(let transfer): transfer.nextStep
        }
    }

    /// Goes on without waiting; false while it is under way.
    func step(_ now: UInt64) throws(ModuleError) -> Bool {
        while true {
            switch phase {
            case .next:
                if try isOver() { return true }
            case .starting(let start):
                do throws(ModuleError) {
                    guard let served = try start.step(now) else { return false }
                    serving.instances[start.configuration.name] = served
                } catch {
                    try refuse(start.configuration, error)
                }
                phase = .next
            case .transferring(let transfer):
                guard try transfer.step(now) else { return false }
                phase = .next
            }
        }
    }

    /// Begins what comes next; true when there is nothing more.
    private func isOver() throws(ModuleError) -> Bool {
        if let place = waiting.popFirst() {
            try start(place)
        } else if !hasStarted {
            hasStarted = true
            if serving.instances.isEmpty, let first = serving.refused.first { throw first.error }
            findTransfers()
        } else if let pair = transfers.popLast() {
            phase = .transferring(SelfTransfer(from: pair.from, to: pair.to, handlerManager))
        } else {
            return true
        }
        return false
    }

    private func start(_ place: Reload.Place) throws(ModuleError) {
        if let error = refused[place.route.name] { return try refuse(place.configuration, error) }
        do throws(ModuleError) {
            phase = .starting(
                try InstanceStart(serving.generation, service, place.configuration, place.route, handlerManager))
        } catch {
            try refuse(place.configuration, error)
        }
    }

    private func refuse(_ configuration: RouteConfiguration, _ error: ModuleError) throws(ModuleError) {
        let name = configuration.name
        // A route that is served is not lost to a build that is meant to be better.
        if service.serving?.instances[name] != nil { throw error }
        serving.refused.append((name, error))
    }

    private func findTransfers() {
        for (name, served) in serving.instances {
            guard let former = service.serving?.instances[name] else { continue }
            transfers.append((former, served))
        }
    }

    /// The generation is not needed any more.
    func abandon() { if case .starting(let start) = phase { start.abandon() } }
}
