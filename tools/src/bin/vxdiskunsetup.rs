//! Takes the label off disks.

fn main() -> std::process::ExitCode {
    tools::vx::vxdiskunsetup::main()
}
