//! Restores the configuration of a disk group.

fn main() -> std::process::ExitCode {
    tools::vx::vxconfigrestore::main()
}
