//! `lltconfig -c`: check the files, start gabd, wait until it answers.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use gab::admin::RunningConfig;
use llt::llttab::{LltTab, Source, read_below};
use rustix::event::Timespec;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::running;
use crate::common::{Failure, Root, output, time};

/// Checks `file`, or etc/llttab, with etc/llthosts, and starts LLT; refuses a `file` that says
/// something else than etc/llttab, with which gabd starts. With `over` nobody listens for another
/// node with this id.
pub(super) fn start(root: &Root, file: Option<&Path>, over: bool) -> Result<(), Failure> {
    let etc = root.path().join("etc");
    let llttab = read(file.map_or_else(|| etc.join("llttab"), PathBuf::from), LLTTAB)?;
    let llthosts = read(etc.join("llthosts"), "a line with id and name of each node")?;
    let checked = LltTab::parse(&llttab, &llthosts, &|path| read_below(root.path(), path))
        .map_err(|errors| Failure::Report(format!("{:?}", miette::Report::new(errors))))?;
    for warning in &checked.warnings {
        output::complain(&format!("LLT lltconfig WARNING {warning}"));
    }
    if let Some(config) = running(root)? {
        return already(&config, &llttab, &llthosts);
    }
    let used = read(etc.join("llttab"), LLTTAB)?;
    if !same(used.text(), llttab.text()) {
        // gabd reads etc/llttab, also when it is started again: two truths would be one too many.
        return Err(Failure::operation(format!(
            "{} differs from {}, which gabd starts with: put it there first",
            llttab.name(),
            used.name()
        )));
    }
    launch(root, over)
}

fn already(config: &RunningConfig, tab: &Source, hosts: &Source) -> Result<(), Failure> {
    if same(&config.llttab, tab.text()) && same(&config.llthosts, hosts.text()) {
        return output::print(&the_same(&config.changed));
    }
    Err(Failure::operation(
        "LLT is already running with another configuration; stop it first (lltconfig -U)",
    ))
}

/// It runs as it should, but for these changes.
fn the_same(changes: &[String]) -> String {
    let mut text = "LLT is already running with that configuration\n".to_owned();
    for change in changes {
        text += &format!("    but for what was changed since: {change}\n");
    }
    text
}

/// The same text, but for the end of its last line.
fn same(one: &str, other: &str) -> bool {
    one.trim_end() == other.trim_end()
}

fn read(path: PathBuf, expected: &str) -> Result<Source, Failure> {
    let bytes = std::fs::read(&path).map_err(|error| {
        let path = path.display();
        Failure::operation(format!("cannot read {path}: {error}; expected {expected}"))
    })?;
    Ok(Source::new(path.display().to_string(), &bytes))
}

/// Starts gabd in a process group of its own and waits until it has listened for another node with
/// this id, or has failed.
fn launch(root: &Root, over: bool) -> Result<(), Failure> {
    let program = daemon();
    let mut log = Log::open(root.path())?;
    let mut command = Command::new(&program);
    command.arg("--root").arg(root.path()).arg("--llt-only");
    if over {
        command.arg("--override-duplicates");
    }
    command.stdin(Stdio::null()).stdout(log.writer()?).stderr(log.writer()?).process_group(0);
    let mut child = command.spawn().map_err(|error| {
        Failure::operation(format!("cannot start {}: {error}", program.display()))
    })?;
    for _ in 0..START_TIMEOUT.as_millis() / POLL_INTERVAL.as_millis() {
        let ended = has_ended(&mut child, POLL_INTERVAL)?;
        // Whoever was first: two starts at the same time leave one gabd, and both are content.
        if let Some(config) = running(root)?.filter(|config| !config.listening) {
            config.warnings.iter().for_each(|warning| started_with(warning));
            return Ok(());
        }
        if let Some(status) = ended {
            return Err(not_started(status, &log.text()));
        }
    }
    Err(Failure::operation(format!(
        "gabd (process {}) does not answer; see {}",
        child.id(),
        log.path.display()
    )))
}

