//! The daemon gabd: one reactor thread that drives a [`Stack`](crate::stack::Stack) between links,
//! clients and the clock, and a second thread for whatever may be slow.
//!
//! [`run`] is the whole life of the process: read the files, take the lock of the root, open the
//! links, serve, leave. The reactor waits for no client and no log, and touches a disk only when it
//! begins a new life, whose incarnation it stores.

mod admin;
mod args;
mod changes;
mod client_notices;
mod clients;
mod conn;
mod events;
mod exporter;
mod files;
mod gabtab;
mod halt;
mod housekeeping;
mod lease;
mod life;
mod links;
mod listener;
mod llt_ports;
mod lock;
mod log;
mod metrics;
mod notices;
mod poller;
mod processes;
mod reactor;
mod realtime;
mod settings;
mod signals;
mod sysinfo;
mod watchdog;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{CommandFactory, Parser};
use llt::io::Clock;
use miette::Report;

use crate::daemon::args::Args;
use crate::daemon::files::Files;
use crate::daemon::halt::HaltPolicy;
use crate::daemon::housekeeping::Housekeeping;
use crate::daemon::reactor::{End, Reactor};
use crate::daemon::settings::{Settings, SettingsError};
use crate::daemon::watchdog::Watchdog;

/// Exit code after this node halted itself: thrown out with a kernel-type client registered or under
/// `-j`, on the side of a split without a majority (`-q`), or for a client that could not be killed
/// or was not to die. Whoever supervises gabd decides when
/// it comes back (precise rule 11).
pub const EXIT_HALTED: u8 = 75;
/// Exit code after another node with our id was found: an older one, or any before LLT had started.
pub const EXIT_DUPLICATE: u8 = 76;

/// The definition of gabd's command line, for its man page and completions.
pub fn command() -> clap::Command {
    Args::command()
}

/// Runs gabd with the arguments of the process.
pub fn run() -> ExitCode {
    let args = Args::parse();
    let files = Files::new(&args.root);
    let settings = match Settings::load(&files, args.llt_only) {
        Ok(settings) => settings,
        Err(SettingsError::Content(errors)) => {
            eprintln!("{:?}", Report::new(errors));
            return ExitCode::FAILURE;
        }
        Err(error @ (SettingsError::Keys(_) | SettingsError::Read { .. })) => {
            eprintln!("gabd: {error}");
            return ExitCode::FAILURE;
        }
    };
    if args.check {
        for warning in &settings.tab.warnings {
            eprintln!("gabd: {warning}");
        }
        println!("the configuration in {} is good", files.root().display());
        return ExitCode::SUCCESS;
    }
    match serve(&args, &files, settings) {
        Ok(end) => end.code(),
        Err(error) => {
            eprintln!("gabd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &Args, files: &Files, settings: Settings) -> anyhow::Result<End> {
    files.make_folders()?;
    let lock = lock::PidLock::acquire(&files.pid())?;
    // It says why the last one ended, and nothing of this one.
    let _ = std::fs::remove_file(files.halted());
    let clock = Clock::new();
    let housekeeping = Housekeeping::start(clock, &files.log(), settings.tab.verbose)
        .context("cannot start a thread")?;
    // Before anything that may hang: a machine that does not get any further is reset, too.
    let watchdog = args.watchdog.as_ref().map(|path| {
        let watchdog = Watchdog::start(clock, path, housekeeping.progress());
        watchdog.with_context(|| format!("cannot use the watchdog {}", path.display()))
    });
    let watchdog = watchdog.transpose()?;
    let end = start(args, files, settings, clock, &housekeeping, &lock);
    if let Err(error) = &end {
        tracing::error!("gabd stops: {error:#}");
    }
    if let Some(watchdog) = watchdog {
        // Whatever could not even start, or was in the way of another node, is no node to reset.
        watchdog.stop(matches!(end, Ok(End::Clean | End::Duplicate) | Err(_)));
    }
    // The socket has gone with the reactor; the lock goes after it, since whoever holds it may
    // remove what a dead predecessor left.
    drop(lock);
    housekeeping.stop();
    if matches!(end, Ok(End::Halted)) && args.halt == HaltPolicy::Reboot {
        // With the last words on disk, for nothing runs after this.
        eprintln!("gabd: rebooting the machine through {}", args.sysrq.display());
        if let Err(error) = halt::reboot(&args.sysrq) {
            eprintln!("gabd: cannot reboot the machine through {}: {error}", args.sysrq.display());
        }
    }
    end
}

fn start(
    args: &Args,
    files: &Files,
    mut settings: Settings,
    clock: Clock,
    housekeeping: &Housekeeping,
    lock: &lock::PidLock,
) -> anyhow::Result<End> {
    tracing::info!("gabd {} starts, process {}", env!("CARGO_PKG_VERSION"), std::process::id());
    if let Some(pid) = lock.stale() {
        tracing::info!("replacing the pid file of process {pid}, which is gone");
    }
    for warning in &settings.tab.warnings {
        tracing::warn!("{warning}");
    }
    match &settings.keys {
        Some(keys) => tracing::info!("frames are sealed, {}", admin::name_keys(keys)),
        None => {
            tracing::warn!("{}", settings::UNAUTHENTICATED);
            settings.warnings.push(settings::UNAUTHENTICATED.to_owned());
        }
    }
    let signals = signals::Signals::new().context("cannot watch for signals")?;
    let links = links::Links::open(&settings.tab, args.testbed, &mut settings.warnings)?;
    let listener = listener::Listener::open(files)?;
    let board = Arc::new(metrics::Board::new().context("cannot make a pair of sockets")?);
    let progress = housekeeping.progress();
    let exporter =
        exporter::Exporter::start(clock, files, args.metrics, progress.clone(), board.clone())?;
    let priority = if args.testbed { 0 } else { realtime::acquire() };
    let mut reactor = Reactor::new(reactor::Parts {
        args: args.clone(),
        board,
        clock,
        files: files.clone(),
        links,
        listener,
        priority,
        progress,
        settings,
        signals,
    })?;
    let end = reactor.run();
    drop(exporter);
    Ok(end)
}
