import GatewayCluster
import GatewayIO
import HandlerModules

/// What a program that serves and the one that is to take over say to each other.
///
///     successor                                   predecessor
///     hello ──────────────────────────────────▶
///           ◀──────────────────────────────────  welcome
///     starts its handlers, then handlersStarted ▶
///           ◀──────────────────────────────────  instanceState …, statesDone
///     gives them to its handlers, then ready ─▶
///           ◀──────────────────────────────────  slots …, listener …, serve
///     serves, says serving ───────────────────▶
///           ◀──────────────────────────────────  connection …
///           ◀── publication, errand, both ways ─▶
///           ◀──────────────────────────────────  received …, remaining …, finish
///     of isolated handlers:
///           ◀──────────────────────────────────  handlerProcess …, before welcome
///     succeed … ──────────────────────────────▶
///           ◀──────────────────────────────────  allAway behind the first connections; handlerNews …
///     so that it can be gone back to:
///           ◀──────────────────────────────────  programFile, before welcome
///     letGo: no connection is to stay ────────▶
///     where topics are shared with other gateways:
///     shareTopic … ───────────────────────────▶
///           ◀──────────────────────────────────  topicShared …, flushed …; confirmTopics, before finish
///     topicsConfirmed ────────────────────────▶
///     stop: the gateway is to end ────────────▶
///           ◀──────────────────────────────────  allSent
///     abort at any time, either way
///
/// And what a program that serves says to the process that watches over it, which has no code of handlers (`WatchOver`):
///
///     program that serves                         watch over
///     programFile, where another file is there ▶
///     start ───────────────────────────────────▶  its child, from here on
///           ◀───────────────────────────────────  started, or notStarted; childEnded when it has
///     serves ──────────────────────────────────▶  the child whose end is the end of all
///
/// And what the process of an isolated handler and the first process say (`FirstProcess`, `HandlerProcess`):
///
///     process of a handler                        first process
///     loaded, then statesDone's answer: serving ▶
///           ◀───────────────────────────────────  instanceState …, statesDone; connection …
///     taken …, ended …, instanceState …, tally …,
///     answer …, relieve ───────────────────────▶
///           ◀───────────────────────────────────  handOver, depart, stop, reopenLogs, ask, unask, gap, latecomers
enum SuccessionMessage: Sendable {
    /// The first word of the successor.
    case hello(Greeting)
    /// The answer to it.
    case welcome(Greeting)
    /// The successor has started its handlers, and wants what those before know of themselves.
    case handlersStarted
    /// A socket that listens, with its descriptor.
    case listener(ListenerShare, PassedDescriptors)
    /// What an instance of a handler has saved of itself.
    case instanceState(InstanceState)
    /// There are no more of those.
    case statesDone
    /// The successor can serve, and its routes can take over so much.
    case ready([RouteTarget])
    /// Places of a worker that connections of the predecessor have.
    case slots(SlotShare)
    /// All sockets that listen have been handed over, and nobody accepts from them.
    case serve
    /// The successor serves.
    case serving
    /// A connection, with its descriptor.
    case connection(ConnectionShare, PassedDescriptors)
    /// What was published on one side, for the members that are on the other.
    case publication(Publication)
    /// What a handler asked of a connection that is on the other side.
    case errand(SuccessionErrand)
    /// So many publications and errands of the successor have been given out.
    case received(UInt64)
    /// The successor has looked at so many connections that have come. A predecessor that does not listen sends as fast as it
    /// can.
    case seen(UInt64)
    /// A line for whoever asked for the upgrade.
    case progress(String)
    /// Who stays with the predecessor.
    case remaining(Remaining)
    /// The gateway is to end: no connection is to come any more, and those that stay are to be told.
    case stop
    /// No connection comes any more.
    case allSent
    /// A handler runs in a process of its own, whose ledger this is. A successor that knows nothing of that starts it anew.
    case handlerProcess(HandlerShare, PassedDescriptors)
    /// That process is to give its connections to the successor's own, at the other end of this socket.
    case succeed(handler: String, PassedDescriptors)
    /// The process of a handler gives its connections to nobody any more; whoever is still there stays. Between two programs
    /// it is named.
    case keep(handler: String)
    /// What has become of connections that are with it.
    case handlerNews(HandlerNews)
    /// All connections of such processes are the successor's.
    case allAway
    /// The file of a program, of which another one may have the name by now: of the predecessor, or of the one that is to be
    /// started next.
    case programFile(path: String, PassedDescriptors)
    /// Whoever is left with the predecessor is told to go: its program is to take over again. Known to those who have handed
    /// their file on.
    case letGo
    /// The successor has members of this topic, and the predecessor hears the engines of the cluster for both.
    case shareTopic(TopicShare)
    /// It does that from here on, and has not before.
    case topicShared(TopicShare)
    /// Engines have what was published in the predecessor before so many connections left it.
    case flushed(connections: UInt64)
    /// The predecessor is about to end, and hears the engines of the cluster for both until the successor does.
    case confirmTopics
    /// The successor hears everything of other gateways itself, and has everybody who has come in the topics.
    case topicsConfirmed
    /// Nobody stays any more: the predecessor ends.
    case finish
    /// One side cannot go on, and says why.
    case abort(String)
    /// The process of a handler has loaded it, and serves these routes.
    case loaded(LoadedHandler)
    /// The process of a handler has these connections now.
    case taken([UInt64])
    /// These connections have ended in the process of their handler.
    case ended([UInt64])
    /// What the process of a handler has counted.
    case tally(ProcessTally)
    /// The process of a handler is to give its connections to another one, at the other end of this socket; or those alone
    /// whose sockets are their peers'.
    case handOver(PassedDescriptors, keepsRelayed: Bool = false)
    /// Its peers are told to go, one after the other within so many milliseconds.
    case depart(milliseconds: UInt64)
    /// Files of logs are to be opened again.
    case reopenLogs
    /// Somebody wants the process of a handler to end: another one is to take its place.
    case relieve
    /// The first process wants to know something, in the words of the control socket; answers have the same number.
    case ask(number: UInt64, line: String)
    /// It does not any more.
    case unask(UInt64)
    /// A part of an answer.
    case answer(ProcessAnswer)
    /// A process has died: something of what it published may be missing.
    case gap
    /// Another process takes over, and yet connections may come that the first process relays; or none do any more.
    case latecomers(areExpected: Bool)
    /// Another program is to be started, which inherits the descriptor.
    case start(ChildProgram, PassedDescriptors)
    /// It has this number.
    case started(process: UInt32)
    case notStarted(String)
    /// The child with this number serves from now on.
    case serves(process: UInt32)
    /// A child that was asked for has ended.
    case childEnded(process: UInt32, ChildEnd)