/// What gabd complained of and started all the same. A link that was not opened is told as the
/// original's `lltconfig` does (facts 1.9).
fn started_with(warning: &str) {
    if warning.starts_with(OWN_WORDS) {
        output::complain(warning);
    } else {
        output::complain(&format!("LLT lltconfig WARNING {warning}"));
    }
}

/// Why gabd did not start: what it said in the words of the original's `lltconfig`, and what it
/// ended with, else all.
fn not_started(status: ExitStatus, said: &str) -> Failure {
    let own = said.lines().filter_map(|line| line.find(OWN_WORDS).map(|at| &line[at..]));
    let mut own: Vec<String> = own.map(str::to_owned).collect();
    if !own.is_empty() {
        // Its last words say why what was wrong was too much.
        let last = said.lines().rev().find_map(|line| line.strip_prefix("gabd: "));
        own.extend(last.map(|last| format!("{OWN_WORDS}{last}")));
        return Failure::Report(own.join("\n"));
    }
    let said = if said.is_empty() { String::new() } else { format!(":\n{said}") };
    Failure::Report(format!("LLT lltconfig ERROR gabd did not start ({status}){said}"))
}

/// Waits for the end of the child, at most so long.
fn has_ended(child: &mut Child, wait: Duration) -> Result<Option<ExitStatus>, Failure> {
    match pidfd_open(Pid::from_child(child), PidfdFlags::empty()) {
        Ok(process) => drop(time::readable_within(process, wait)),
        // Without process descriptors it is only asked now and then.
        Err(_) => drop(rustix::event::poll(&mut [], Timespec::try_from(wait).ok().as_ref())),
    }
    Ok(child.try_wait()?)
}

/// gabd beside this program, as it is installed, else on the PATH.
fn daemon() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|exe| exe.with_file_name("gabd"));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from("gabd"))
}

/// Where gabd's own words go, before its log is open and if it dies: `var/log/gabd.out`.
struct Log {
    path: PathBuf,
    file: File,
    start: u64,
}

impl Log {
    fn open(root: &Path) -> Result<Self, Failure> {
        let folder = root.join("var/log");
        let path = folder.join("gabd.out");
        let open = || {
            std::fs::create_dir_all(&folder)?;
            let mut file = OpenOptions::new().create(true).append(true).read(true).open(&path)?;
            let start = file.seek(SeekFrom::End(0))?;
            Ok((file, start))
        };
        let (file, start) = open().map_err(|error: std::io::Error| {
            Failure::operation(format!("cannot write {}: {error}", path.display()))
        })?;
        Ok(Self { path, file, start })
    }

    fn writer(&self) -> Result<Stdio, Failure> {
        Ok(self.file.try_clone()?.into())
    }

    /// What was written since it was opened.
    fn text(&mut self) -> String {
        let mut bytes = Vec::new();
        let read = self.file.seek(SeekFrom::Start(self.start));
        let read = read.and_then(|_| (&self.file).take(TEXT_MAX).read_to_end(&mut bytes));
        match read {
            Ok(_) => String::from_utf8_lossy(&bytes).trim_end().to_owned(),
            Err(error) => format!("cannot read {}: {error}", self.path.display()),
        }
    }
}

/// gabd listens 5 s for a duplicate node id before it starts (facts 1.9), and machines are slow.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How gabd begins what it says in our name.
const OWN_WORDS: &str = "LLT lltconfig ERROR ";
/// What is expected of a file that cannot be read.
const LLTTAB: &str = "the configuration of LLT";
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const TEXT_MAX: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_already_is_told_with_what_was_changed() {
        let changes = ["set-timer peertrouble:350", "exclude 2-31"].map(str::to_owned);
        crate::golden::check("lltconfig-c-running", &the_same(&changes));
    }
}
