/// Steps about one connection and what it says.
extension Trial {
    static let text: UInt8 = 1
    static let binary: UInt8 = 2

    mutating func start() throws(Stop) -> String {
        guard gateway.isServing() else {
            let log = gateway.log().split(separator: "\n", omittingEmptySubsequences: true)
            let isError = { (line: Substring) in line.split(separator: " ", maxSplits: 2).dropFirst().first == "error:"
            }
            guard let first = log.firstIndex(where: isError) else { throw .crashed }
            let end = log[first...].dropFirst().firstIndex { !$0.hasPrefix("   ") } ?? log.endIndex
            // Without the time that it was logged at.
            let text = log[first..<end].joined(separator: "\n").drop { $0 != " " }.dropFirst()
            throw .wrong(String(text), advice: "")
        }
        return ""
    }

    func open() throws(Stop) -> String {
        let target = gateway.target
        var client = try attempt("a client") { () throws(TrialClient.Trouble) in try TrialClient.open(target) }
        try judge("a client", try settle("a client", &client))
        // A handler does not have to speak what is offered here; but it has to bear the offer.
        let offers = ["no-such-protocol", String(repeating: "x", count: 2000)]
        for offered in [[offers[0]], offers] {
            do throws(TrialClient.Trouble) {
                let other = try TrialClient.open(target, offering: offered)
                if !other.subprotocol.isEmpty, !offered.contains(other.subprotocol) {
                    throw .violation("a subprotocol was chosen that was not offered")
                }
            } catch {
                if case .refused(let status) = error, (400..<500).contains(status) {
                    throw .note("\(status) for clients that offer unknown subprotocols")
                }
                throw stop("a client that offers subprotocols", error)
            }
        }
        return client.agreements
    }

    func ping() throws(Stop) -> String {
        let target = gateway.target
        let isAnswered = try attempt("a ping") { () throws(TrialClient.Trouble) -> Bool in
            var client = try TrialClient.open(target)
            let payload = [UInt8](repeating: 0x70, count: 125)
            try client.send(9, payload)
            while true {
                let event = try client.next()
                if event == .pong(payload) { break }
                if case .close = event { return false }
            }
            try client.send(9)
            while true {
                let event = try client.next()
                if event == .pong([]) { return true }
                if case .close = event { return false }
            }
        }
        if !isAnswered { throw .note("the handler closes instead") }
        return ""
    }

    /// Whole messages of all sizes, each on a connection of its own and then all on one.
    mutating func messages(_ opcode: UInt8) throws(Stop) -> String {
        var kept = 0
        var codes: Set<UInt16> = []
        let sizes = [0, 1, 20, 125, 126, 1000, 65_535, 65_536, 1 << 20]
        for size in sizes {
            let what = "\(size) bytes"
            var client = try opened(what)
            try send(what, &client, opcode, Self.payload(opcode, size))
            let condition = try settle(what, &client)
            try judge(what, condition)
            if case .open = condition { kept += 1 }
            if case .closed(let code) = condition, let code { codes.insert(code) }
        }
        var client = try opened("one client")
        for size in sizes.dropLast() {
            do throws(TrialClient.Trouble) {
                try client.send(opcode, Self.payload(opcode, size))
            } catch {
                if error == .ended { break }
                throw stop("one client", error)
            }
        }
        try judge("one client", try settle("one client", &client))
        if kept == sizes.count {
            spoken = opcode
            return ""
        }
        let named = codes.sorted().map { String($0) }.joined(separator: ", ")
        if kept == 0 { return "refused, with \(named.isEmpty ? "an empty Close" : named)" }
        throw .note("taken up to a size, then closed with \(named.isEmpty ? "an empty Close" : named)")
    }

    /// A message in pieces, with control frames between them, and characters cut in two.
    func fragments() throws(Stop) -> String {
        for (opcode, word) in [(Self.text, "text"), (Self.binary, "binary")] {
            let what = "\(word) in fragments"
            var client = try opened(what)
            let payload = Self.payload(opcode, 3000)
            let cuts = [0, 1, 1, 1500, 2999, 3000]
            for index in 1..<cuts.count {
                let piece = Array(payload[cuts[index - 1]..<cuts[index]])
                let isLast = index == cuts.count - 1
                try attempt(what) { () throws(TrialClient.Trouble) in
                    do throws(TrialClient.Trouble) {
                        try client.send(index == 1 ? opcode : 0, piece, isFinal: isLast)
                        try client.send(9, [UInt8(index)])
                    } catch {
                        // A handler that refuses the kind may have closed already.
                        guard error == .ended else { throw error }
                    }
                }
            }
            try judge(what, try settle(what, &client))
        }
        return ""
    }

    /// Many messages that arrive with one read: each callback is lent its own bytes.
    func burst() throws(Stop) -> String {
        for opcode in [Self.text, Self.binary] {
            let what = "50 messages in one packet"
            var client = try opened(what)
            var bytes: [UInt8] = []
            for number in 0..<50 {
                let payload = Self.payload(opcode, 20 + number)
                bytes += client.frame(opcode, payload)
            }
            try attempt(what) { () throws(TrialClient.Trouble) in try client.send(bytes[...]) }
            try judge(what, try settle(what, &client))
        }
        return ""
    }

    func plainRequest() throws(Stop) -> String {
        let target = gateway.target
        let status = try attempt("a GET") { () throws(TrialClient.Trouble) in try TrialClient.get(target) }
        if [500, 503, 504].contains(status) { throw .wrong("GET is answered \(status)", advice: Self.advice(status)) }
        return status == 400 ? "not served" : "answered \(status)"
    }

    // MARK: What they share

    /// Bytes that are valid text too, of characters of one to four bytes: cutting them anywhere is a test.
    static func payload(_ opcode: UInt8, _ size: Int) -> [UInt8] {
        if opcode == binary { return (0..<size).map { UInt8(truncatingIfNeeded: $0 % 199) } }
        let pattern = Array("{\"é\":\"€😀 text\"}".utf8)
        var bytes: [UInt8] = []
        while bytes.count + pattern.count <= size { bytes += pattern }
        return bytes + [UInt8](repeating: 0x2E, count: size - bytes.count)
    }

    func opened(_ what: String) throws(Stop) -> TrialClient {
        let target = gateway.target
        return try attempt(what) { () throws(TrialClient.Trouble) in try TrialClient.open(target) }
    }

    func settle(_ what: String, _ client: inout TrialClient) throws(Stop) -> TrialClient.Condition {
        do throws(TrialClient.Trouble) {
            return try client.settle()
        } catch {
            throw stop(what, error)
        }
    }

    private func send(
        _ what: String, _ client: inout TrialClient, _ opcode: UInt8, _ payload: [UInt8]
    ) throws(Stop) {
        do throws(TrialClient.Trouble) {
            try client.send(opcode, payload)
        } catch {
            // The connection may have been closed before all was sent; `settle` reads why.
            if error != .ended { throw stop(what, error) }
        }
    }
}
