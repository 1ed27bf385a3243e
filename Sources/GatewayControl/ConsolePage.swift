/// The browser console that `console /path;` serves: a page, its files beside it, and what the page asks each second.
package struct ConsolePage: Sendable {
    /// What a request for it is.
    package enum Asked: Sendable, Equatable {
        case file(PageFile)
        /// The routes as they are now.
        case state
    }

    /// In front of the names of its files; empty for `/`.
    package let base: String
    private let prefix: [UInt8]

    /// - Parameter path: what `console` says.
    package init(path: String) {
        base = path == "/" ? "" : path
        prefix = Array("\(base)/-/".utf8)
    }

    /// What is at a path; nil when that is not the console's.
    package func asked(at path: [UInt8]) -> Asked? {
        if path.elementsEqual((base.isEmpty ? "/" : base).utf8) { return file("index.html") }
        guard path.starts(with: prefix) else { return nil }
        let name = String(decoding: path[prefix.count...], as: UTF8.self)
        return name == "state" ? .state : file(name)
    }

    private func file(_ name: String) -> Asked? { PageFile.named(name, of: "console").map { .file($0) } }
}

extension ConsolePage {
    /// How many connections are with a generation.
    package struct Share: Sendable, Equatable {
        package var generation: UInt64
        package var connections: UInt64

        package init(generation: UInt64, connections: UInt64) {
            (self.generation, self.connections) = (generation, connections)
        }
    }

    /// A route as the page shows it.
    package struct Route: Sendable, Equatable {
        package var pattern: String
        package var handler: String
        /// Why no instance serves it; nil while one does.
        package var unavailable: String?
        /// The generation that new connections get; nil while there is none.
        package var generation: UInt64?
        package var connections: Int
        /// The oldest generation first: after a reload that says who has moved.
        package var shares: [Share]

        package init(
            pattern: String, handler: String, unavailable: String?, generation: UInt64?, connections: Int,
            shares: [Share] = []
        ) {
            self.pattern = pattern
            self.handler = handler
            self.unavailable = unavailable
            self.generation = generation
            self.connections = connections
            self.shares = shares
        }

        fileprivate func write(to writer: inout JSONWriter) {
            writer.object { writer in
                writer.member("pattern", pattern)
                writer.member("handler", handler)
                writer.member("unavailable", unavailable)
                writer.member("generation", generation)
                writer.member("connections", connections)
                writer.name("generations")
                writer.array(shares) { writer, each in
                    writer.object { writer in
                        writer.member("generation", each.generation)
                        writer.member("connections", each.connections)
                    }
                }
            }
        }
    }

    /// What the page asks for, as one line of JSON.
    ///
    /// - Parameters:
    ///   - process: differs from one process to the next, so that the page notices another one in its place.
    ///   - securePort: where the same gateway speaks TLS, for a page that came without.
    package static func state(
        _ routes: [Route], process: String, version: String, securePort: UInt16? = nil
    ) -> String {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("process", process)
            writer.member("version", version)
            writer.member("secure_port", securePort)
            writer.name("routes")
            writer.array(routes) { $1.write(to: &$0) }
        }
        return writer.text
    }
}
