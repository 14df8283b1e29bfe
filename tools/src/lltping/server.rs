//! The side of `lltping` that answers, on a port of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gab::client::{LltEvent, LltPort, LltSendError};
use gab::echo::{self, Echo};
use gab::snapshot::LltSnapshot;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::Cli;
use crate::common::{Failure, output};

/// Answers until interrupted. On port 30 there is nothing to do.
pub(super) fn serve(cli: &Cli, llt: &LltSnapshot) -> Result<(), Failure> {
    if cli.port == llt::LltPort::PING {
        if cli.quiet {
            return Ok(());
        }
        return output::print(&format!(
            "node {} answers on LLT port 30: gabd does so itself\n",
            llt.node
        ));
    }
    let mut port = LltPort::open(cli.root.path(), cli.port)?;
    if !cli.quiet {
        output::print(&format!("answering on LLT port {}\n", cli.port.get()))?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let mut answered = 0u64;
    while !stop.load(Ordering::SeqCst) {
        // A signal does not always interrupt the wait.
        let Some(event) = port.recv(Some(LOOK_FOR_SIGNALS)) else { continue };
        let (from, reliable, question) = match event {
            LltEvent::Closed(reason) => return Err(Failure::because(&reason)),
            LltEvent::Message { from, reliable, payload } => (from, reliable, payload),
            // Whoever asked has gone.
            LltEvent::NotSent { .. } => continue,
        };
        let Some(answer) = echo::answer(&question) else {
            if cli.verbose {
                let len = question.len();
                output::print(&format!("{len} bytes from node {from}: no question\n"))?;
            }
            continue;
        };
        // Nobody waits for an answer that there is no room for: it would stop all others.
        match port.try_send(from, &answer, reliable) {
            Ok(()) => answered += 1,
            Err(LltSendError::WouldBlock) => {}
            Err(error) => return Err(error.into()),
        }
        if cli.verbose
            && let Ok(echo) = Echo::read(&answer)
        {
            let damaged = if echo.damaged { ", the checksum did not match" } else { "" };
            let (len, number) = (question.len(), echo.number);
            output::print(&format!("{len} bytes from node {from}: {number}{damaged}\n"))?;
        }
    }
    if !cli.quiet {
        output::print(&format!("{answered} answered\n"))?;
    }
    Ok(())
}

const LOOK_FOR_SIGNALS: Duration = Duration::from_millis(200);
