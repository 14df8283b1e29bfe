//! `vxdisksetup`: initialises a disk (facts 4.1). `vxdisk init` reads its operands with the same
//! function.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use cvm::disk::{PRIVATE_LEN_MAX, PRIVATE_LEN_MIN, PRIVATE_OFFSET};
use cvm::request::{DiskRequest, Request};

use super::operand::{access, wrong};
use super::{Daemon, exit, length};
use crate::common::{Failure, NotYet, Root, with_version};

/// Initialise a disk
#[derive(Debug, Parser)]
#[command(name = "vxdisksetup", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    root: Root,
    /// Initialise: write a label. Must be given
    #[arg(short = 'i', required = true)]
    initialise: bool,
    /// Although it is initialised already
    #[arg(short = 'f')]
    force: bool,
    /// The disk, by access name, and attributes: format=cdsdisk, privlen=LENGTH
    #[arg(value_name = "DISK|ATTRIBUTE", required = true)]
    operands: Vec<String>,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    with_version(Cli::command())
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxdisksetup", NotYet::parse(&[], command()).and_then(|cli| run(&cli)))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let request = setup(&cli.operands, cli.force, &[])?;
    Daemon::connect(&cli.root)?.change(&request)
}

/// The request of a disk and attributes. `also` are attributes that this command takes beside those
/// of all; the one there is, type, is always auto.
///
/// # Errors
/// If an operand is wrong.
pub(super) fn setup(operands: &[String], force: bool, also: &[&str]) -> Result<Request, Failure> {
    let [disk, attributes @ ..] = operands else {
        return Err(wrong("expected a disk: DA [format=cdsdisk] [privlen=LENGTH]"));
    };
    let (access, mut private_len) = (access(disk)?, None);
    for attribute in attributes {
        let Some((key, value)) = attribute.split_once('=') else {
            return Err(wrong(format!("\"{attribute}\": expected one disk, then attributes")));
        };
        match (key, value) {
            ("format", "cdsdisk") => {}
            ("format", _) => {
                return Err(wrong(format!("format={value}: the only format is cdsdisk")));
            }
            ("nconfig" | "nlog", "1") => {}
            ("nconfig" | "nlog", _) => {
                return Err(wrong(format!("{key}={value}: a disk has 1 copy")));
            }
            ("privlen", _) => private_len = Some(private(value)?),
            ("privoffset", _) if length(value) == Ok(PRIVATE_OFFSET) => {}
            ("privoffset", _) => {
                let text = format!("{attribute}: the private region begins at {PRIVATE_OFFSET}");
                return Err(wrong(text));
            }
            ("type", "auto") if also.contains(&"type") => {}
            ("type", _) if also.contains(&"type") => {
                return Err(wrong(format!("{attribute}: the only type is auto")));
            }
            _ => {
                let known = "format=, nconfig=, nlog=, privlen= or privoffset=";
                return Err(wrong(format!("\"{key}\" is no attribute: expected {known}")));
            }
        }
    }
    Ok(Request::Disk(DiskRequest::Setup { access, force, private_len }))
}

fn private(value: &str) -> Result<u64, Failure> {
    let len = length(value).map_err(|error| wrong(format!("privlen: {error}")))?;
    if (PRIVATE_LEN_MIN..=PRIVATE_LEN_MAX).contains(&len) {
        return Ok(len);
    }
    Err(wrong(format!(
        "privlen={value}: expected {PRIVATE_LEN_MIN} to {PRIVATE_LEN_MAX} sectors, 2m to 1g"
    )))
}

const EXAMPLES: &str = "\
Examples:
  vxdisksetup -i disk_0
  vxdisksetup -i disk_0 format=cdsdisk privlen=4m
                           with a shorter private region than 32m
  vxdisksetup -if disk_0   anew, although it was initialised before

What is on the disk is lost. A disk of a group that is imported is refused in any case; with -f that
of another group loses its label.

Exit codes: 0 done, 1 failed, 2 usage, 3 vxconfigd is not running.";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Request> {
        let matches = command().try_get_matches_from(line.split(' ')).ok()?;
        let cli = <Cli as clap::FromArgMatches>::from_arg_matches(&matches).ok()?;
        setup(&cli.operands, cli.force, &[]).ok()
    }

    #[test]
    fn a_line_becomes_a_request() {
        command().debug_assert();
        let setup = |force, private_len| {
            let access = "disk_0".to_owned();
            Some(Request::Disk(DiskRequest::Setup { access, force, private_len }))
        };
        for (line, request) in [
            ("vxdisksetup -i disk_0", setup(false, None)),
            ("vxdisksetup -if disk_0", setup(true, None)),
            ("vxdisksetup -f -i disk_0 format=cdsdisk", setup(true, None)),
            ("vxdisksetup -i disk_0 privlen=32m", setup(false, Some(65_536))),
            ("vxdisksetup -i disk_0 privlen=4096 nconfig=1 nlog=1", setup(false, Some(4096))),
            ("vxdisksetup -i disk_0 privoffset=128", setup(false, None)),
        ] {
            assert_eq!(read(line), request, "{line}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for line in [
            "vxdisksetup",
            "vxdisksetup -i",
            "vxdisksetup disk_0",
            "vxdisksetup -i /dev/sda",
            "vxdisksetup -i disk_0 disk_1",
            "vxdisksetup -i disk_0 format=sliced",
            "vxdisksetup -i disk_0 format",
            "vxdisksetup -i disk_0 privlen=",
            "vxdisksetup -i disk_0 privlen=1m",
            "vxdisksetup -i disk_0 privlen=2g",
            "vxdisksetup -i disk_0 privlen=99999999t",
            "vxdisksetup -i disk_0 privoffset=256",
            "vxdisksetup -i disk_0 nlog=2",
            "vxdisksetup -i disk_0 type=auto",
            "vxdisksetup -i disk_0 colour=red",
            "vxdisksetup -i format=cdsdisk",
            "vxdisksetup -x disk_0",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn vxdisk_init_knows_a_type_too() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(setup(&words("disk_0 type=auto format=cdsdisk"), false, &["type"]).is_ok());
        assert!(setup(&words("disk_0 type=sliced"), false, &["type"]).is_err());
    }
}
