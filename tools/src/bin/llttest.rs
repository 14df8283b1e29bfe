//! Exercises LLT between nodes: messages, datagrams, rates.

fn main() -> std::process::ExitCode {
    tools::llttest::main()
}
