//! Asks over LLT whether a node is alive.

fn main() -> std::process::ExitCode {
    tools::lltping::main()
}
