import GatewayIO
import Glibc
import TestSupport
import Testing

@Suite("NotificationSocket: datagrams for whoever listens, and no waiting for whoever does not")
struct NotificationSocketTests {
    @Test("they arrive whole, by a name in the file system and by an abstract one", arguments: [false, true])
    func arrives(isAbstract: Bool) throws {
        let listener = DatagramListener(isAbstract: isAbstract)
        let socket = try NotificationSocket(path: listener.name)
        #expect(socket.send("READY=1\nSTATUS=serving") == .sent)
        #expect(socket.send("") == .sent)
        #expect(listener.receive() == "READY=1\nSTATUS=serving")
        #expect(listener.receive() == "")
    }

    @Test("a listener that has gone, or was never there, is said to be lost", arguments: [false, true])
    func gone(isAbstract: Bool) throws {
        let listener = DatagramListener(isAbstract: isAbstract)
        let socket = try NotificationSocket(path: listener.name)
        listener.close()
        guard case .lost = socket.send("READY=1") else { return #expect(Bool(false), "it was not noticed") }
    }

    @Test("one that does not read is not waited for, and hears what comes when there is room again")
    func full() throws {
        let listener = DatagramListener()
        let socket = try NotificationSocket(path: listener.name)
        var sent = 0
        while socket.send("\(sent)") == .sent { sent += 1 }
        #expect(sent > 0 && socket.send("more") == .full)
        #expect(listener.receive() == "0")
        #expect(socket.send("last") == .sent)
        #expect(listener.waiting() == (1..<sent).map { "\($0)" } + ["last"])
    }

    @Test(
        "names that no socket can have are refused",
        arguments: ["", "@", "/", "relative", "vsock:2:1", "/a\0b", "/" + String(repeating: "a", count: 107)])
    func names(path: String) {
        #expect(throws: Errno.self) { _ = try NotificationSocket(path: path) }
    }

    @Test("the longest names fit")
    func longest() throws {
        _ = try NotificationSocket(path: "/" + String(repeating: "a", count: 106))
        _ = try NotificationSocket(path: "@" + String(repeating: "a", count: 107))
    }
}
