//! Attaches plexes to volumes and takes them off.

fn main() -> std::process::ExitCode {
    tools::vx::vxplex::main()
}
