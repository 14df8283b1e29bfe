//! `vxmake`: makes records one by one, as they are described (facts 4.4, 1.5).

mod describe;
mod fields;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use cvm::model::Name;
use cvm::model::op::Op;
use cvm::request::Request;

use super::{Daemon, GroupOption, exit};
use crate::common::{Failure, Root};

/// Make subdisks, plexes and volumes as they are described
#[derive(Debug, Parser)]
#[command(name = "vxmake", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    root: Root,
    #[command(flatten)]
    dg: GroupOption,
    /// Make all records that this file describes, or none; - is standard input
    #[arg(short = 'd', value_name = "FILE", conflicts_with = "words")]
    descriptions: Option<PathBuf>,
    /// Usage type of volumes that do not say theirs
    #[arg(short = 'U', value_name = "TYPE", value_parser = ["fsgen", "gen"])]
    usage: Option<String>,
    /// A record: sd, plex or vol, its name, attributes
    #[arg(required_unless_present = "descriptions", value_name = "WORD")]
    words: Vec<String>,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxmake", run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let group = cli.dg.resolve(&cli.root)?;
    let file = cli.descriptions.as_deref().map(read).transpose()?;
    let request = request(cli, group, file.as_deref())?;
    Daemon::connect(&cli.root)?.change(&request)
}

fn read(path: &Path) -> Result<String, Failure> {
    let read = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    read.map_err(|error| Failure::operation(format!("{}: {error}", shown(path))))
}

fn shown(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

/// What a command line asks for; `file` is what its file says, if it names one.
fn request(cli: &Cli, group: Name, file: Option<&str>) -> Result<Request, Failure> {
    let usage = cli.usage.as_deref();
    let descriptions = match (file, &cli.descriptions) {
        (Some(text), Some(path)) => describe::of_text(text, usage).map_err(|error| {
            Failure::operation(format!("{}:{}: {}", shown(path), error.line, error.what))
        })?,
        _ => describe::of_words(&cli.words, usage).map_err(Failure::Usage)?,
    };
    Ok(Request::Op { group, op: Op::MakeRecords { descriptions } })
}

const EXAMPLES: &str = "\
Examples:
  vxmake -g mydg sd mydg01-01 mydg01,0,1g
                       a subdisk: disk, offset, length
  vxmake -g mydg sd mydg02-01 dm=mydg02 dmoffset=0 len=1g
  vxmake -g mydg plex vol1-01 sd=mydg01-01
  vxmake -g mydg plex vol1-02 layout=stripe ncolumn=2 stwidth=64k sd=mydg02-01,mydg03-01
                       subdisks are dealt to the columns; sd=mydg02-01:0/0,mydg03-01:1/0 says where
  vxmake -g mydg plex vol1-03 log=mydg01-02
                       a plex with a dirty region log
  vxmake -g mydg -U gen vol vol1 plex=vol1-01,vol1-02
  vxprint -g mydg -m | vxmake -g mydg -d -
                       all of a group once more, when its volumes are gone

Descriptions are lines: the kind (sd, plex, vol) and the name at the beginning of a line, then
field=value there or on indented lines; values with spaces in quotes; # begins a comment. Records
may stand in any order. The file is made as a whole or not at all. A record dg is passed over, and of
a record dm it is only asked whether the group has that disk.

Fields of sd: dm, dmoffset, len, or volume of a subvolume. Of plex: layout (concat, stripe), ncolumn,
stwidth, sd, log, state, kstate. Of vol: len, plex, use_type, read_pol (round, prefer, select),
pref_plex, logtype (drl, drlseq, none), user, group, mode, exclusive, minor, state, kstate. Of all:
comment, tutil0 to 2, putil0 to 2. A volume is not started and EMPTY unless it says otherwise, and as
long as its shortest plex; ids of records (rid) are new ones.

Lengths are sectors of 512 bytes, or have a unit: s, b, k, m, g, t.

Exit codes: 0 done, 1 failed, 2 usage, 3 vxconfigd is not running.";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::error::ErrorKind> {
        Cli::try_parse_from(format!("vxmake {line}").split_whitespace()).map_err(|e| e.kind())
    }

    fn asked(line: &str, file: Option<&str>) -> Result<String, Failure> {
        let cli = parse(line).unwrap();
        match request(&cli, crate::vx::name("mydg").unwrap(), file)? {
            Request::Op { group, op: Op::MakeRecords { descriptions } } => {
                assert_eq!(group.as_str(), "mydg");
                Ok(descriptions)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn command_lines_become_requests() {
        command().debug_assert();
        let text = "sd s\n\tdm=mydg01\n\tdmoffset=0\n\tlen=8\n";
        assert_eq!(asked("-g mydg sd s mydg01,0,8", None).unwrap(), text);
        assert_eq!(asked("-d f", Some(text)).unwrap(), text);
        let typed = "vol v\n\tplex=p\n\tuse_type=gen\n";
        assert_eq!(asked("-U gen vol v plex=p", None).unwrap(), typed);
        assert_eq!(asked("-U gen -d -", Some("vol v plex=p")).unwrap(), typed);
    }

    #[test]
    fn errors_name_the_file_and_its_line() {
        let error = asked("-d mine.desc", Some("sd s\n\tlen=x")).unwrap_err();
        assert!(matches!(error, Failure::Operation { .. }));
        assert!(error.to_string().starts_with("mine.desc:2: len=\"x\": "), "{error}");
        let error = asked("-d -", Some("dg x")).unwrap_err().to_string();
        assert_eq!(error, "standard input:1: no record is described");
        assert!(matches!(asked("sd s", None), Err(Failure::Usage(_))));
    }

    #[test]
    fn what_is_no_command_line_is_a_usage_error() {
        for line in
            ["", "-g mydg", "-d", "-d f sd s mydg01,0,8", "-U raid5 vol v plex=p", "-g a/b sd"]
        {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
