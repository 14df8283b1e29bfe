//! The side of `lltping` that answers, on a port of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gab::client::{LltEvent, LltPort, LltSendError};
use gab::echo::{self, Echo};
use gab::snapshot::LltSnapshot;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::{Cli, report};
use crate::common::{Failure, output};

/// Answers until interrupted. On port 30 there is nothing to do.
pub(super) fn serve(cli: &Cli, llt: &LltSnapshot) -> Result<(), Failure> {
    if cli.port == llt::LltPort::PING {
        if cli.quiet {
            return Ok(());
        }
        return output::print(&report::of_gabd(llt.node));
    }
    let mut port = LltPort::open(cli.root.path(), cli.port)?;
    if !cli.quiet {
        output::print(&report::answering(cli.port))?;
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
                output::print(&report::no_question(from, question.len()))?;
            }
            continue;
        };
        // Nobody waits for an answer that there is no room for: it would stop all others.
        let sent = match port.try_send(from, &answer, reliable) {
            Ok(()) => true,
            Err(LltSendError::WouldBlock) => false,
            Err(error) => return Err(error.into()),
        };
        answered += u64::from(sent);
        if cli.verbose
            && let Ok(echo) = Echo::read(&answer)
        {
            output::print(&report::question(from, question.len(), &echo, sent))?;
        }
    }
    if !cli.quiet {
        output::print(&report::answered(answered))?;
    }
    Ok(())
}

const LOOK_FOR_SIGNALS: Duration = Duration::from_millis(200);
