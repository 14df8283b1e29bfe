//! Starts and stops volumes.

fn main() -> std::process::ExitCode {
    tools::vx::vxvol::main()
}
