//! Controls vxconfigd and shows its state.

fn main() -> std::process::ExitCode {
    tools::vx::vxdctl::main()
}
