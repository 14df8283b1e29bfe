//! Removes and renames records, and changes their attributes.

fn main() -> std::process::ExitCode {
    tools::vx::vxedit::main()
}
