/// How the standard library itself learns how large the instances of a class are; for `ManagedBuffer` it is inlined
/// into every program, so it is there to stay. Should it go, modules fail to link rather than to keep their state.
@_silgen_name("$ss36_class_getInstancePositiveExtentSizeySiyXlXpF")
private func instanceSize(of type: AnyClass) -> Int

/// Whether instances of a class could keep anything at all.
enum Statelessness {
    private final class Nothing {}

    /// True when the class and those above it have no stored property, apart from ones without size.
    static func hasNoProperties(_ type: AnyClass) -> Bool {
        instanceSize(of: type) == instanceSize(of: Nothing.self)
    }
}
