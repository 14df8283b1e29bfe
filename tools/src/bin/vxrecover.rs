//! Recovers volumes whose plexes are not current.

fn main() -> std::process::ExitCode {
    tools::vx::vxrecover::main()
}
