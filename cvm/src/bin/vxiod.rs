//! vxiod: the tables and the I/O of disk groups on one node.

use std::process::ExitCode;

fn main() -> ExitCode {
    cvm::iod::run()
}
