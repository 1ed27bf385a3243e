extension HostContext {
    /// Does something with what a worker owns: at once where this is its thread, and by a message anywhere else.
    ///
    /// - Parameters:
    ///   - here: what is done on the worker's own thread.
    ///   - elsewhere: what leaves the message.
    @inline(__always)
    func onOwner<Result>(_ port: WorkerPort, _ here: (Worker) -> Result, else elsewhere: () -> Result) -> Result {
        let answer: Result?? = unsafe HostFunctions.onWorker { worker in worker.port === port ? here(worker) : nil }
        return (answer ?? nil) ?? elsewhere()
    }

    /// The same with a connection that the worker still has.
    @inline(__always)
    func onOwner<Result>(
        of found: FoundConnection, _ here: (Worker, ConnectionPointer) -> Result, else elsewhere: () -> Result
    ) -> Result {
        let answer: Result?? = unsafe HostFunctions.onWorker { worker in
            guard worker.port === found.port else { return nil }
            return worker.table.find(slot: found.slot, serial: found.id.serial).map { here(worker, $0) }
        }
        return (answer ?? nil) ?? elsewhere()
    }
}
