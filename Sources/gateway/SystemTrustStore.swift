import Glibc

/// The list of the system, from which OpenSSL and most programs read: a folder, and a program that makes the list of it.
struct SystemTrustStore: TrustStore {
    let title = "the system"
    let place: String
    private let program: String
    private let arguments: [String]

    /// Debian's and Fedora's.
    private static let known = [
        ("/usr/local/share/ca-certificates", "update-ca-certificates", []),
        ("/etc/pki/ca-trust/source/anchors", "update-ca-trust", ["extract"]),
    ]

    /// The one there is; nil when it is none of those that are known.
    init?() {
        let found = Self.known.first { unsafe access($0.0, F_OK) == 0 && OtherProgram($0.1) != nil }
        guard let found else { return nil }
        (place, program, arguments) = found
    }

    var obstacle: String? {
        unsafe access(place, W_OK) == 0 ? nil : "only an administrator may write there"
    }

    private func file(_ authority: TrustedAuthority) -> WrittenFile {
        WrittenFile(path: "\(place)/\(authority.fileName)")
    }

    func holds(_ authority: TrustedAuthority) throws(DevCertFailure) -> Bool? {
        try file(authority).read() == authority.text
    }

    func add(_ authority: TrustedAuthority) throws(DevCertFailure) {
        try file(authority).replace(authority.text, mode: 0o644)
        do throws(DevCertFailure) {
            try update()
        } catch {
            // Else the next call would take it for trusted.
            _ = try file(authority).remove()
            throw error
        }
    }

    func remove(_ authority: TrustedAuthority) throws(DevCertFailure) {
        _ = try file(authority).remove()
        try update()
    }

    private func update() throws(DevCertFailure) {
        guard let found = OtherProgram(program) else { throw DevCertFailure("\(program) is gone") }
        let answer = try found.run(arguments)
        guard answer.isFine else { throw DevCertFailure("\(found.path) failed: \(answer.text)") }
    }
}
