import CLinux

/// How far a probe process came; it says so before each step, because it may not live to say so behind it.
enum ProbeStep: Equatable {
    case opening
    case calling
    case starting(route: String)
    case stopping(route: String)
    /// The start of this route said no; the others go on.
    case routeRefused(route: String, ProbeRefusal)
    /// Everything was tried and stopped.
    case passed
    /// The probe process lives, but the module is of no use.
    case refused(ProbeRefusal)

    var bytes: [UInt8] {
        var writer = ProbeRecordWriter()
        switch self {
        case .opening: writer.number(1)
        case .calling: writer.number(2)
        case .starting(let route):
            writer.number(3)
            writer.text(route)
        case .stopping(let route):
            writer.number(4)
            writer.text(route)
        case .passed: writer.number(5)
        case .refused(let refusal):
            writer.number(6)
            Self.write(refusal, &writer)
        case .routeRefused(let route, let refusal):
            writer.number(7)
            writer.text(route)
            Self.write(refusal, &writer)
        }
        return writer.bytes
    }

    private static func write(_ refusal: ProbeRefusal, _ writer: inout ProbeRecordWriter) {
        writer.text(refusal.reason)
        writer.text(refusal.place)
        writer.text(refusal.remedy)
    }

    private static func refusal(_ reader: inout ProbeRecordReader) -> ProbeRefusal? {
        guard let reason = reader.text(), let place = reader.text(), let remedy = reader.text() else { return nil }
        return ProbeRefusal(reason: reason, place: place, remedy: remedy)
    }

    /// The steps in what came through the pipe, up to the first bytes that make no sense: the module, too, could
    /// write there.
    static func all(in bytes: [UInt8]) -> [ProbeStep] {
        var reader = ProbeRecordReader(bytes)
        var steps: [ProbeStep] = []
        while !reader.isAtEnd, let step = next(&reader) { steps.append(step) }
        return steps
    }

    /// What a process that died of a fault said behind its steps (`clinux_confine`); 0 when it said nothing.
    static func lastMemory(in bytes: [UInt8]) -> UInt64 {
        var reader = ProbeRecordReader(bytes.suffix(16))
        guard reader.number() == UInt64(CLINUX_DYING), let memory = reader.number() else { return 0 }
        return memory
    }

    private static func next(_ reader: inout ProbeRecordReader) -> ProbeStep? {
        switch reader.number() {
        case 1: return .opening
        case 2: return .calling
        case 3: return reader.text().map { .starting(route: $0) }
        case 4: return reader.text().map { .stopping(route: $0) }
        case 5: return .passed
        case 6: return refusal(&reader).map { .refused($0) }
        case 7:
            guard let route = reader.text() else { return nil }
            return refusal(&reader).map { .routeRefused(route: route, $0) }
        default: return nil
        }
    }
}

/// Why a module is of no use, in the words of `ModuleError`.
struct ProbeRefusal: Error, Equatable {
    let reason: String
    let place: String
    let remedy: String
}
