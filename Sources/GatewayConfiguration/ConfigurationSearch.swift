/// Where gateway.conf is looked for when the operator does not say.
package enum ConfigurationSearch {
    /// The places that are tried in the end, in order.
    package static let places = ["gateway.conf", "/etc/gateway/gateway.conf"]

    /// The file to read: the `-c` option, then `$GATEWAY_CONF`, then the first place where there is one.
    ///
    /// A file that was named is answered whether or not it exists, so that its absence is an error and not a silent
    /// step to the next one. Nil = nothing was named and no place holds a file. An empty name counts as none.
    package static func file(option: String?, environment: String?, exists: (String) -> Bool) -> String? {
        if let option, !option.isEmpty { return option }
        if let environment, !environment.isEmpty { return environment }
        return places.first(where: exists)
    }

    /// The same with the real file system.
    package static func file(option: String?, environment: String?) -> String? {
        file(option: option, environment: environment, exists: FileReader.exists)
    }
}
