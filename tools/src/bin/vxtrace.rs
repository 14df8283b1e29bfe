//! Shows what happens to the volumes of this node.

fn main() -> std::process::ExitCode {
    tools::vx::vxtrace::main()
}
