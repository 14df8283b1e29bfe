//! Writes the man pages and shell completions of all commands.

fn main() -> std::process::ExitCode {
    tools::docs::main()
}
