//! Starts, stops and shows CVM on this node.

fn main() -> std::process::ExitCode {
    tools::vx::vxclustadm::main()
}
