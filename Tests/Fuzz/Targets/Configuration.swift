import GatewayConfiguration

/// A file is read or refused with a reason; what is read is printed, and read again as the same.
func tryConfiguration(_ bytes: [UInt8]) -> Int32 {
    do throws(ConfigurationError) {
        let first = try Configuration.parse(bytes, file: "/fuzz/gateway.conf").configuration
        let text = first.effectiveText()
        do throws(ConfigurationError) {
            let second = try Configuration.parse(text, file: "/fuzz/gateway.conf").configuration.effectiveText()
            precondition(values(second) == values(text), "what was printed reads otherwise:\n\(text)\n\(second)")
        } catch {
            preconditionFailure("what was printed is not read: \(error)\n\(text)")
        }
    } catch {
        precondition(!"\(error)".isEmpty, "a refusal says why")
    }
    return 0
}

/// A printed configuration without the comments that tell where values came from.
private func values(_ text: String) -> [Substring] {
    let origins = ["# default", "# /fuzz"]
    return text.split(separator: "\n").map { line in
        let comment = origins.firstNonNil { line.firstRange(of: $0)?.lowerBound }
        return line[..<(comment ?? line.endIndex)]
    }.map { $0.dropLast($0.reversed().prefix { $0 == " " }.count) }
}

extension Sequence {
    fileprivate func firstNonNil<Result>(_ transform: (Element) -> Result?) -> Result? {
        lazy.compactMap(transform).first
    }
}
