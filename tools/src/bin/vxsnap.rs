//! Makes, refreshes and restores snapshots.

fn main() -> std::process::ExitCode {
    tools::vx::vxsnap::main()
}
