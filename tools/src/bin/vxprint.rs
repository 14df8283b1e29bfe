//! Shows the records of disk groups.

fn main() -> std::process::ExitCode {
    tools::vx::vxprint::main()
}