    /// Who speaks, and what it brings along.
    struct Greeting: Sendable, Equatable {
        /// The protocol that a side speaks, and the oldest that it understands.
        var version: UInt32 = SuccessionMessage.version
        var leastVersion: UInt32 = SuccessionMessage.leastVersion
        /// The version of the program, and its process.
        var program = ""
        var process: UInt32 = 0
        var workers: UInt16 = 0
        /// Slots for connections of each worker.
        var capacity: UInt32 = 0
        /// When the first program of this line came up, in seconds since 1970.
        var startedAt: UInt64 = 0
        /// What it publishes under in a cluster.
        var clusterOrigin: UInt64 = 0
        var generations: [HandlerGeneration] = []
        /// It says how many connections it has looked at.
        var tellsSeen = false
        /// It shares topics with other gateways, and knows what to say of them.
        var sharesTopics = false
    }

    /// Which build of a handler serves.
    struct HandlerGeneration: Sendable, Equatable {
        var handler: String
        var number: UInt64
        /// Of the file it was loaded from.
        var digest: UInt64
    }

    struct HandlerShare: Sendable, Equatable {
        var handler: String
        /// The generation that its process has.
        var generation: UInt64
    }

    /// What the program before hears of the process of a handler, which is its child.
    struct HandlerNews: Sendable, Equatable {
        var handler: String
        var taken: [UInt64] = []
        var ended: [UInt64] = []
        /// It gives nobody any more to a process that has gone.
        var isKept = false
        /// It has gone itself.
        var isGone = false
    }

