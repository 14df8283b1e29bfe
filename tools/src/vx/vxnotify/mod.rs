//! `vxnotify`: what happens to disk groups and to the node, line by line (facts 4.5, 3.16).

mod line;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use cvm::model::Name;
use cvm::request::{Event, EventGroup};

use super::{Daemon, GroupOption, exit};
use crate::common::output::print;
use crate::common::time::some_seconds;
use crate::common::{Failure, NotYet, Root};

use line::Notice;
use watch::Watch;

/// Tell what happens to disk groups and to this node in its cluster
#[derive(Debug, Parser)]
#[command(name = "vxnotify", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    root: Root,
    #[command(flatten)]
    dg: GroupOption,
    /// Events of the cluster: this node joined or left, another node is the master
    #[arg(short = 'c', visible_short_alias = 's')]
    cluster: bool,
    /// Changes of disks of groups
    #[arg(short = 'd')]
    disks: bool,
    /// Disks, plexes and volumes that are detached
    #[arg(short = 'f')]
    detached: bool,
    /// Plexes that are detached
    #[arg(short = 'p')]
    plexes: bool,
    /// Volumes that are detached
    #[arg(short = 'v')]
    volumes: bool,
    /// Groups that are imported, deported or disabled
    #[arg(short = 'i')]
    imports: bool,
    /// Changes of the configuration of groups
    #[arg(long = "changes")]
    changes: bool,
    /// End after so many events; connected, disconnected and waiting do not count
    #[arg(short = 'n', value_name = "NUMBER",
        value_parser = clap::value_parser!(u64).range(1..))]
    number: Option<u64>,
    /// End after so many seconds
    #[arg(short = 't', value_name = "TIMEOUT", value_parser = some_seconds)]
    timeout: Option<Duration>,
    /// Say `waiting ...` when nothing happened for so many seconds
    #[arg(short = 'w', value_name = "WAIT-TIME", value_parser = some_seconds)]
    wait: Option<Duration>,
    /// Print each event as JSON, one on a line
    #[arg(long)]
    json: bool,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxnotify", NotYet::parse(REFUSED, command()).and_then(|cli: Cli| run(&cli)))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let daemon = Daemon::connect(&cli.root)?;
    let show = |notice: &Notice| {
        if !cli.json {
            return print(&notice.text());
        }
        let json = serde_json::to_string(&notice.line()).map_err(|e| Failure::because(&e))?;
        print(&(json + "\n"))
    };
    Watch::new(Wanted::of(cli), cli.number, cli.timeout, cli.wait, show).run(daemon, &cli.root)
}

/// Which events are told.
#[derive(Clone, Debug)]
struct Wanted {
    cluster: bool,
    disks: bool,
    lost_disks: bool,
    lost_plexes: bool,
    lost_volumes: bool,
    imports: bool,
    changes: bool,
    group: Option<Name>,
}

impl Wanted {
    /// All, if no option picks some; of a group there are none of the cluster among them.
    fn of(cli: &Cli) -> Self {
        let group = cli.dg.given().cloned();
        let detached = cli.detached || cli.plexes || cli.volumes;
        let all = !(cli.cluster || cli.disks || cli.imports || cli.changes || detached);
        Self {
            cluster: cli.cluster || (all && group.is_none()),
            disks: cli.disks || all,
            lost_disks: cli.detached || all,
            lost_plexes: cli.detached || cli.plexes || all,
            lost_volumes: cli.detached || cli.volumes || all,
            imports: cli.imports || all,
            changes: cli.changes || all,
            group,
        }
    }

    fn has(&self, event: &Event) -> bool {
        let is_of = |EventGroup { name, id }: &EventGroup| {
            self.group.as_ref().is_none_or(|group| group.as_str() == name || group.as_str() == id)
        };
        match event {
            Event::Changed(group) => self.changes && is_of(group),
            Event::Connected => true,
            Event::Deported(group) | Event::Disabled(group) | Event::Imported(group) => {
                self.imports && is_of(group)
            }
            Event::DiskChanged { group, .. } => self.disks && is_of(group),
            Event::DiskDetached { group, .. } => self.lost_disks && is_of(group),
            Event::PlexDetached { group, .. } => self.lost_plexes && is_of(group),
            Event::VolumeDetached { group, .. } => self.lost_volumes && is_of(group),
            Event::Joined { .. } | Event::Left { .. } | Event::Master { .. } => self.cluster,
        }
    }
}

/// Options of the original for events that do not happen here.
const REFUSED: &[NotYet] = &[
    never('A', "disk arrays are not known"),
    never('m', "a disk has one path"),
    never('r', "there is no replication"),
];

