//! vxconfigd: the configuration of disk groups on one node.

use std::process::ExitCode;

fn main() -> ExitCode {
    cvm::configd::run()
}
