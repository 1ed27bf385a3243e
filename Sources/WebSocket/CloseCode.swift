/// Why a connection ends (RFC 6455 7.4 and the IANA registry it opens).
package enum CloseCode {
    package static let normal: UInt16 = 1000
    package static let goingAway: UInt16 = 1001
    package static let protocolError: UInt16 = 1002
    /// Never sent: stands for a Close frame without a code.
    package static let none: UInt16 = 1005
    /// Never sent: stands for an end without a Close frame.
    package static let abnormal: UInt16 = 1006
    package static let invalidPayload: UInt16 = 1007
    package static let tooBig: UInt16 = 1009
    package static let internalError: UInt16 = 1011
    package static let serviceRestart: UInt16 = 1012
    package static let tryAgainLater: UInt16 = 1013

    /// Whether the code may stand in a Close frame.
    ///
    /// RFC 6455 7.4.1 and 7.4.2: 0-999 are not used, 1004 is reserved, 1005, 1006 and 1015 are never on the wire,
    /// 1016-2999 belong to future versions, 3000-4999 to libraries and applications.
    package static func isAllowedOnWire(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}
