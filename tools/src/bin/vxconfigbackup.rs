//! Backs up the configuration of disk groups.

fn main() -> std::process::ExitCode {
    tools::vx::vxconfigbackup::main()
}
