//! `vxassist help`: a page for each topic.

use std::fmt::Write as _;

use clap::ValueEnum;
use cvm::model::op::Make;

use super::layout;
use super::make::make;
use super::words::Attributes;
use crate::common::Failure;

/// What there is help about.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Topic {
    /// Where volumes come to lie
    Alloc,
    /// Attributes
    Attrs,
    /// How volumes are put together
    Layout,
    /// What mirrors are told apart by
    Mirror,
    /// Options
    Options,
    /// The attributes in force on this node
    Showattrs,
    /// Storage words
    Space,
    /// How the command is called
    Usage,
}

/// The page.
///
/// # Errors
/// If the file of defaults contradicts itself.
pub(super) fn page(topic: Topic, standard: &Attributes) -> Result<String, Failure> {
    Ok(match topic {
        Topic::Alloc | Topic::Space => SPACE.to_owned(),
        Topic::Attrs => ATTRS.to_owned(),
        Topic::Layout => LAYOUT.to_owned(),
        Topic::Mirror => MIRROR.to_owned(),
        Topic::Options => OPTIONS.to_owned(),
        Topic::Showattrs => attributes(standard)?,
        Topic::Usage => USAGE.to_owned(),
    })
}

/// What a volume is like of which nothing was said but its name and length, and its mirrors, stripes
/// and logs if it has any; as lines that a file of defaults can have.
fn attributes(standard: &Attributes) -> Result<String, Failure> {
    let name = crate::vx::name("vol").map_err(Failure::operation)?;
    let Make { layout, log_type, init, exclusive, usage, permissions, contiguous, .. } =
        make(name, None, Attributes::default(), standard).map_err(Failure::operation)?;
    let has_log = log_type != cvm::model::LogType::None;
    let mut text = String::from("#Attributes:\n");
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "layout={},{},{}",
        layout::word(layout),
        if contiguous { "contig" } else { "span" },
        if has_log { "log" } else { "nolog" },
    );
    let _ = writeln!(text, "nmirror={}", standard.mirrors.unwrap_or(2));
    if let Some(columns) = standard.columns {
        let _ = writeln!(text, "ncol={columns}");
    }
    let _ = writeln!(text, "max_nstripe=8\nmin_nstripe=2");
    let _ = writeln!(text, "stripe_stwid={}", standard.width.unwrap_or(128));
    let log_type = match standard.log_type {
        Some(cvm::model::LogType::Sequential) => "drlseq",
        Some(cvm::model::LogType::Region | cvm::model::LogType::None) | None => "drl",
    };
    if has_log {
        let _ = writeln!(text, "logtype={log_type}");
    }
    let _ = writeln!(text, "nregionlog={}", standard.logs.filter(|logs| *logs > 0).unwrap_or(1));
    let init = format!("{init:?}").to_lowercase();
    let _ = writeln!(text, "init={init}\nexclusive={}", if exclusive { "on" } else { "off" });
    let _ = writeln!(text, "usetype={usage}\nuser={}", permissions.user);
    let _ = writeln!(text, "group={}\nmode={:04o}", permissions.group, permissions.mode);
    Ok(text)
}

const SPACE: &str = "\
Storage, as words after the length or in alloc=:
  dm            this disk of the group; if disks are named nothing lies elsewhere
  !dm           anywhere but there
  dm,offset     on this disk, from that offset of its public region on
  alloc=dm,!dm  the same in one word, without offsets
Without such words all disks are used but spares and those that are reserved.
Controllers, targets and enclosures (ctlr:, target:, enclosure:) are not known here.
";

const ATTRS: &str = "\
Attributes of make and maxsize:
  layout=LIST        see vxassist help layout
  nmirror=N          mirrors, 2 if the layout has any; N above 1 implies layout=mirror
  mirror=N|disk      the same; mirrors always lie on different disks
  ncol=N, ncolumn=N  columns, 2 to 256; as many as there are disks, up to 8; implies a stripe
  stripeunit=LEN, stripe_stwid=LEN
                     stripe unit, 128 sectors; implies a stripe
  logtype=drl|drlseq|none
                     dirty region log; a type implies one log
  nlog=N             log plexes; 0 is none
  init=active|default|none
                     default: mirrors are made equal, while the volume is used; active: they count
                     as equal, whatever is on the disks; none: not started, EMPTY
  user=NAME, group=NAME, mode=MODE
                     of the device; MODE is octal or like u=rw,g=r,o=
  exclusive=on|off   only one node at a time may have it open
  usetype=fsgen|gen  usage type
  comment=TEXT       up to 40 bytes
  alloc=STORAGE      see vxassist help space
