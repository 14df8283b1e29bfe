//! Shows which disks of a group were used apart from each other.

fn main() -> std::process::ExitCode {
    tools::vx::vxsplitlines::main()
}
