//! Starts and stops LLT.

fn main() -> std::process::ExitCode {
    tools::lltconfig::main()
}
