import CGatewayABI

/// What is said about a `start` that answered no.
struct StartRefusal {
    let reason: String
    let remedy: String

    /// nil when the status is no refusal; the note is what the handler said through `fail`.
    init?(status: gw_status, note: String?) {
        guard status < 0 else { return nil }
        let answer = StatusName.of(status)
        if let note {
            reason = "refused to start: \"\(note)\" (\(answer))"
            remedy = "see what it says about itself"
        } else {
            reason = "refused to start: its start answered \(answer) and gave no reason"
            remedy = "ask its author to say why through host->fail"
        }
    }
}
