//! Makes records as they are described.

fn main() -> std::process::ExitCode {
    tools::vx::vxmake::main()
}
