import GatewayConfiguration
import GatewayIO
import HTTP

extension SocketAddress {
    /// The address as a number; nil for a unix socket.
    var number: NetworkAddress? { isUnix ? nil : NetworkAddress(host) }
}

extension AddressList {
    /// Whether a peer may come in; nil is one that has gone already.
    func admits(_ peer: SocketAddress?) -> Bool { peer.map { allows($0.number) } ?? false }
}

extension Worker {
    /// Whether the address of a peer may have one more connection; where it is limited, it is counted now.
    ///
    /// - Returns: why not.
    @inline(never)
    func overdrawn(_ peer: ConnectionPointer, at route: Route) -> Rejection? {
        let places = limitsOfAddress(peer, at: route)
        for place in places {
            guard let rate = place.limits?.handshakeRate else { continue }
            if let wait = server.admissions.knock(place.key, rate, now: nowNanoseconds) {
                return .tooManyHandshakes(retryAfter: wait)
            }
        }
        let counted = places.compactMap { place in
            place.limits?.connectionsPerAddress.map { (key: place.key, most: $0) }
        }
        if counted.isEmpty { return nil }
        guard let ticket = AdmissionTicket(server.admissions, counted) else { return .tooManyOfAddress }
        peer.pointee.ownRareState.admission = ticket
        return nil
    }

    /// A connection that another process has admitted is counted for its address where it is limited here.
    func countAdmitted(_ peer: ConnectionPointer, at route: Route) {
        if routing.admission == nil && route.admission == nil { return }
        let keys = limitsOfAddress(peer, at: route).filter { $0.limits?.connectionsPerAddress != nil }.map(\.key)
        if keys.isEmpty { return }
        peer.pointee.ownRareState.admission = AdmissionTicket(server.admissions, resuming: keys)
    }

    /// What the address of a peer may have, of the gateway and of a route; nothing where it has none.
    private func limitsOfAddress(
        _ peer: ConnectionPointer, at route: Route
    ) -> [(limits: AdmissionLimits?, key: AdmissionTable.Key)] {
        // Peers of unix sockets have no address: nobody can tell them apart.
        guard let address = peer.pointee.peerAddress?.number?.subscriber else { return [] }
        return [
            (limits: routing.admission, scope: 0), (limits: route.admission, scope: route.name.hashValue | 1),
        ].map { place in (limits: place.limits, key: AdmissionTable.Key(scope: place.scope, address: address)) }
    }
}

extension OriginPolicy {
    /// Whether the page that a handshake comes from may connect.
    func admits(_ head: RequestHead) -> Bool {
        let span = head.bytes.span
        var line: Range<Int>?
        var isOnly = true
        // Programs send none, and that is all that has to be known of them; few names are as long.
        for field in head.fields where field.name.count == 6 && span.equals("origin", in: field.name) {
            if line == nil { line = field.value } else { isOnly = false }
        }
        guard let line else { return !isRequired }
        return admits(head.bytes[line], isOnly: isOnly, host: head.bytes[head.host ?? 0..<0])
    }
}
