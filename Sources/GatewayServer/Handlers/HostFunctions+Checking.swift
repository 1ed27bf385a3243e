import CGatewayABI

// R8 and R9 of gw_handler.h: what has no meaning yet is refused, so that a later version can give it one.

extension HostContext {
    /// Whether all bits have a name among the flags of messages, sends and topics.
    @inline(__always)
    static func areNamed(_ flags: UInt32) -> Bool {
        flags & ~UInt32(GW_FIN | GW_FIRST | GW_NO_COMPRESS | GW_COMPRESSED | GW_GLOBAL_TOPIC | GW_LOCAL_TOPIC) == 0
    }

    /// Whether flags may be given to a host function; bits without a name are noted.
    func accepts(flags: UInt32, of function: String) -> Bool {
        if Self.areNamed(flags) { return true }
        note(.unknownBits, "\(function)() got flags 0x\(String(flags, radix: 16)), which have bits without a name")
        return false
    }

    /// Whether a handler's struct has at least what version 1.0 had; one that is smaller is noted.
    func accepts(size: UInt32, atLeast least: UInt32, of what: String) -> Bool {
        if size >= least { return true }
        note(.structSize, "\(what) with struct_size \(size)\(size == 0 ? ", which was not set" : "")")
        return false
    }

    /// Whether a reply has its size, and nothing where nothing may be.
    func accepts(reply: UnsafePointer<gw_reply>) -> Bool {
        guard unsafe accepts(size: reply.pointee.struct_size, atLeast: GW_REPLY_MIN_SIZE, of: "reply() got a gw_reply")
        else { return false }
        if unsafe reply.pointee.reserved0 == 0 { return true }
        note(.unknownBits, "reply() got a gw_reply whose reserved0 is not 0")
        return false
    }
}
