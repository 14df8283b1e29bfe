//! Puts what has failed with its disk on other disks.

fn main() -> std::process::ExitCode {
    tools::vx::vxrelocd::main()
}
