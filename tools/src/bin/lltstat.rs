//! Shows the state of LLT.

fn main() -> std::process::ExitCode {
    tools::lltstat::main()
}
