/// Steps about how connections end, and about many of them.
extension Trial {
    /// Bytes that each of a thousand connections may leave behind: allocators round, logs grow.
    private static let mostLeftBehind = 4096

    /// Every code a client may send comes back to it.
    func closings() throws(Stop) -> String {
        let codes: [UInt16?] = [nil, 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 4999]
        for code in codes {
            let what = "a client that closes with \(code.map { String($0) } ?? "no code")"
            let target = gateway.target
            let answer = try attempt(what) { () throws(TrialClient.Trouble) in
                var client = try TrialClient.open(target)
                try client.sendClose(code)
                return try client.readClose()
            }
            if answer != code, answer == 1011 { try judge(what, .closed(answer)) }
        }
        return ""
    }

    /// Connections that are gone without a word, some while their messages are dealt with.
    func vanish() throws(Stop) -> String {
        let target = gateway.target
        for number in 0..<60 {
            try attempt("a client that vanishes") { () throws(TrialClient.Trouble) in
                let client = try TrialClient.open(target)
                do throws(TrialClient.Trouble) {
                    if number % 3 > 0 { try client.send(Self.text, Self.payload(Self.text, 5000)) }
                    // Half a frame, and no more.
                    if number % 3 == 2 { try client.send([0x82, 0xFF, 0, 0][...]) }
                } catch {
                    guard error == .ended else { throw error }
                }
            }
        }
        return try stillServes("a client after they vanished")
    }

    /// Two hundred clients that all say something.
    func crowd() throws(Stop) -> String {
        var crowd: [ObjectBox] = []
        for number in 0..<200 { crowd.append(ObjectBox(try opened("client \(number + 1) of 200"))) }
        for box in crowd {
            try attempt("one of 200 clients") { () throws(TrialClient.Trouble) in
                do throws(TrialClient.Trouble) {
                    try box.client.send(Self.text, Self.payload(Self.text, 200))
                } catch {
                    guard error == .ended else { throw error }
                }
            }
        }
        for box in crowd { try judge("one of 200 clients", try settle("one of 200 clients", &box.client)) }
        return ""
    }

    /// A client that talks and does not listen for a while: the handler must bear refused sends.
    func slowReader() throws(Stop) -> String {
        let target = gateway.target
        var client = try attempt("a client that does not read") { () throws(TrialClient.Trouble) in
            try TrialClient.open(target, patience: 1)
        }
        let message = Self.payload(Self.text, 32_768)
        var isHeldBack = false
        for _ in 0..<256 where !isHeldBack {
            do throws(TrialClient.Trouble) {
                try client.send(Self.text, message)
            } catch {
                // A frame may have been cut short, so nothing more can be said on this connection.
                isHeldBack = true
            }
        }
        _ = isHeldBack ? "" : try drained(&client)
        return try stillServes("a client beside one that does not read")
    }

    private func drained(_ client: inout TrialClient) throws(Stop) -> String {
        try judge("a client that does not read", try settle("a client that does not read", &client))
        return ""
    }

    /// A thousand connections, one after the other: what each leaves behind adds up.
    mutating func churn() throws(Stop) -> String {
        try comeAndGo(200)
        let before = gateway.memory
        try comeAndGo(1000)
        let growth = (gateway.memory - before) / 1000
        if growth > Self.mostLeftBehind {
            throw .wrong(
                "each connection leaves \(growth) bytes of memory behind",
                advice: "What open() or upgrade() allocates is freed in close() and in drop_conn().")
        }
        return ""
    }

    private func comeAndGo(_ count: Int) throws(Stop) {
        let target = gateway.target
        for number in 0..<count {
            try attempt("a client that comes and goes") { () throws(TrialClient.Trouble) in
                var client = try TrialClient.open(target)
                if number % 2 == 0 { try client.send(Self.text, [0x68, 0x69]) }
                try client.sendClose(1000)
                _ = try client.readClose()
            }
        }
    }

    func stillServes(_ what: String) throws(Stop) -> String {
        var client = try opened(what)
        try judge(what, try settle(what, &client))
        return ""
    }
}

/// A client in an array, which holds nothing that cannot be copied.
final class ObjectBox {
    var client: TrialClient

    init(_ client: consuming TrialClient) { self.client = client }
}
