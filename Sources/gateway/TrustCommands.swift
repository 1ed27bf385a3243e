/// The commands by which an authority comes to be trusted where `gateway dev-cert` could not see to it.
struct TrustCommands {
    let authority: TrustedAuthority
    /// The database of Chromium; nil when there is none yet.
    let chromiumPlace: String?

    /// For everything there is, a line each.
    var text: String {
        let rows =
            [
                ("Debian, Ubuntu", debian), ("Fedora", fedora), ("macOS", macOS), ("Chromium, Chrome, Edge", chromium),
                ("Firefox", firefox),
            ] + programs
        return rows.map { "  \($0.0)\n      \($0.1)\n" }.joined()
    }

    /// For programs that have a list of their own, whatever the system trusts.
    var programText: String { programs.map { "  \($0.0)\n      \($0.1)\n" }.joined() }

    private var programs: [(String, String)] {
        [
            ("curl", "curl --cacert \(file) https://localhost:8443/"),
            ("Python", "SSL_CERT_FILE=\(file) python3 client.py"),
            ("Node", "NODE_EXTRA_CA_CERTS=\(file) node client.js"),
        ]
    }

    private var file: String { Self.quoted(authority.file) }
    private var nickname: String { Self.quoted(authority.nickname) }

    private var debian: String {
        "sudo cp \(file) /usr/local/share/ca-certificates/\(authority.fileName) && sudo update-ca-certificates"
    }

    private var fedora: String {
        "sudo cp \(file) /etc/pki/ca-trust/source/anchors/\(authority.fileName) && sudo update-ca-trust extract"
    }

    private var macOS: String {
        // The file is here, the browser may be there: in a virtual machine's host, or at the other end of ssh.
        "sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain \(file)"
    }

    private var chromium: String {
        let add = "-t C,, -n \(nickname) -i \(file)    # Debian: certutil is in libnss3-tools"
        if let chromiumPlace { return "certutil -A -d \(Self.quoted("sql:\(chromiumPlace)")) \(add)" }
        return "mkdir -p ~/.pki/nssdb && certutil -A -d sql:$HOME/.pki/nssdb \(add)"
    }

    private var firefox: String {
        "for db in ~/.mozilla/firefox/*/cert9.db; do certutil -A -d sql:${db%/*} -t C,, -n \(nickname) -i \(file); done"
    }

    /// How an administrator takes it out of the system's list.
    static func removal(_ authority: TrustedAuthority, from place: String) -> String {
        let update = place.hasPrefix("/etc/pki") ? "update-ca-trust extract" : "update-ca-certificates"
        return "sudo rm \(place)/\(authority.fileName) && sudo \(update)"
    }

    /// A word as a shell takes it.
    static func quoted(_ word: String) -> String {
        let plain = word.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "-"),
                UInt8(ascii: "_"):
                true
            default: false
            }
        }
        if plain { return word }
        return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
