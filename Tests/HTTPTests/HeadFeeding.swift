import HTTP

/// What a reader made of some bytes, in a form that can be compared and printed.
enum Reading: Equatable {
    case needMore
    case refused(RequestHeadError)
    case head(String, length: Int)
}

/// Feeds bytes to a reader in growing prefixes that end at `cuts` and then whole.
func read(_ bytes: [UInt8], cuts: some Sequence<Int> = [], limits: HeadLimits = HeadLimits()) -> Reading {
    var reader = RequestHeadReader(limits: limits)
    do throws(RequestHeadError) {
        for cut in cuts {
            if case .head(let head, let length) = try reader.read(bytes.span.extracting(first: cut).bytes) {
                return .head(describe(head), length: length)
            }
        }
        switch try reader.read(bytes.span.bytes) {
        case .needMore: return .needMore
        case .head(let head, let length): return .head(describe(head), length: length)
        }
    } catch {
        return .refused(error)
    }
}

/// The head of a text that has to be whole and right.
func head(_ text: String, limits: HeadLimits = HeadLimits()) throws -> RequestHead {
    var reader = RequestHeadReader(limits: limits)
    let bytes = Array(text.utf8)
    guard case .head(let head, _) = try reader.read(bytes.span.bytes) else { throw RequestHeadError.badRequestLine }
    return head
}

/// Why a text is refused; nil if it is a head or not whole.
func refusal(_ text: String, limits: HeadLimits = HeadLimits()) -> RequestHeadError? {
    guard case .refused(let error) = read(Array(text.utf8), limits: limits) else { return nil }
    return error
}

/// A request with a Host and further lines.
func request(_ lines: String..., line: String = "GET / HTTP/1.1") -> String {
    ([line, "Host: a"] + lines + ["", ""]).joined(separator: "\r\n")
}

/// Look-ups by text: `#expect` cannot take a span.
extension RequestHead {
    func query(_ key: String) -> String? { text(queryValue(key.utf8.span)) }
    func cookie(_ name: String) -> String? { text(cookieValue(name.utf8.span)) }
    func value(_ name: String) -> String? { first(named: name.utf8.span).map(string) }
}

func text(_ bytes: [UInt8]?) -> String? {
    bytes.map { String(decoding: $0, as: UTF8.self) }
}

private func describe(_ head: RequestHead) -> String {
    let fields = head.fields.map { "\(head.string($0.name))=\(head.string($0.value))" }
    let query = head.target.rawQuery.map(head.string) ?? "-"
    let host = head.host.map(head.string) ?? "-"
    return """
        \(head.methodName) \(head.method) \(head.minorVersion) \(head.target.form) \(query) \(host) \
        \(String(decoding: head.target.path.bytes, as: UTF8.self)) \(head.contentLength ?? -1) \(head.isChunked) \
        \(head.keepsAlive) \(fields)
        """
}

/// SplitMix64: the same bytes in every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