const fn never(letter: char, what: &'static str) -> NotYet {
    NotYet { letter, takes_value: false, what, meaningless: true }
}

const EXAMPLES: &str = "\
Examples:
  vxnotify             all that happens from now on
  vxnotify -i          groups that are imported, deported or disabled
  vxnotify -f          what fails: disks, plexes and volumes
  vxnotify -g mydg -n 1 -t 30
                       the next event of mydg, for at most half a minute
  vxnotify -c          events of the cluster
  vxnotify -w 2        say `waiting ...` when nothing came for two seconds: what belongs together was
                       told by then

Lines:
  connected                          vxconfigd is heard; again after it was lost: then something may
                                     have happened that was not told
  disconnected                       vxconfigd is gone; the command waits until it is back
  waiting ...                        see -w
  import dg NAME dgid ID             also deport, disable
  change dg NAME dgid ID             the configuration is another
  change disk DA dm DM dg NAME dgid ID
                                     DA is - if the disk has no path here
  detach disk DA dm DM dg NAME dgid ID
                                     the disk is failing from now on, or was taken out
  detach plex PLEX volume VOLUME dg NAME dgid ID
                                     it is not used any more: an error, a disk that was taken out, or
                                     vxplex det
  detach volume VOLUME dg NAME dgid ID
                                     it cannot be used any more: no copy is left, or it could not be filled
  joined cluster as master           or as slave
  change master node N               another node is the master
  left cluster reason REASON         as vxclustadm -v nodestate tells it

Options -c, -d, -f, -i, -p, -v and --changes add up; without any all is told. With -g events of the
cluster are told only with -c. connected, disconnected and waiting are always told. What is detached is a
change of the group, too: change dg follows. Subdisks have no state of their own here, and are not told.

JSON: an object on each line, with event (connected, disconnected, waiting, import, deport, disable,
change dg, change disk, detach disk, detach plex, detach volume, joined cluster, left cluster, change
master), and what it has of access, dm, plex, volume, group, group_id, role (master, slave), node, reason.

Exit codes: 0 done, 1 failed, 2 usage, 3 vxconfigd is not running when it begins.";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::error::ErrorKind> {
        let words = format!("vxnotify {line}");
        Cli::try_parse_from(words.split_whitespace()).map_err(|error| error.kind())
    }

    fn events() -> [Event; 9] {
        let group = || EventGroup { name: "mydg".to_owned(), id: "1.2.host1".to_owned() };
        let disk = Event::DiskChanged {
            access: "disk_1".to_owned(),
            dm: "mydg01".to_owned(),
            group: group(),
        };
        [
            Event::Connected,
            Event::Imported(group()),
            Event::Disabled(group()),
            Event::Changed(group()),
            disk,
            Event::Joined { is_master: true },
            Event::DiskDetached {
                access: "disk_1".to_owned(),
                dm: "mydg01".to_owned(),
                group: group(),
            },
            Event::PlexDetached {
                plex: "vol1-02".to_owned(),
                volume: "vol1".to_owned(),
                group: group(),
            },
            Event::VolumeDetached { volume: "vol1".to_owned(), group: group() },
        ]
    }

    /// A letter for each of the events.
    #[test]
    fn options_pick_events() {
        command().debug_assert();
        NotYet::recognise(REFUSED, command()).debug_assert();
        for (line, told) in [
            ("", "coiCDJdpv"),
            ("-c", "cJ"),
            ("-s", "cJ"),
            ("-i", "coi"),
            ("-d", "cD"),
            ("-f", "cdpv"),
            ("-p", "cp"),
            ("-v", "cv"),
            ("-pv", "cpv"),
            ("--changes", "cC"),
            ("-ci", "coiJ"),
            ("-g mydg", "coiCDdpv"),
            ("-g 1.2.host1", "coiCDdpv"),
            ("-g mydg -c", "cJ"),
            ("-g other", "c"),
            ("-g other -f", "c"),
        ] {
            let wanted = Wanted::of(&parse(line).unwrap());
            let letters = "coiCDJdpv".chars().zip(events());
            let all = letters.filter(|(_, event)| wanted.has(event)).map(|(letter, _)| letter);
            assert_eq!(all.collect::<String>(), told, "{line}");
        }
    }

    #[test]
    fn what_is_no_command_line_is_a_usage_error() {
        let cli = parse("-n 3 -t 1.5 -w 2 --json").unwrap();
        assert_eq!((cli.number, cli.timeout), (Some(3), Some(Duration::from_millis(1500))));
        for line in ["-n 0", "-n x", "-t 0", "-t soon", "-w", "-g a/b", "mydg", "-z"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
