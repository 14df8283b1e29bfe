//! Registers on a GAB port from the shell.

fn main() -> std::process::ExitCode {
    tools::gabport::main()
}
