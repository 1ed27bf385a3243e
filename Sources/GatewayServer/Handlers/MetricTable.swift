import GatewayControl
import Synchronization

/// The metrics that handlers define: defining takes a lock, recording does not. Any thread.
final class MetricTable: Sendable {
    enum Kind: Int32, Sendable {
        case counter
        case gauge
        case histogram
    }

    /// What a metric is called, and whose it is.
    struct Definition: Sendable {
        /// `handler_<name>_...`.
        let name: String
        let help: String
        let kind: Kind
        let module: UInt32
        /// The label.
        let route: String
    }

    /// A definition with its value at a moment.
    struct Sample: Sendable {
        let definition: Definition
        /// The value of a counter or gauge, the sum of a histogram.
        let value: Double
        /// Of a histogram: how many observations lie at or below each of `bounds`, and how many there are.
        let buckets: [UInt64]
        let count: UInt64
    }

    /// So many metrics all handlers together may have.
    static let capacity = 1024
    /// The upper bounds of the buckets of a histogram: a microsecond to a quarter of an hour, for seconds.
    static let bounds: [Double] = (0..<16).map { index in (0..<index).reduce(1e-6) { bound, _ in bound * 4 } }

    private final class Cell: Sendable {
        let definition: Definition
        let bits = Atomic<UInt64>(0)
        let count = Atomic<UInt64>(0)
        let buckets: [Bucket]

        final class Bucket: Sendable {
            let count = Atomic<UInt64>(0)
        }

        init(_ definition: Definition) {
            self.definition = definition
            buckets = definition.kind == .histogram ? MetricTable.bounds.map { _ in Bucket() } : []
        }

        func add(_ value: Double) {
            var old = bits.load(ordering: .relaxed)
            while true {
                let new = (Double(bitPattern: old) + value).bitPattern
                let (exchanged, original) = bits.weakCompareExchange(
                    expected: old, desired: new, ordering: .relaxed)
                if exchanged { return }
                old = original
            }
        }

        func record(_ value: Double) {
            switch definition.kind {
            case .counter: if value > 0 { add(value) }
            case .gauge: bits.store(value.bitPattern, ordering: .relaxed)
            case .histogram:
                add(value)
                count.wrappingAdd(1, ordering: .relaxed)
                for (index, bound) in MetricTable.bounds.enumerated() where value <= bound {
                    buckets[index].count.wrappingAdd(1, ordering: .relaxed)
                }
            }
        }
    }

    private let defined = Mutex<[Cell]>([])
    /// The cells by number, as recording finds them: addresses that are stored once and never taken back.
    private let slots: [Slot] = (0..<capacity).map { _ in Slot() }

    private final class Slot: Sendable {
        let address = Atomic<UInt>(0)
    }

    /// - Returns: the number of the metric, the same for the same name, or 0 when it is refused.
    func define(_ definition: Definition) -> UInt32 {
        defined.withLock { defined in
            let known = defined.firstIndex {
                $0.definition.name == definition.name && $0.definition.route == definition.route
            }
            if let known {
                return defined[known].definition.kind == definition.kind ? UInt32(known + 1) : 0
            }
            // A name means one thing, also at other routes.
            let isOther = defined.contains {
                $0.definition.name == definition.name && $0.definition.kind != definition.kind
            }
            guard !isOther, defined.count < Self.capacity else { return 0 }
            let cell = Cell(definition)
            // A metric is for ever: its number may be kept by generations that are long gone.
            let address = unsafe UInt(bitPattern: Unmanaged.passRetained(cell).toOpaque())
            slots[defined.count].address.store(address, ordering: .releasing)
            defined.append(cell)
            return UInt32(defined.count)
        }
    }

    /// Adds, sets or observes; nothing for a number that is not the module's.
    func record(_ number: UInt32, module: UInt32, _ value: Double) {
        guard value.isFinite, number > 0, Int(number) <= Self.capacity else { return }
        let address = slots[Int(number) - 1].address.load(ordering: .acquiring)
        guard let pointer = unsafe UnsafeRawPointer(bitPattern: address) else { return }
        unsafe Unmanaged<Cell>.fromOpaque(pointer)._withUnsafeGuaranteedRef { cell in
            if cell.definition.module == module { cell.record(value) }
        }
    }

    /// All metrics as they are now, in the order of their definition.
    func samples() -> [Sample] {
        defined.withLock { $0 }.map { cell in
            Sample(
                definition: cell.definition, value: Double(bitPattern: cell.bits.load(ordering: .relaxed)),
                buckets: cell.buckets.map { $0.count.load(ordering: .relaxed) },
                count: cell.count.load(ordering: .relaxed))
        }
    }
}

extension StatusReport.Metric {
    init(_ sample: MetricTable.Sample) {
        let definition = sample.definition
        self.init(
            name: definition.name, kind: "\(definition.kind)", help: definition.help, route: definition.route,
            value: sample.value,
            buckets: zip(MetricTable.bounds, sample.buckets).map { Bucket(bound: $0, count: $1) }, count: sample.count)
    }
}
