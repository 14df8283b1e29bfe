//! The testbed.

fn main() -> std::process::ExitCode {
    tools::muster::main()
}
