//! Makes, mirrors, resizes and removes volumes.

fn main() -> std::process::ExitCode {
    tools::vx::vxassist::main()
}
