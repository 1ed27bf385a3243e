import CGatewayABI
import GatewayIO
import TestSupport

@testable import GatewayServer

/// A peer whose messages are answered where they lie hears the same bytes as one whose answers are copied because it
/// hears a topic, too: whatever both say, however packets cut it, and however slowly they read.
func tryEchoes(_ bytes: [UInt8]) -> Int32 {
    var input = Input(bytes)
    // Behind the last step there is room for all that waits.
    let window = input.number(below: 4) == 0 ? 200 + input.number(below: 256) << 4 : 1 << 30
    let peers = [stepWorker.open("/echo", window: window), stepWorker.open("/echo", window: window)]
    let name: [CChar] = [116]
    _ = stepWorker.host(0).subscribe(peers[1].id?.number ?? 0, 0, name, 1)
    stepWorker.step()
    var heard: [[UInt8]] = [[], []]
    for _ in 0..<40 where !input.isEmpty {
        act(&input, peers)
        for (index, peer) in peers.enumerated() { heard[index] += peer.heard() }
        precondition(peers[0].phase == peers[1].phase, "one of two that said the same has come further")
    }
    for (index, peer) in peers.enumerated() {
        peer.widen(by: 1 << 24)
        stepWorker.step()
        heard[index] += peer.heard()
    }
    precondition(heard[0] == heard[1], "answers that lie where the message did are not those that are copied")
    for peer in peers {
        peer.finish()
        for _ in 0..<4 { stepWorker.step(after: 10_000) }
        _ = stepWorker.host(0).abort(peer.id?.number ?? 0)
        stepWorker.step(after: 100_000)
    }
    precondition(stepWorker.isDeserted, "something is left of connections that are gone")
    return 0
}

/// What both do in a turn.
private func act(_ input: inout Input, _ peers: [StepWorker.Peer]) {
    var said: [UInt8] = []
    switch input.number(below: 8) {
    case 0: said = input.bytes(input.number(below: 32))
    case 1: for peer in peers { peer.widen(by: 100) }
    case 2: said = ClientFrame(UInt8(8 + input.number(below: 3)), input.bytes(input.number(below: 8))).bytes
    default:
        for _ in 0...input.number(below: 4) { said += frame(&input).bytes }
        // Of the last frame some bytes come in the next turn, or never.
        if input.number(below: 4) == 0 { said.removeLast(min(said.count, input.number(below: 64))) }
    }
    for peer in peers { peer.say(said) }
    stepWorker.step()
}

private func frame(_ input: inout Input) -> ClientFrame {
    let shape = input.byte()
    // Short enough to be tried often; some are of more than one form of the length.
    let count = shape >> 5 == 7 ? 100 + input.number(below: 256) << 2 : input.number(below: 128)
    let front = input.bytes(min(count, input.number(below: 5)))
    let payload = front + [UInt8](repeating: UInt8(ascii: "a"), count: count - front.count)
    // Mostly whole messages; now and then the first, a middle or the last fragment.
    return ClientFrame(shape & 7 == 7 ? 0 : 1 + shape & 1, payload, isFinal: shape & 24 != 24).with {
        $0.key = [shape, 0, UInt8(truncatingIfNeeded: count), 0xA5]
    }
}
