extension Limits {
    package enum ReloadPolicy { case automatic, migrate, drain, close, off }
    package struct Probation { package var milliseconds: Int64; package var errors: Int }
    package var reload: ReloadPolicy { .automatic }
    package var drainTimeoutMilliseconds: Int64 { 60_000 }
    package var probation: Probation? { nil }
}
