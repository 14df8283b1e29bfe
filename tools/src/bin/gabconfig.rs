//! Configures GAB and shows its memberships.

fn main() -> std::process::ExitCode {
    tools::gabconfig::main()
}
