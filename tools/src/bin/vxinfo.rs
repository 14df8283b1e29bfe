//! Shows which volumes are started.

fn main() -> std::process::ExitCode {
    tools::vx::vxinfo::main()
}
