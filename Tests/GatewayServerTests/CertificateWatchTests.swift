import Foundation
import Testing

@testable import GatewayServer

@Suite("Changed files of certificates are noticed, however they are deployed")
struct CertificateWatchTests {
    private let folder: String
    private let clock = MovedClock()
    private var manager: FileManager { FileManager.default }

    init() throws {
        folder = NSTemporaryDirectory() + "gateway-watch-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    private func write(_ text: String, _ name: String) throws {
        try text.write(toFile: "\(folder)/\(name)", atomically: false, encoding: .utf8)
    }

    private func link(_ name: String, to target: String) throws {
        try manager.createSymbolicLink(atPath: "\(folder)/\(name)", withDestinationPath: target)
    }

    /// A watch that has taken note of how the files are now.
    private func watch(_ files: String...) -> CertificateWatch {
        let watch = CertificateWatch(
            files: Set(files.map { "\(folder)/\($0)" }), settle: .milliseconds(1), clock: clock.reading)
        #expect(tells(watch))
        return watch
    }

    /// Whether it tells of a change within so many turns, two milliseconds apart.
    private func tells(_ watch: CertificateWatch, turns: Int = 3) -> Bool {
        for _ in 0..<turns {
            if watch.turn() { return true }
            clock.advance(milliseconds: 2)
        }
        return false
    }

    @Test func `files that were read before the watch began are read once more, and then rest`() throws {
        defer { try? manager.removeItem(atPath: folder) }
        try write("1", "cert.pem")
        let watch = watch("cert.pem")
        #expect(!tells(watch, turns: 1000))
    }

    @Test(arguments: [true, false])
    func `a file is written again, or another put in its place`(_ inPlace: Bool) throws {
        defer { try? manager.removeItem(atPath: folder) }
        try write("1", "cert.pem")
        let watch = watch("cert.pem")
        if inPlace {
            try write("22", "cert.pem")
        } else {
            try write("22", "new.pem")
            rename("\(folder)/new.pem", "\(folder)/cert.pem")
        }
        #expect(tells(watch))
        #expect(!watch.turn())
    }

    @Test func `a link is pointed at the next file in another folder, as certbot does`() throws {
        defer { try? manager.removeItem(atPath: folder) }
        for name in ["archive", "live"] {
            try manager.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: false)
        }
        for number in 1...2 { for name in ["cert", "key"] { try write("\(number)", "archive/\(name)\(number).pem") } }
        for name in ["cert", "key"] { try link("live/\(name).pem", to: "../archive/\(name)1.pem") }
        let watch = watch("live/cert.pem", "live/key.pem")
        for name in ["cert", "key"] {
            try link("live/next", to: "../archive/\(name)2.pem")
            rename("\(folder)/live/next", "\(folder)/live/\(name).pem")
        }
        #expect(tells(watch))
        #expect(!watch.turn())
    }

    @Test func `what a link leads to in another folder is looked at every five seconds`() throws {
        defer { try? manager.removeItem(atPath: folder) }
        for name in ["archive", "live"] {
            try manager.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: false)
        }
        try write("1", "archive/cert.pem")
        try link("live/cert.pem", to: "../archive/cert.pem")
        let watch = watch("live/cert.pem")
        try write("22", "archive/cert.pem")
        #expect(!tells(watch, turns: 2000), "the kernel tells of the folder of the link only")
        clock.advance(milliseconds: 1000)
        #expect(tells(watch))
    }

    @Test func `the folder of data is swapped, as Kubernetes does`() throws {
        defer { try? manager.removeItem(atPath: folder) }
        for version in ["..1", "..2"] {
            try manager.createDirectory(atPath: "\(folder)/\(version)", withIntermediateDirectories: false)
            try write(version, "\(version)/tls.crt")
        }
        try link("..data", to: "..1")
        try link("tls.crt", to: "..data/tls.crt")
        let watch = watch("tls.crt")
        try link("..data_tmp", to: "..2")
        rename("\(folder)/..data_tmp", "\(folder)/..data")
        #expect(tells(watch))
        #expect(!watch.turn())
    }

    @Test func `a file that goes is told of as well`() throws {
        defer { try? manager.removeItem(atPath: folder) }
        try write("1", "cert.pem")
        let watch = watch("cert.pem")
        try manager.removeItem(atPath: "\(folder)/cert.pem")
        #expect(tells(watch))
        try write("1", "cert.pem")
        #expect(tells(watch))
    }

    @Test func `nobody is told of files beside them`() throws {
        defer { try? manager.removeItem(atPath: folder) }
        try write("1", "cert.pem")
        let watch = watch("cert.pem")
        try write("1", "other.pem")
        #expect(!tells(watch, turns: 1000))
    }
}
