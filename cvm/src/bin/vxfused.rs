//! vxfused: the volumes of one node as files.

use std::process::ExitCode;

fn main() -> ExitCode {
    cvm::fuse::run()
}
