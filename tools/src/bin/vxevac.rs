//! Moves volumes off a disk.

fn main() -> std::process::ExitCode {
    tools::vx::vxevac::main()
}
