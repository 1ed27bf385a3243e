import Glibc

/// A browser's list, a database that `certutil` of NSS changes.
struct NSSTrustStore: TrustStore {
    let title: String
    let place: String
    private let certutil = OtherProgram("certutil")

    var obstacle: String? {
        certutil == nil ? "certutil is not installed (Debian: libnss3-tools, Fedora: nss-tools)" : nil
    }

    /// Of Chromium and its kin, which have one for each user, and of each profile of Firefox.
    static func all() -> [NSSTrustStore] {
        guard let home = HomeFolder.path else { return [] }
        var found = ofChromium
        let profiles = [
            ".mozilla/firefox", ".config/mozilla/firefox", "snap/firefox/common/.mozilla/firefox",
            ".var/app/org.mozilla.firefox/.mozilla/firefox",
        ]
        for folder in profiles {
            for name in names(in: "\(home)/\(folder)")
            where unsafe access("\(home)/\(folder)/\(name)/cert9.db", F_OK) == 0 {
                found.append(NSSTrustStore(title: "Firefox, profile \(name)", place: "\(home)/\(folder)/\(name)"))
            }
        }
        return found
    }

    static var ofChromium: [NSSTrustStore] {
        guard let home = HomeFolder.path else { return [] }
        let places = chromiumPlaces(home).filter { unsafe access("\($0)/cert9.db", F_OK) == 0 }
        return places.map { NSSTrustStore(title: "Chromium, Chrome, Edge", place: $0) }
    }

    /// The first is that of old; a newer Chromium goes to the second where there is none, and one from a snap stays inside.
    private static func chromiumPlaces(_ home: String) -> [String] {
        let data = (try? HomeFolder.data()) ?? "\(home)/.local/share"
        return ["\(home)/.pki/nssdb", "\(data)/pki/nssdb", "\(home)/snap/chromium/current/.pki/nssdb"]
    }

    /// A Chromium that never ran has no database yet, and takes one that is there.
    static func makeFirst() {
        guard let home = HomeFolder.path else { return }
        let (place, all) = ("\(home)/.pki/nssdb", chromiumPlaces(home))
        // Beside a database of the newer place it would hide that.
        guard all.allSatisfy({ unsafe access($0, F_OK) != 0 }), let certutil = OtherProgram("certutil"),
            OtherProgram("chromium", "chromium-browser", "google-chrome", "microsoft-edge", "brave-browser") != nil
        else { return }
        for folder in ["\(home)/.pki", place] { _ = unsafe mkdir(folder, 0o700) }
        // Where this fails there is no database, and the report does not speak of Chromium.
        _ = try? certutil.run(["-N", "-d", "sql:\(place)", "--empty-password"])
    }

    func holds(_ authority: TrustedAuthority) throws(DevCertFailure) -> Bool? {
        if certutil == nil { return nil }
        // "gateway dev-cert 1a2b3c4d            C,,": what it is trusted for comes last.
        let lines = try run(["-L"]).text.split(separator: "\n")
        guard let line = lines.first(where: { $0.hasPrefix(authority.nickname) }) else { return false }
        return line.split(separator: " ").last?.prefix { $0 != "," }.contains("C") == true
    }

    func add(_ authority: TrustedAuthority) throws(DevCertFailure) {
        // C: vouches for servers, and for nothing else.
        let answer = try run(["-A", "-t", "C,,", "-n", authority.nickname, "-i", authority.file])
        if answer.isFine { return }
        // A database with a password takes the certificate, and then does not let it be trusted.
        _ = try run(["-D", "-n", authority.nickname])
        throw DevCertFailure("\(title) (\(place)) does not take it: \(answer.text)")
    }

    func remove(_ authority: TrustedAuthority) throws(DevCertFailure) {
        let answer = try run(["-D", "-n", authority.nickname])
        guard answer.isFine else { throw DevCertFailure("\(title) (\(place)) keeps it: \(answer.text)") }
    }

    /// With a file of no passwords, since certutil would ask the terminal for one.
    private func run(_ arguments: [String]) throws(DevCertFailure) -> OtherProgram.Answer {
        guard let certutil else { throw DevCertFailure("certutil is not installed") }
        return try certutil.run([arguments[0], "-d", "sql:\(place)", "-f", "/dev/null"] + arguments.dropFirst())
    }

    /// What is in a folder, in order; nothing when it cannot be read.
    private static func names(in folder: String) -> [String] {
        guard let listing = unsafe opendir(folder) else { return [] }
        defer { unsafe closedir(listing) }
        var names: [String] = []
        while let entry = unsafe readdir(listing) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}
