//! `vxdctl`: controls vxconfigd and shows its state (facts 3.12).

mod cli;
mod listing;
mod mode;
mod stop;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::CommandFactory;
use cvm::disk::Decision;
use cvm::model::Name;
use cvm::request::{Reply, Request};

use crate::common::output::{print, print_json};
use crate::common::{Failure, NotYet, Root, with_version};
use crate::vx::volboot::{self, Volboot};
use crate::vx::{Daemon, exit, name};

use cli::{Action, Cli};
use mode::Mode;

/// The definition, for the manual.
pub fn command() -> clap::Command {
    with_version(Cli::command())
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxdctl", NotYet::parse(&REFUSED, command()).and_then(|cli| run(&cli)))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let root = &cli.root;
    match cli::action(cli)? {
        Action::BootGroup => print("nodg\n"),
        Action::DefaultGroup => {
            let group = volboot::read(root)?.default_group;
            print(&group.map_or_else(|| "nodg\n".to_owned(), |group| format!("{group}\n")))
        }
        Action::SetDefaultGroup(default_group) => {
            volboot::write(root, &Volboot { default_group, ..volboot::read(root)? })
        }
        Action::Disable => Daemon::connect(root)?.change(&Request::Disable),
        Action::Enable => Daemon::connect(root)?.change(&Request::Enable),
        Action::HostId(host) => {
            volboot::write(root, &Volboot { host: Some(host), ..volboot::read(root)? })
        }
        Action::Init(host) => {
            let host = host.map_or_else(|| host_name(root), Ok)?;
            // One that cannot be read is what this is for.
            let seqno = volboot::read(root).map_or(0, |old| old.seqno);
            volboot::write(root, &Volboot { seqno, host: Some(host), default_group: None })
        }
        Action::License => print("All features are available: nothing needs a license\n"),
        Action::List => {
            let volboot = volboot::read(root)?;
            let host = volboot.host.clone().map_or_else(|| host_name(root), Ok)?;
            let list = listing::Listed::of(&volboot, &host);
            if cli.json { print_json(&list) } else { print(&list.text()) }
        }
        Action::Mode => show_mode(cli),
        Action::ProtocolRange => {
            let range = listing::Range::of(&Daemon::connect(root)?.snapshot()?.cluster);
            if cli.json { print_json(&range) } else { print(&range.text()) }
        }
        Action::ProtocolVersion => {
            let cluster = Daemon::connect(root)?.snapshot()?.cluster;
            print(&listing::protocol(&cluster)?)
        }
        Action::Stop { kill } => stop::stop(root, kill),
        Action::Support => {
            let support = listing::Support::of(&Daemon::connect(root)?.snapshot()?.cluster);
            if cli.json { print_json(&support) } else { print(&support.text()) }
        }
        Action::TransState(id) => match Daemon::connect(root)?.ask(&Request::TransState(id))? {
            Reply::TransState(decision) => print(&format!("{}\n", decided(decision))),
            other => {
                let text = format!("vxconfigd answered with something else: {other:?}");
                Err(Failure::operation(text))
            }
        },
    }
}

fn show_mode(cli: &Cli) -> Result<(), Failure> {
    let snapshot = Daemon::connect(&cli.root).and_then(|mut daemon| daemon.snapshot());
    let (mode, is_running) = match snapshot {
        Ok(snapshot) => (Mode::of(&snapshot), true),
        Err(Failure::NoDaemon(_)) => (Mode::not_running(), false),
        Err(failure) => return Err(failure),
    };
    if cli.json {
        print_json(&mode)?;
    } else {
        print(&mode.text(cli.cluster))?;
    }
    if is_running { Ok(()) } else { Err(Failure::Said) }
}

const fn decided(decision: Option<Decision>) -> &'static str {
    match decision {
        Some(Decision::Abandoned) => "abandoned",
        Some(Decision::Committed) => "committed",
        None => "unknown",
    }
}

/// What this host is called without a hostid: as vxconfigd says, else as the system does.
fn host_name(root: &Root) -> Result<Name, Failure> {
    let host = match Daemon::connect(root).and_then(|mut daemon| daemon.snapshot()) {
        Ok(snapshot) => snapshot.host,
        Err(Failure::NoDaemon(_)) => {
            let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
            host.split('.').next().unwrap_or_default().to_owned()
        }
        Err(failure) => return Err(failure),
    };
    name(&host).map_err(Failure::operation)
}

static REFUSED: [NotYet; 1] = [NotYet::flag('F', "clearing an attribute in any case")];

const EXAMPLES: &str = "\
Examples:
  vxdctl mode          whether vxconfigd runs
  vxdctl -c mode       with the role of this node in the cluster, and the master
  vxdctl -c mode --json
  vxdctl enable        look at all disks again; and be at work again after disable
  vxdctl disable       do nothing but vxdctl enable; what is open stays open
  vxdctl init          write a new etc/vx/volboot
  vxdctl list          show it
  vxdctl defaultdg mydg
                       what commands without -g are about; defaultdg nodg: nothing
  vxdctl transstate 3.5f2a.17
                       what became of a request whose answer was lost: committed, abandoned, unknown
  vxdctl stop          end vxconfigd; volumes are not disturbed
  vxdctl -k stop       the same, with SIGKILL

Lines of -c mode: state: joining, the node has asked to join and is no member yet; reconfig: master
update, I/O waits for a new membership. Mode disabled: so it was told, or vxiod does not run.

JSON of mode: an object with mode (enabled, disabled, not-running), cluster (active, inactive; null
without one), role (MASTER, SLAVE, null), master, state, reconfig (null where the text has no line).
JSON of list: {version, seqno, protocol, hostid, defaultdg}. JSON of support: {vxconfigd_vrsn,
dg_minimum, dg_maximum, kernel, protocol_minimum, protocol_maximum, protocol_current}. JSON of
protocolrange: {minprotoversion, maxprotoversion}.

Exit codes: 0 done, 1 failed, 2 usage, 3 vxconfigd is not running.";
