import Foundation
import GatewayControl
import GatewayServer
import TestSupport
import Testing

/// A client of the fixture that subscribes, publishes and asks for things later as it is told to.
final class Errand {
    let client: TestClient
    /// The worker that serves it.
    let worker: Int

    init(_ gateway: TestGateway, path: String = "/probe", receiveBuffer: Int32? = nil) throws {
        client = try TestClient(port: gateway.port, open: path, receiveBuffer: receiveBuffer)
        let greeting = try client.receive().text
        worker = Int(greeting.split(separator: " ").last ?? "") ?? -1
    }

    func tell(_ command: String) throws { try client.send(command) }

    /// Several messages in one packet, and so in one turn.
    func tell(_ commands: [String]) throws {
        try client.send(commands.flatMap { ClientFrame(1, Array($0.utf8)).bytes })
    }

    /// What a host function answered to a command, and a number of it.
    @discardableResult
    func ask(_ command: String) throws -> String {
        try client.send("!" + command)
        return try hear()
    }

    func hear() throws -> String { try client.receive().text }

    /// Nothing but the answer to this came.
    func expectSilence() throws { #expect(try ask("nonsense") == "= -8 0") }
}

/// A folder with the fixture in it, whose file can be replaced under a running gateway.
final class ErrandFolder {
    let path: String
    private var version = 0
    private var name: String { path + "/errands.so" }
    private var socket: String { path + "/control" }

    init() throws {
        var template = Array("/tmp/gatewayXXXXXX\0".utf8CString)
        path = String(cString: try #require(mkdtemp(&template)))
        try replace()
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func gateway(threads: Int = 2) throws -> TestGateway {
        try TestGateway(
            handler: "errands", rest: "plugins \(path) { watch off; }", threads: threads, control: "unix:\(socket)")
    }

    /// Another file with the same code, put there in one step.
    private func replace() throws {
        let built = URL(fileURLWithPath: Fixture.file("errands"))
        let data = try Data(contentsOf: built) + Data(repeating: 0, count: version)
        try data.write(to: URL(fileURLWithPath: name + ".new"))
        try #require(chmod(name + ".new", 0o644) == 0 && rename(name + ".new", name) == 0)
        version += 1
    }

    func reload() throws {
        try replace()
        let answer = try ControlClient.ask(.reload("errands"), at: socket, seconds: 60)
        try #require(answer.exit == 0, "\(answer.text)")
    }
}
