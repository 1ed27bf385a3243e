import Glibc

/// Asks until an answer is true; false when it was not within ten seconds. Each question gives others the processor.
package func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
    let end = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < end {
        if try condition() { return true }
        sched_yield()
    }
    return try condition()
}