    struct ListenerShare: Sendable, Equatable {
        enum Role: UInt8, Sendable {
            /// A `listen` line.
            case clients = 1
            /// `control`, and `admin`.
            case control = 2
            case admin = 3
            /// What a service manager handed over and no line takes now.
            case spare = 4
        }

        var role: Role
        /// As the listener calls it itself, with the port that it has.
        var address: String
        /// As the `listen` line has it; nil where there is none.
        var line: String?
        /// As the service manager calls it, which keeps it.
        var inheritedName: String?

        init(role: Role, address: String, line: String? = nil, inheritedName: String? = nil) {
            (self.role, self.address, self.line, self.inheritedName) = (role, address, line, inheritedName)
        }
    }

    struct InstanceState: Sendable, Equatable {
        var handler: String
        var route: String
        var state: SavedSelf
    }

    /// What a route of the successor can take over.
    struct RouteTarget: Sendable, Equatable {
        var route: String
        var handler: String
        /// The bytes of its `HandoverFacts`.
        var facts: [UInt8]
    }

    struct SlotShare: Sendable, Equatable {
        var worker: UInt8
        /// So many slots have been used.
        var count: UInt32
        /// No connection there has a higher serial.
        var serial: UInt32
        /// The timer that was given its number last.
        var timer: UInt64
    }

    struct ConnectionShare: Sendable, Equatable {
        /// The worker that it was with.
        var worker: UInt8
        /// How many publications and errands of the successor had been given out when it left.
        var received: UInt64
        /// All that there is to know of it: the bytes of its `ConnectionRecord`.
        var record: [UInt8]
    }

    /// A topic that other gateways have as well.
    struct TopicShare: Sendable, Equatable {
        /// The name of the route; empty for topics of the gateway.
        var scope: String
        var topic: [UInt8]
    }

    struct Publication: Sendable, Equatable {
        /// The name of the route; empty for topics of the gateway.
        var scope: String
        var topic: String
        var isText: Bool
        /// Not to be compressed.
        var isPlain: Bool
        /// The connection that does not hear what it published; 0 for none.
        var except: UInt64
        var payload: [UInt8]
        /// Of one that an engine has brought.
        var id: PublicationID?
    }

    /// What the process of a handler says when it has started it.
    struct LoadedHandler: Sendable, Equatable {
        var module = ModuleFacts()
        /// The routes that it serves.
        var routes: [String] = []
        /// Those whose start said no, and why.
        var refused: [RefusedRoute] = []
    }

    struct RefusedRoute: Sendable, Equatable {
        var route: String
        var reason: String
    }

    struct Remaining: Sendable, Equatable {
        /// Connections that stay, and why: a few words for each reason.
        var count: UInt64
        var reasons: [String]
        /// In so many milliseconds they are told to go.
        var milliseconds: UInt64
    }

    /// The protocol that this program speaks, and the oldest that it understands.
    static let version: UInt32 = 1
    static let leastVersion: UInt32 = 1

    /// The descriptors that go with it.
    var descriptors: PassedDescriptors? {
        switch self {
        case .listener(_, let descriptors), .connection(_, let descriptors), .start(_, let descriptors),
            .handOver(let descriptors, _), .handlerProcess(_, let descriptors), .succeed(_, let descriptors),
            .programFile(_, let descriptors):
            descriptors
        default: nil
        }
    }
}
