//! muster, the testbed: real daemons on real sockets, on one machine.
//!
//! [`cluster`] is the file that describes a cluster, [`testbed`] what can be done to it, and
//! [`commands`] the command line on top. [`demo`] tells the story, [`storm`] is the traffic under
//! which things are broken and the check of what came of it, and [`mod@bench`] measures. The tests
//! with real processes use the same parts. [`netns`] gives each node Ethernet cables of its own.

pub mod allocate;
pub mod bench;
pub mod binaries;
pub mod cli;
pub mod cluster;
pub mod commands;
pub mod control;
pub mod daemons;
pub mod demo;
pub mod files;
pub mod formed;
pub mod fuse;
pub mod netns;
pub mod places;
pub mod process;
pub mod programs;
pub mod status;
pub mod storm;
pub mod temporary;
pub mod testbed;
pub mod volumes;
pub mod wait;

use std::process::ExitCode;

use clap::Parser;

use crate::common::Failure;

/// The program.
pub fn main() -> ExitCode {
    ended(commands::run(cli::Cli::parse()))
}

fn ended(result: anyhow::Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        // Nobody reads on: there is nothing left to do.
        Err(error) if output_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("muster: {error:#}");
            ExitCode::from(commands::exit_code(&error))
        }
    }
}

/// Is it only that the reader of our output has gone?
fn output_closed(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Failure::ClosedOutput))
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        let failed = |failure: Failure| Err(anyhow::Error::from(failure)).context("step 2");
        assert_eq!(ended(failed(Failure::ClosedOutput)), ExitCode::SUCCESS);
        assert_eq!(ended(failed(Failure::operation("lost"))), ExitCode::FAILURE);
    }
}
