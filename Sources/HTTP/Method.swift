/// The method of a request, as far as the gateway tells them apart.
public enum Method: Sendable {
    case get
    case head
    case post
    case put
    case delete
    case options
    case patch
    case connect
    case trace
    /// Any other token; its name is in the head.
    case other

    /// Recognises a name. RFC 9110 9.1: the method token is case-sensitive.
    init(_ bytes: Span<UInt8>, in range: Range<Int>) {
        guard range.count <= 7 else {
            self = .other
            return
        }
        var name: UInt64 = 0
        for offset in range { name = name << 8 | UInt64(bytes[offset]) }
        self =
            switch name {
            case 0x47_4554: .get
            case 0x4845_4144: .head
            case 0x504F_5354: .post
            case 0x50_5554: .put
            case 0x4445_4C45_5445: .delete
            case 0x4F_5054_494F_4E53: .options
            case 0x50_4154_4348: .patch
            case 0x43_4F4E_4E45_4354: .connect
            case 0x54_5241_4345: .trace
            default: .other
            }
    }
}
