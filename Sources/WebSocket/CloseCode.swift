/// Why a connection ends (RFC 6455 7.4 and the IANA registry it opens).
public enum CloseCode {
    public static let normal: UInt16 = 1000
    public static let goingAway: UInt16 = 1001
    public static let protocolError: UInt16 = 1002
    /// Never sent: stands for a Close frame without a code.
    public static let none: UInt16 = 1005
    /// Never sent: stands for an end without a Close frame.
    public static let abnormal: UInt16 = 1006
    public static let invalidPayload: UInt16 = 1007
    public static let tooBig: UInt16 = 1009
    public static let internalError: UInt16 = 1011
    public static let serviceRestart: UInt16 = 1012
    public static let tryAgainLater: UInt16 = 1013

    /// Whether the code may stand in a Close frame.
    ///
    /// RFC 6455 7.4.1 and 7.4.2: 0-999 are not used, 1004 is reserved, 1005, 1006 and 1015 are never on the wire,
    /// 1016-2999 belong to future versions, 3000-4999 to libraries and applications.
    public static func isAllowedOnWire(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}
