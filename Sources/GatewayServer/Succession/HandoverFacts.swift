import CGatewayABI
import HandlerModules

/// What decides whether connections can go from a generation or to it, be that one of this process or of another.
struct HandoverFacts: Equatable, Sendable {
    var generation: UInt64 = 0
    var stateFormat: UInt64 = 0
    /// GW_HF_STATELESS.
    var isStateless = false
    /// It has `save_conn`, and `restore_conn`.
    var saves = false
    var restores = false
    /// It takes messages piece by piece.
    var takesFragments = false

    init() {}

    init(_ generation: Generation) {
        self.generation = generation.number
        stateFormat = generation.stateFormat
        isStateless = generation.has(GW_HF_STATELESS)
        saves = unsafe generation.callbacks.saveConnection != nil
        restores = unsafe generation.callbacks.restoreConnection != nil
        takesFragments = unsafe generation.callbacks.fragment != nil
    }
}

extension HandoverFacts {
    private static let version: UInt16 = 1

    /// - Throws: when the bytes are none that another program has made of them.
    init(_ bytes: [UInt8]) throws(RecordError) {
        var reader = try RecordReader(bytes, knows: Self.version)
        try self.init(from: &reader)
    }

    var bytes: [UInt8] {
        var writer = RecordWriter(version: Self.version, least: Self.version)
        encode(into: &writer)
        return writer.bytes
    }
}

extension HandoverFacts: RecordValue {
    private enum Tag: UInt16, RecordTag {
        case generation = 1
        case stateFormat = 2
        case isStateless = 3
        case saves = 4
        case restores = 5
        case takesFragments = 6
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        while let field = try reader.next() {
            switch Tag(rawValue: field.tag) {
            case .generation: generation = try field.number()
            case .stateFormat: stateFormat = try field.number()
            case .isStateless: isStateless = try field.flag()
            case .saves: saves = try field.flag()
            case .restores: restores = try field.flag()
            case .takesFragments: takesFragments = try field.flag()
            case nil: continue
            }
        }
    }

    func encode(into writer: inout RecordWriter) {
        writer.write(Tag.generation, generation)
        writer.write(Tag.stateFormat, stateFormat)
        writer.write(Tag.isStateless, isStateless)
        writer.write(Tag.saves, saves)
        writer.write(Tag.restores, restores)
        writer.write(Tag.takesFragments, takesFragments)
    }
}
