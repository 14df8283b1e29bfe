//! Shows disks, and looks for them.

fn main() -> std::process::ExitCode {
    tools::vx::vxdisk::main()
}
