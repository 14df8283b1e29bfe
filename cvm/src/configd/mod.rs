//! vxconfigd: the user level of a node as a process.

mod disks;
mod host;
mod options;
mod reactor;
mod snapshot;

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use clap::{CommandFactory, Parser};
use rustix::process::{Pid, Signal, kill_process};

use self::options::{LogOption, Mode};
use crate::client::{Client, socket_path};
use crate::daemon::{Lock, listen, now, root_of, wait};

/// Keeps the configuration of disk groups and carries out what utilities ask
#[derive(Clone, Debug, Parser)]
#[command(
    name = "vxconfigd",
    version,
    max_term_width = 100,
    after_help = "\
Files, below the root: run/vxconfigd.sock (for utilities), run/vxconfigd.pid, var/log/vxconfigd.log,
etc/default/vxdg (default_activation_mode); dev/vx/dmp holds the disks.

Killing and starting it again disturbs no volume: vxiod keeps the tables in force. Without -f the
command returns when vxconfigd answers, and vxconfigd goes on in the background.

-x takes 0 to 9, how much is logged (0 warnings, 1 what happens, 5 and more details, 9 everything);
log, to var/log/vxconfigd.log, as always; logfile=FILE; tracefile=FILE, everything, to that file;
syslog, warnings to /dev/log, too; timestamp, as always. It may be given several times.

Exit codes: 0 ended in order, 1 failed, 2 usage.

Environment: MUSTER_ROOT is the default of --root; MUSTER_LOG is a filter of the log."
)]
pub struct Args {
    /// Folder that holds etc, run, var and dev of this node; else that of MUSTER_ROOT, else /
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// End one that runs already first
    #[arg(short = 'k')]
    kill: bool,
    /// Stay in the foreground
    #[arg(short = 'f')]
    foreground: bool,
    /// -m disable
    #[arg(short = 'd', conflicts_with = "mode")]
    disable: bool,
    /// Begin to work (enable, boot: the same here), or wait for vxdctl enable (disable)
    #[arg(short = 'm', value_name = "MODE", value_enum, default_value = "enable")]
    mode: Mode,
    /// What is logged, and where to
    #[arg(short = 'x', value_name = "ARG", value_parser = LogOption::parse)]
    log: Vec<LogOption>,
    /// Refused: it would throw away what the cluster has in force; vxiod keeps that
    #[arg(short = 'r', value_name = "WHAT")]
    reset: Option<String>,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    Args::command()
}

/// Runs vxconfigd until it is told to end.
pub fn run() -> ExitCode {
    let args = Args::parse();
    let root = root_of(args.root.clone());
    if args.reset.is_some() {
        complain("VxVM vxconfigd ERROR V-5-1-2290 Use of vxconfigd -r reset not allowed");
        return ExitCode::FAILURE;
    }
    if !args.foreground {
        return in_background(&root);
    }
    let is_enabled = args.mode != Mode::Disable && !args.disable;
    let started = || {
        if args.kill {
            end_other(&root)?;
        }
        let lock = Lock::acquire(&root, "vxconfigd")?;
        options::install(&root, &args.log)?;
        let listener = listen(&socket_path(&root))?;
        let reactor = reactor::Reactor::new(root.clone(), listener, is_enabled)?;
        anyhow::Ok((lock, reactor))
    };
    let ended = started().and_then(|(_lock, mut reactor)| reactor.run());
    if let Err(error) = ended {
        complain(&format!("VxVM vxconfigd ERROR {error:#}"));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Starts the same with -f, and waits until it answers or has ended.
fn in_background(root: &Path) -> ExitCode {
    let started = || {
        let program = std::env::current_exe().context("this program has no name")?;
        let mut command = std::process::Command::new(program);
        command.args(std::env::args_os().skip(1)).arg("-f").process_group(0);
        // Whoever waits for the end of our output does not wait for that of the one in the background.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start in the background")?;
        let pid = child.id().to_string();
        loop {
            if let Some(status) = child.try_wait()? {
                let said = child.stderr.take().map(std::io::read_to_string).transpose()?;
                complain(said.unwrap_or_default().trim_end());
                return anyhow::Ok(status.success());
            }
            let holder = std::fs::read_to_string(root.join("run/vxconfigd.pid"));
            let is_it = holder.is_ok_and(|holder| holder.trim() == pid);
            if is_it && Client::connect(root).is_ok() {
                return Ok(true);
            }
            wait(&mut [], now(), Some(now() + TRY));
        }
    };
    match started() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&format!("VxVM vxconfigd ERROR {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// On standard error, if there is still somebody.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Ends the vxconfigd of this root, if there is one.
fn end_other(root: &Path) -> Result<()> {
    let path = root.join("run/vxconfigd.pid");
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(()) };
    if Lock::acquire(root, "vxconfigd").is_ok() {
        // Nobody holds it: a dead one left the file.
        return Ok(());
    }
    let pid = text.trim().parse().ok().and_then(Pid::from_raw);
    let pid = pid.with_context(|| format!("{} holds no process id", path.display()))?;
    kill_process(pid, Signal::KILL).with_context(|| format!("cannot kill process {text}"))?;
    for _ in 0..100 {
        if Lock::acquire(root, "vxconfigd").is_ok() {
            return Ok(());
        }
        wait(&mut [], now(), Some(now() + TRY));
    }
    bail!("process {} does not end", text.trim())
}

/// Between two looks whether the other one is gone.
const TRY: llt::Duration = llt::Duration::from_millis(50);
