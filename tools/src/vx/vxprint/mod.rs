//! `vxprint`: the records of disk groups (facts 1.5, 4.4).

mod fields;
mod format;
mod help;
mod list;
mod long;
mod pattern;
#[cfg(test)]
pub(super) mod sample;
mod source;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use cvm::model::{Kind, Name, text};
use cvm::snapshot::{GroupSnapshot, Snapshot};

use self::format::Format;
use self::help::{EXAMPLES, REFUSED};
use self::list::{Kinds, Layers, Listed, Selection, list, named};
use self::pattern::Pattern;
use super::opens::Opens;
use super::view::{Record, View, chosen, wanted};
use super::{Daemon, GroupOption, name};
use crate::common::output::{print, print_json};
use crate::common::{Failure, NotYet, Root, with_version};

/// Show the records of disk groups: disks, subdisks, plexes, volumes
#[derive(Debug, Parser)]
#[command(
    name = "vxprint",
    version,
    after_help = EXAMPLES,
    disable_help_flag = true,
    args_override_self = true
)]
#[command(group = clap::ArgGroup::new("form").multiple(false))]
#[command(group = clap::ArgGroup::new("select").multiple(true))]
struct Cli {
    #[command(flatten)]
    root: Root,
    #[command(flatten)]
    group: GroupOption,
    /// All fields of each record, in a line
    #[arg(short = 'a', group = "form")]
    line: bool,
    /// All groups that are imported here, also if there is a default one
    #[arg(short = 'A', conflicts_with = "group")]
    all: bool,
    /// Disks only
    #[arg(short = 'd', group = "select")]
    disks: bool,
    /// Read the groups not from vxconfigd but from a file with descriptions, as -m prints them; - is
    /// standard input, kernel is vxconfigd
    #[arg(short = 'D', value_name = "FILE", conflicts_with_all = ["group", "all"])]
    database: Option<String>,
    /// Only records of which this holds, such as v_kstate=ENABLED or len>=100m
    #[arg(short = 'e', value_name = "PATTERN", group = "select")]
    pattern: Option<Pattern>,
    /// A line per record (this is the default)
    #[arg(short = 'f')]
    brief: bool,
    /// A line like this per record, of the kinds TYPE; may be given for several kinds
    #[arg(short = 'F', value_name = "[TYPE:]FORMAT", group = "form")]
    formats: Vec<Format>,
    /// The group itself only
    #[arg(short = 'G', group = "select")]
    groups: bool,
    /// With each record what it consists of
    #[arg(short = 'h', group = "select")]
    hierarchy: bool,
    /// All about each record, for reading
    #[arg(short = 'l', group = "form")]
    long: bool,
    /// -h, with the volumes that a layered volume consists of beside it
    #[arg(short = 'L', group = "select", conflicts_with = "nested")]
    beside: bool,
    /// Descriptions, as vxmake reads them
    #[arg(short = 'm', group = "form")]
    description: bool,
    /// Names only
    #[arg(short = 'n', group = "form")]
    only_names: bool,
    /// Plexes only
    #[arg(short = 'p', group = "select")]
    plexes: bool,
    /// Without the headers of columns
    #[arg(short = 'q')]
    quiet: bool,
    /// Without the line that says which group it is
    #[arg(short = 'Q')]
    untitled: bool,
    /// -h, with the volumes that a layered volume consists of below its subvolumes
    #[arg(short = 'r', group = "select")]
    nested: bool,
    /// Subdisks only, subvolumes too
    #[arg(short = 's', group = "select")]
    subdisks: bool,
    /// How many records there are, and how many of them nothing uses
    #[arg(short = 'S', group = "form", conflicts_with = "select")]
    summary: bool,
    /// A line per record with what matters for its kind
    #[arg(short = 't', group = "form")]
    table: bool,
    /// Volumes only
    #[arg(short = 'v', group = "select")]
    volumes: bool,
    /// Only the records with these names
    #[arg(value_name = "NAME", value_parser = name, group = "select")]
    names: Vec<Name>,
    /// Print the groups as JSON
    #[arg(long, conflicts_with_all = ["form", "select", "brief", "quiet", "untitled"])]
    json: bool,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    let help = clap::Arg::new("help").long("help").help("Print help");
    with_version(Cli::command()).arg(help.action(clap::ArgAction::Help))
}

/// The program.
pub fn main() -> ExitCode {
    super::exit("vxprint", NotYet::parse(&REFUSED, command()).and_then(|cli| run(&cli)))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let (snapshot, wanted, opens) = match cli.database.as_deref() {
        None | Some("kernel") => {
            let wanted = if cli.all { None } else { wanted(&cli.group, &cli.root)? };
            let mut daemon = Daemon::connect(&cli.root)?;
            let snapshot = daemon.snapshot()?;
            let ask = || Opens::ask(&mut daemon, &snapshot, BTreeSet::new());
            let opens = is_long(cli).then(ask).transpose()?;
            (snapshot, wanted, opens)
        }
        Some(file) => (source::read(file)?, None, None),
    };
    let groups = chosen(&snapshot, wanted.as_ref())?;
    if cli.json {
        return print_json(&groups);
    }
    print(&listing(cli, &groups, &snapshot, opens.as_ref())?)
}

/// What is printed of these groups.
fn listing(
    cli: &Cli,
    groups: &[&GroupSnapshot],
    all: &Snapshot,
    opens: Option<&Opens>,
) -> Result<String, Failure> {
    let selection = selection(cli);
    let views = groups.iter().map(|shown| View::new(shown, &all.disks).with_opens(opens));
    let views: Vec<_> = views.collect();
    let is_missing =
        |name: &&Name| views.iter().all(|view| named(view, selection.kinds, name).is_none());
    if let Some(name) = selection.names.iter().find(is_missing) {
        return Err(Failure::Operation {
            id: Some("V-5-1-924".to_owned()),
            text: format!("Record {name} not found"),
        });
    }
    let sections = views.iter().filter_map(|view| section(cli, &selection, view));
    // What other programs read is one text whatever groups it is of.
    let gap = if is_titled(cli) { "\n" } else { "" };
    Ok(sections.collect::<Vec<_>>().join(gap))
}

