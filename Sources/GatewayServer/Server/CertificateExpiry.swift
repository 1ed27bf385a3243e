import GatewayControl

/// Says that certificates end soon: when they have been read, and once a day from 14 days on.
struct CertificateExpiry {
    /// Something to be said of a certificate.
    struct Notice: Equatable {
        let text: String
        /// It has ended already.
        let isOver: Bool
    }

    private static let day: Int64 = 24 * 3600
    /// Seconds of a certificate's life that are few.
    static let few = 14 * day

    /// When a certificate was spoken of last, by its file; seconds since 1970.
    private var saidAt: [String: Int64] = [:]

    /// They have been read again: whatever is to be said of them is said again.
    mutating func forget() { saidAt = [:] }

    /// What is to be said now.
    ///
    /// - Parameter now: seconds since 1970.
    mutating func turn(_ certificates: [StatusReport.Certificate], at now: Int64) -> [Notice] {
        certificates.compactMap { certificate in
            guard let notice = Self.notice(certificate, at: now) else { return nil }
            if let before = saidAt[certificate.file], (before..<before + Self.day).contains(now) { return nil }
            saidAt[certificate.file] = now
            return notice
        }
    }

    /// Seconds from now until `turn` has something to say, if nothing changes; nil for never.
    func pause(_ certificates: [StatusReport.Certificate], at now: Int64) -> Int64? {
        certificates.map { certificate in
            let due = saidAt[certificate.file].map { $0 + Self.day } ?? (certificate.expiresAt - Self.few)
            return max(0, due - now)
        }.min()
    }

    /// What a certificate gives cause to say; nil for nothing.
    static func notice(_ certificate: StatusReport.Certificate, at now: Int64) -> Notice? {
        let left = certificate.expiresAt - now
        guard left < few else { return nil }
        let what = "the certificate for \(certificate.name) in \(certificate.file)"
        let isOver = left < 0
        let when = isOver ? "expired \(span(-left)) ago: clients refuse it" : "expires in \(span(left))"
        return Notice(text: "\(what) \(when)", isOver: isOver)
    }

    /// A time in its largest unit.
    private static func span(_ seconds: Int64) -> String {
        let (number, unit) = seconds >= day ? (seconds / day, "day") : (seconds / 3600, "hour")
        return "\(number) \(unit)\(number == 1 ? "" : "s")"
    }
}
