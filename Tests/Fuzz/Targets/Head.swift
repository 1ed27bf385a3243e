import HTTP
import WebSocket

/// What a request head came to.
private enum Outcome: Equatable {
    case needMore
    case head([UInt8], length: Int)
    case refused(RequestHeadError)
}

/// A head comes to the same however packets cut it, and everything in it can be asked for.
func tryHead(_ bytes: [UInt8]) -> Int32 {
    var input = Input(bytes)
    let limits = HeadLimits(maxHead: 64 << input.number(below: 9), maxHeaders: input.number(below: 101))
    var cuts = Cuts(&input)
    let text = input.all()
    let whole = read(text, limits) { $0 }
    let cut = read(text, limits) { cuts.next(of: $0) }
    precondition(whole == cut, "cutting changes a head: \(whole) or \(cut)")
    return 0
}

private func read(_ text: [UInt8], _ limits: HeadLimits, _ part: (Int) -> Int) -> Outcome {
    var reader = RequestHeadReader(limits: limits)
    var known = 0
    do throws(RequestHeadError) {
        repeat {
            known += part(text.count - known)
            if case .head(let head, let length) = try reader.read(text.span.extracting(0..<known)) {
                precondition(length <= known && length == head.bytes.count, "a head is as long as it says")
                look(head)
                return .head(head.bytes, length: length)
            }
        } while known < text.count
    } catch {
        return .refused(error)
    }
    return .needMore
}

private func look(_ head: RequestHead) {
    for field in head.fields { _ = (head.bytes[field.name], head.bytes[field.value]) }
    _ = head.authority.map { (head.bytes[$0.host], $0.port) }
    precondition(head.target.path.bytes.first == UInt8(ascii: "/") || head.target.path.bytes == Array("*".utf8))
    for segment in head.target.path.segments { _ = head.target.path.decode(segment) }
    if let query = head.target.rawQuery {
        _ = QueryString.value(of: Array("key".utf8).span, in: head.bytes.span, query)
    }
    if let cookie = head.first("cookie") {
        _ = CookieString.value(of: Array("id".utf8).span, in: head.bytes.span, cookie)
    }
    guard case .offered(let handshake) = OpeningHandshake.evaluate(head) else { return }
    for range in handshake.subprotocols { _ = head.bytes[range] }
    for range in handshake.extensions {
        guard let offer = DeflateOffer(range, in: head) else { continue }
        for bits in 9...15 {
            let parameters = DeflateParameters(offer, .init(keepsContext: bits % 2 == 0, windowBits: bits))
            _ = parameters?.response
        }
    }
}
