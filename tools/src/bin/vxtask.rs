//! Shows copies that are being made, and says how fast.

fn main() -> std::process::ExitCode {
    tools::vx::vxtask::main()
}
