import Glibc

/// What the gateway is called that a visitor is at: `GATEWAY_NAME` of its environment, else the machine and the process.
enum GatewayName {
    static let own = {
        if let given = unsafe getenv("GATEWAY_NAME"), unsafe given[0] != 0 { return unsafe String(cString: given) }
        let machine = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { room in
            guard let start = room.baseAddress, unsafe gethostname(start, room.count - 1) == 0 else {
                return "gateway"
            }
            unsafe room[room.count - 1] = 0
            return unsafe String(cString: start)
        }
        return "\(machine)-\(getpid())"
    }()
}
