//! Initialises disks.

fn main() -> std::process::ExitCode {
    tools::vx::vxdisksetup::main()
}
