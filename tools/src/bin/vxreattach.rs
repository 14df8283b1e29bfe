//! Takes disks that are back into their groups.

fn main() -> std::process::ExitCode {
    tools::vx::vxreattach::main()
}
