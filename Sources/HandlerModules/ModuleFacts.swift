/// What a process that has loaded a module says of it to one that has not.
package struct ModuleFacts: Equatable, Sendable {
    package var name = ""
    package var version = ""
    package var sdk = ""
    package var abiVersion: UInt32 = 0
    /// GW_HF_*.
    package var flags: UInt32 = 0
    package var stateFormat: UInt64 = 0
    package var stateVersion: UInt32 = 0
    /// It has `save_conn`, and `restore_conn`.
    package var saves = false
    package var restores = false
    /// It takes messages piece by piece.
    package var takesFragments = false

    package init() {}

    package init(_ generation: Generation) {
        (name, version, sdk) = (generation.name, generation.version, generation.sdk)
        abiVersion = generation.abiVersion.number
        flags = generation.flags
        (stateFormat, stateVersion) = (generation.stateFormat, generation.stateVersion)
        saves = unsafe generation.callbacks.saveConnection != nil
        restores = unsafe generation.callbacks.restoreConnection != nil
        takesFragments = unsafe generation.callbacks.fragment != nil
    }
}
