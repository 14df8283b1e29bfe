//! Moves back what was relocated.

fn main() -> std::process::ExitCode {
    tools::vx::vxunreloc::main()
}
