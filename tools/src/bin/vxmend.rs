//! Mends states and locks of records.

fn main() -> std::process::ExitCode {
    tools::vx::vxmend::main()
}
