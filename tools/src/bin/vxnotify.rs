//! Tells what happens to disk groups.

fn main() -> std::process::ExitCode {
    tools::vx::vxnotify::main()
}
