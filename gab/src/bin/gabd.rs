//! gabd: LLT and GAB of one node.

use std::process::ExitCode;

fn main() -> ExitCode {
    gab::daemon::run()
}