/// Lines about volumes are printed, which say whether they are open.
const fn is_long(cli: &Cli) -> bool {
    let is_other = cli.line || cli.description || cli.only_names || cli.summary || cli.json;
    cli.long && !is_other && cli.formats.is_empty()
}

/// Listings for people say which group they are about.
fn is_titled(cli: &Cli) -> bool {
    !(cli.line || cli.description || cli.only_names || !cli.formats.is_empty())
}

fn selection(cli: &Cli) -> Selection {
    let kinds = Kinds {
        groups: cli.groups,
        disks: cli.disks,
        subdisks: cli.subdisks,
        plexes: cli.plexes,
        volumes: cli.volumes,
    };
    // Without any option it is as though -h and -r were given.
    let is_form_given = !is_titled(cli) || cli.long || cli.table || cli.brief;
    let is_plain = kinds.is_empty() && cli.pattern.is_none() && !is_form_given;
    let is_default = is_plain && !cli.hierarchy && !cli.beside;
    Selection {
        kinds,
        names: cli.names.clone(),
        pattern: cli.pattern.clone(),
        hierarchy: cli.hierarchy || cli.nested || cli.beside || is_default,
        layers: match (cli.nested || is_default, cli.beside) {
            (true, _) => Layers::Nested,
            (false, true) => Layers::Beside,
            (false, false) => Layers::Hidden,
        },
    }
}

/// What is printed of a group; nothing if none of its records is selected.
fn section(cli: &Cli, selection: &Selection, view: &View<'_>) -> Option<String> {
    let title = format!("Disk group: {}\n", view.group.name);
    let title = if is_titled(cli) && !cli.untitled { title } else { String::new() };
    if cli.summary {
        let header = if cli.quiet { "" } else { table::SUMMARY_HEADER };
        let gap = if title.is_empty() { "" } else { "\n" };
        return Some(title + gap + header + &table::summary(view));
    }
    let listed = list(view, selection);
    if listed.is_empty() {
        return None;
    }
    if !cli.formats.is_empty() {
        let line = |listed: &Listed<'_>| {
            cli.formats.iter().find_map(|format| format.line(view, listed.record))
        };
        return Some(listed.iter().filter_map(line).collect());
    }
    if cli.only_names {
        let line = |listed: &Listed<'_>| format!("{}\n", listed.record.name());
        return Some(listed.iter().map(line).collect());
    }
    if cli.description || cli.line {
        let text = listed.iter().map(|listed| description(view, listed.record));
        return Some(text.map(|text| if cli.line { one_line(&text) } else { text }).collect());
    }
    if cli.long {
        let texts: Vec<_> = listed.iter().map(|listed| long::long(view, listed.record)).collect();
        return Some(title + &texts.join("\n"));
    }
    Some(title + &rows(cli, selection, view, &listed))
}

/// The listings with a line per record.
fn rows(cli: &Cli, selection: &Selection, view: &View<'_>, listed: &[Listed<'_>]) -> String {
    let mut text = String::new();
    if !cli.untitled {
        text += "\n";
    }
    if !cli.quiet && cli.table {
        text += &table::headers(shown_kinds(selection, view), selection.hierarchy);
        text += "\n";
    } else if !cli.quiet {
        text += table::BRIEF_HEADER;
    }
    let mut last: Option<Record<'_>> = None;
    for row in listed {
        let is_gap = selection.hierarchy && row.is_top && is_apart(cli, last, row.record);
        if is_gap {
            text += "\n";
        }
        text += &if cli.table { table::table(view, row) } else { table::brief(view, row) };
        last = Some(row.record);
    }
    text
}

/// In a hierarchy an empty line stands between volumes, and behind the group in `-t`.
const fn is_apart(cli: &Cli, last: Option<Record<'_>>, next: Record<'_>) -> bool {
    match (last, next) {
        (None, _) => false,
        (Some(Record::Group(_)), _) => cli.table,
        (Some(_), Record::Disk(..) | Record::Group(_)) => false,
        (Some(Record::Disk(..)), _) => false,
        (Some(_), _) => true,
    }
}

/// The kinds that headers are for: those that were asked for, or those of the names.
fn shown_kinds(selection: &Selection, view: &View<'_>) -> Kinds {
    let mut kinds = selection.kinds;
    if kinds.is_empty() {
        for name in &selection.names {
            match named(view, selection.kinds, name) {
                Some(Record::Disk(..)) => kinds.disks = true,
                Some(Record::Group(_)) => kinds.groups = true,
                Some(Record::Plex(..)) => kinds.plexes = true,
                Some(Record::Subdisk(..)) => kinds.subdisks = true,
                Some(Record::Volume(..)) => kinds.volumes = true,
                None => {}
            }
        }
    }
    kinds
}

fn description(view: &View<'_>, record: Record<'_>) -> String {
    let kind = match record {
        Record::Disk(..) => Some(Kind::Disk),
        Record::Group(_) => None,
        Record::Plex(..) => Some(Kind::Plex),
        Record::Subdisk(..) => Some(Kind::Subdisk),
        Record::Volume(..) => Some(Kind::Volume),
    };
    text::write_record(view.group, kind, record.name().as_str())
}

/// A description in one line, which says the same.
fn one_line(description: &str) -> String {
    description.trim_end().replace("\n\t", " ") + "\n"
}
