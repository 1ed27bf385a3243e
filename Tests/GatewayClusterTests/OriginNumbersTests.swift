import Testing

@testable import GatewayCluster

struct OriginNumbersTests {
    @Test func `one after the other`() {
        var numbers = OriginNumbers()
        #expect(numbers.take(5, of: 1, isFirst: false) == .next)
        #expect(numbers.take(6, of: 1, isFirst: false) == .next)
        #expect(numbers.take(6, of: 1, isFirst: false) == .doubled)
        #expect(numbers.take(2, of: 1, isFirst: true) == .doubled)
        #expect(numbers.take(9, of: 1, isFirst: false) == .behind(lost: 2))
        #expect(numbers.take(10, of: 2, isFirst: false) == .next)
    }

    @Test func `numbers that begin afresh have lost nothing, a jump has lost nobody knows what`() {
        var numbers = OriginNumbers()
        _ = numbers.take(1, of: 1, isFirst: true)
        #expect(numbers.take(1 << 40, of: 1, isFirst: true) == .next)
        #expect(numbers.take(1 << 50, of: 1, isFirst: false) == .afresh)
        #expect(
            numbers.take((1 << 50) + OriginNumbers.largestJump + 1, of: 1, isFirst: false)
                == .behind(lost: OriginNumbers.largestJump))
    }

    @Test func `what has come another way has come`() {
        var (numbers, others) = (OriginNumbers(), OriginNumbers())
        _ = numbers.take(5, of: 1, isFirst: false)
        _ = others.take(3, of: 1, isFirst: false)
        _ = others.take(8, of: 2, isFirst: false)
        #expect(numbers.covers(5, of: 1) && !numbers.covers(6, of: 1) && !numbers.covers(1, of: 2))
        numbers.join(others)
        #expect(numbers.take(5, of: 1, isFirst: false) == .doubled)
        #expect(numbers.take(6, of: 1, isFirst: false) == .next)
        #expect(numbers.take(8, of: 2, isFirst: false) == .doubled)
        #expect(numbers.take(10, of: 2, isFirst: false) == .behind(lost: 1))
    }

    @Test func `a loss that is told of counts once, and what follows is no loss`() {
        var numbers = OriginNumbers()
        _ = numbers.take(3, of: 1, isFirst: false)
        #expect(numbers.noteLoss(upTo: 5, of: 1) == .behind(lost: 2))
        #expect(numbers.noteLoss(upTo: 5, of: 1) == .doubled)
        #expect(numbers.take(6, of: 1, isFirst: false) == .next)
        #expect(numbers.noteLoss(upTo: 4, of: 9) == .afresh)
        #expect(numbers.take(5, of: 9, isFirst: false) == .next)
    }

    @Test func `of too many origins the one that was silent longest is forgotten`() {
        var numbers = OriginNumbers()
        for origin: UInt64 in 1...UInt64(OriginNumbers.mostOrigins) { _ = numbers.take(1, of: origin, isFirst: true) }
        _ = numbers.take(2, of: 1, isFirst: false)
        _ = numbers.take(1, of: 1000, isFirst: true)
        #expect(numbers.take(1, of: 1, isFirst: false) == .doubled)
        #expect(numbers.take(1, of: 2, isFirst: false) == .next)
    }
}
