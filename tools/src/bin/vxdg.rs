//! Makes, imports, deports, changes and shows disk groups.

fn main() -> std::process::ExitCode {
    tools::vx::vxdg::main()
}
