//! Shows what volumes, plexes, subdisks and disks have done.

fn main() -> std::process::ExitCode {
    tools::vx::vxstat::main()
}
