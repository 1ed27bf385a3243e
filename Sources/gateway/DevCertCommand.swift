import GatewayTLS
import Glibc

/// `gateway dev-cert`: a certificate for this machine, and an authority that its browsers trust.
enum DevCertCommand {
    static func run(_ arguments: Arguments) -> Int32 {
        var names: [CertificateName] = []
        for word in arguments.operands {
            do throws(CertificateName.Failure) {
                names.append(try CertificateName(word))
            } catch {
                return misuse("\(TrustCommands.quoted(word)) \(error.reason)")
            }
        }
        let removes = arguments.flags.contains("--remove")
        if removes, let name = names.first { return misuse("--remove takes everything away, not only \(name)") }
        do throws(DevCertFailure) {
            return removes ? try remove() : try make(names)
        } catch {
            return complain(error)
        }
    }

    private static func misuse(_ sentence: String) -> Int32 {
        Terminal.complain("error: \(sentence)\n       `gateway dev-cert --help` shows how it is used")
        return ExitStatus.usage
    }

    private static func complain(_ error: DevCertFailure) -> Int32 {
        Terminal.complain("error: \(error.sentence)")
        return ExitStatus.failure
    }

    /// The lists there are on this machine.
    private static var stores: [any TrustStore] {
        (SystemTrustStore().map { [$0] as [any TrustStore] } ?? []) + NSSTrustStore.all()
    }

    // MARK: Making

    private static func make(_ names: [CertificateName]) throws(DevCertFailure) -> Int32 {
        // Before anything is made: a folder with other files in it, or one that is not to be written to.
        let files = try CertificateFiles()
        guard unsafe access(".", W_OK) == 0 else {
            throw DevCertFailure("cannot write into this folder: \(unsafe String(cString: strerror(errno)))")
        }
        guard let folder = try AuthorityFolder.open(making: true) else {
            throw DevCertFailure("the folder \(try AuthorityFolder.place()) is gone")
        }
        let (authority, isNew) = try folder.authority()
        if isNew { Terminal.show("made \(folder.certificate.path), an authority for this user\n") }
        let (certificate, outcome) = try files.update(names, by: authority)
        report(certificate, outcome)
        let trusted = try TrustedAuthority(authority.certificate, file: folder.certificate.path)
        NSSTrustStore.makeFirst()
        return trust(trusted, isRepeated: !isNew && outcome == .kept)
    }

    private static func report(_ certificate: IssuedCertificate, _ outcome: CertificateFiles.Outcome) {
        let what = "for \(certificate.names.map(\.description).joined(separator: ", ")), until \(certificate.lastDay)"
        let files = "\(CertificateFiles.certificate.path) and \(CertificateFiles.key.path)"
        switch outcome {
        case .kept: Terminal.show("kept \(files): \(what)\n")
        case .made: Terminal.show("made \(files): \(what)\n")
        case .renewed: Terminal.show("renewed \(CertificateFiles.certificate.path): \(what)\n")
        }
    }

    /// Adds the authority to each list, and says what else there is to do.
    private static func trust(_ authority: TrustedAuthority, isRepeated: Bool) -> Int32 {
        var (status, isComplete, hasChanged, knowsSystem) = (ExitStatus.ok, true, false, false)
        for store in stores {
            if store is SystemTrustStore { knowsSystem = true }
            let name = "\(store.title) (\(store.place))"
            do throws(DevCertFailure) {
                if try store.holds(authority) == true {
                    Terminal.show("\(name) trusts it already\n")
                } else if let obstacle = store.obstacle {
                    isComplete = false
                    Terminal.show("\(name) does not trust it: \(obstacle)\n")
                } else {
                    try store.add(authority)
                    hasChanged = true
                    Terminal.show("\(name) trusts it now\n")
                }
            } catch {
                isComplete = false
                status = complain(error)
            }
        }
        isComplete = isComplete && knowsSystem
        let commands = TrustCommands(authority: authority, chromiumPlace: NSSTrustStore.ofChromium.first?.place)
        let isSame = isRepeated && !hasChanged
        if isSame { Terminal.show("nothing had to be changed\n") }
        if !isSame || !isComplete { next(commands, isComplete: isComplete) }
        return status
    }

    private static func next(_ commands: TrustCommands, isComplete: Bool) {
        if isComplete {
            Terminal.show("\nBrowsers that run have to be started again. Programs with a list of their own:\n")
            Terminal.show(commands.programText)
        } else {
            Terminal.show("\nTo have it trusted, there or by another machine:\n\(commands.text)")
        }
        Terminal.show(
            "\nIn gateway.conf:\n  listen 8443 tls { certificate \(CertificateFiles.certificate.path)"
                + " \(CertificateFiles.key.path); }\n")
    }

    // MARK: Removing

    private static func remove() throws(DevCertFailure) -> Int32 {
        var hasRemoved = try removeFiles()
        var status = ExitStatus.ok
        if let folder = try AuthorityFolder.open(making: false) {
            // First of all: without it nothing new can be issued, whoever trusts the rest.
            if try folder.removeKey() { hasRemoved = true }
            if let certificate = try folder.trusted() {
                let authority = try TrustedAuthority(certificate, file: folder.certificate.path)
                status = distrust(authority)
                hasRemoved = true
            }
            // As long as somebody trusts it, the next `--remove` has to know what to look for.
            if status == ExitStatus.ok { try folder.removeCertificate() }
            if hasRemoved, status == ExitStatus.ok { Terminal.show("removed the authority in \(folder.path)\n") }
        }
        if !hasRemoved { Terminal.show("there is nothing to remove\n") }
        return status
    }

    /// The files in this folder; whether there were any.
    private static func removeFiles() throws(DevCertFailure) -> Bool {
        let files: CertificateFiles
        do throws(DevCertFailure) {
            files = try CertificateFiles()
        } catch {
            Terminal.complain("note: \(error.sentence)")
            return false
        }
        let removed = try files.remove()
        for path in removed { Terminal.show("removed \(path)\n") }
        return !removed.isEmpty
    }

    private static func distrust(_ authority: TrustedAuthority) -> Int32 {
        var status = ExitStatus.ok
        for store in stores {
            let name = "\(store.title) (\(store.place))"
            do throws(DevCertFailure) {
                guard let holds = try store.holds(authority) else {
                    Terminal.complain("note: \(name) was not looked at: \(store.obstacle ?? "it cannot be read")")
                    continue
                }
                guard holds else { continue }
                if let obstacle = store.obstacle {
                    throw DevCertFailure(
                        "\(name) trusts it still: \(obstacle).\n"
                            + "   The key is gone. What is left to do, and then `gateway dev-cert --remove` again:\n"
                            + "   \(TrustCommands.removal(authority, from: store.place))")
                }
                try store.remove(authority)
                Terminal.show("\(name) trusts it no longer\n")
            } catch {
                status = complain(error)
            }
        }
        return status
    }
}
