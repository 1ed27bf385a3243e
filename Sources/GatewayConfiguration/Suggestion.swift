/// Finds the word that was most likely meant.
package enum Suggestion {
    /// The candidate that needs the fewest edits, else one that is longer or shorter at its end; nil when none is
    /// close.
    package static func nearest(to text: String, among candidates: [String]) -> String? {
        let word = Array(text.utf8)
        // Longer than every name by far: not a slip of the finger, and not worth the quadratic time.
        guard !word.isEmpty, word.count <= 40 else { return nil }
        var best: (distance: Int, name: String)?
        for candidate in candidates {
            let distance = distance(from: word, to: Array(candidate.utf8))
            let allowed = max(1, min(word.count, candidate.utf8.count) / 3)
            guard distance <= allowed, distance < best?.distance ?? .max else { continue }
            best = (distance, candidate)
        }
        if let best { return best.name }
        return candidates.first { candidate in
            let shorter = min(word.count, candidate.utf8.count)
            return shorter >= 4 && candidate.utf8.prefix(shorter).elementsEqual(word.prefix(shorter))
        }
    }

    /// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
    static func distance(from first: [UInt8], to second: [UInt8]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...second.count)
        for i in 0..<first.count {
            var row = [i + 1]
            for j in 0..<second.count {
                let replaced = last[j] + (first[i] == second[j] ? 0 : 1)
                var cost = min(replaced, last[j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, first[i] == second[j - 1], first[i - 1] == second[j] {
                    cost = min(cost, beforeLast[j - 1] + 1)
                }
                row.append(cost)
            }
            beforeLast = last
            last = row
        }
        return last[second.count]
    }
}
