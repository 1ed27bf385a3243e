import GatewayConfiguration
import HandlerModules
import Synchronization

/// An instance at a route.
@safe struct RouteInstance {
    let instance: Instance
    var binding: UnsafeMutablePointer<Binding>
    var configuration: RouteConfiguration
    /// Bindings of the same instance that some connections may still hold.
    var former: [UnsafeMutablePointer<Binding>] = unsafe []

    init(_ instance: Instance, _ binding: UnsafeMutablePointer<Binding>, _ configuration: RouteConfiguration) {
        self.instance = instance
        unsafe self.binding = binding
        self.configuration = configuration
    }

    var references: Int {
        let bound = unsafe bindings.reduce(0) { unsafe $0 + $1.pointee.references.load(ordering: .acquiring) }
        return bound + instanceContext.pending.load(ordering: .acquiring)
    }

    /// What other threads know of the instance.
    var instanceContext: InstanceContext { unsafe binding.pointee.instanceContext }

    /// The place of its route in the table that is being made.
    var route: Int { unsafe binding.pointee.route.index }

    /// All bindings that connections of this instance may hold.
    var bindings: [UnsafeMutablePointer<Binding>] {
        let plain = unsafe [binding] + former
        return unsafe plain + plain.compactMap { unsafe $0.pointee.other }
    }
}