Of mirror, snapstart: layout=, nmirror= (how many are added, 1), mirror=, alloc=.
Of snapshot: nmirror= (how many mirrors it takes, 1).
Of addlog: logtype=, nlog=, loglen=, alloc=.
Of remove mirror: nmirror= (how many are removed, 1), alloc=. Of remove log: nlog=, alloc=.
Of the others: alloc=, where they need room.
";

const LAYOUT: &str = "\
layout= is a list, with commas, of:
  concat             ranges of disks one after the other; the default
  stripe             in turns over columns, each on other disks
  mirror, mirror-concat
                     mirrored concatenations; with stripe: mirrored stripes
  mirror-stripe      mirrored stripes
  stripe-mirror, concat-mirror
                     layered: a stripe or concatenation of mirrors; a lost disk costs less
  nomirror, nostripe not that
  contig, nospan     each plex, or column of it, is one range of one disk
  nocontig, span     they may be several; the default
  log, nolog         with a dirty region log, or without
What the command line says of the type replaces what the file of defaults says. layout=mirror is
never layered here: the name of the layout decides, not the size of the volume.
";

const MIRROR: &str = "\
mirror=disk: mirrors lie on different disks. It is always so here, and needs not be said.
mirror=ctlr, target and enclr are refused: controllers, targets and enclosures are not known.
";

const OPTIONS: &str = "\
Options, before the action:
  -g GROUP   the disk group
  -b         in the background: make, mirror, move, snapstart and snapback end when the change is
             committed on all nodes, not when copies are equal
  -d FILE    defaults from there instead of etc/default/vxassist
  -f         shrink although a file system could be cut; remove a volume that is started
  -o force   the same
  -o resyncfromreplica
             snapback: the volume, which is stopped, gets what the snapshot holds
  -t TAG     tag of tasks: taken, and of no effect
  -U TYPE    usage type: fsgen or gen
";

const USAGE: &str = "\
Usage:
  vxassist [options] make VOLUME LENGTH|maxsize [attribute...] [storage...]
  vxassist [options] mirror VOLUME [attribute...] [storage...]
  vxassist [options] addlog VOLUME [attribute...] [storage...]
  vxassist [options] remove volume|mirror|log VOLUME [attribute...] [storage...]
  vxassist [options] move VOLUME !DISK... [DISK...]
  vxassist [options] snapstart VOLUME [attribute...] [storage...]
  vxassist [options] snapwait|snapabort VOLUME
  vxassist [options] snapshot VOLUME [SNAPSHOT] [nmirror=N]
  vxassist [options] snapback|snapclear SNAPSHOT
  vxassist [options] snapprint [VOLUME...]
  vxassist [options] growby|growto VOLUME LENGTH [storage...]
  vxassist [options] shrinkby|shrinkto VOLUME LENGTH
  vxassist [options] maxsize [attribute...] [storage...]
  vxassist [options] maxgrow VOLUME [storage...]
  vxassist help alloc|attrs|layout|mirror|options|showattrs|space|usage
";

#[cfg(test)]
mod tests {
    use super::super::defaults;
    use super::*;
    use crate::golden;

    #[test]
    fn there_is_a_page_for_each_topic() {
        for topic in Topic::value_variants() {
            let page = page(*topic, &Attributes::default()).unwrap();
            assert!(page.ends_with('\n') && page.lines().all(|line| line.len() <= 100), "{page}");
        }
    }

    #[test]
    fn attributes_in_force_can_be_a_file_of_defaults() {
        let ours = page(Topic::Showattrs, &Attributes::default()).unwrap();
        golden::check("vxassist-showattrs", &ours);
        let file = defaults::parse("layout=mirror,log nmirror=3 user=oracle mode=640").unwrap();
        let text = page(Topic::Showattrs, &file).unwrap();
        golden::check("vxassist-showattrs-file", &text);
        let again = page(Topic::Showattrs, &defaults::parse(&text).unwrap()).unwrap();
        assert_eq!(again, text);
    }
}
