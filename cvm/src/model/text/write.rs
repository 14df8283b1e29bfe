//! From records to text.

use std::fmt::{self, Display, Write};

use super::{GROUP, PUTIL, TUTIL, word};
use crate::model::group::{Copies, Group, Kind, Owner};
use crate::model::ids::Name;
use crate::model::record::{
    Common, Disk, Fill, Layout, Permissions, Piece, Plex, Source, Subdisk, Volume,
};
use crate::model::states::{DetachPolicy, FailPolicy, LogType, ReadPolicy};

/// The description of a whole group: itself, then its disks, subdisks, plexes and volumes by name.
pub fn write_group(group: &Group) -> String {
    let mut text = Text::default();
    text.group(group);
    group.disks.iter().for_each(|(name, disk)| text.disk(name, disk));
    group.subdisks.iter().for_each(|(name, subdisk)| text.subdisk(name, subdisk));
    group.plexes.iter().for_each(|(name, plex)| text.plex(name, plex));
    group.volumes.iter().for_each(|(name, volume)| text.volume(name, volume));
    text.0
}

/// The description of one record, or of the group itself if `kind` is `None`; empty if there is no
/// such record.
pub fn write_record(group: &Group, kind: Option<Kind>, name: &str) -> String {
    let mut text = Text::default();
    match kind {
        None => text.group(group),
        Some(Kind::Disk) => {
            group
                .disks
                .get_key_value(name)
                .into_iter()
                .for_each(|(name, disk)| text.disk(name, disk));
        }
        Some(Kind::Subdisk) => {
            group
                .subdisks
                .get_key_value(name)
                .into_iter()
                .for_each(|(name, sd)| text.subdisk(name, sd));
        }
        Some(Kind::Plex) => {
            group
                .plexes
                .get_key_value(name)
                .into_iter()
                .for_each(|(name, plex)| text.plex(name, plex));
        }
        Some(Kind::Volume) => {
            group
                .volumes
                .get_key_value(name)
                .into_iter()
                .for_each(|(name, vol)| text.volume(name, vol));
        }
    }
    text.0
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn head(&mut self, kind: &str, name: &Name) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{kind} {name}");
    }

    fn field(&mut self, key: &str, value: impl Display) {
        let _ = write!(self.0, "\t{key}=");
        let start = self.0.len();
        let _ = write!(self.0, "{value}");
        if self.0[start..].contains(is_special) {
            let value = self.0.split_off(start);
            let _ = write!(self.0, "{}", Quoted(&value));
        }
        self.0.push('\n');
    }

    /// A field that is not written if it has its default.
    fn unless<T: Display + PartialEq>(&mut self, default: &T, key: &str, value: &T) {
        if value != default {
            self.field(key, value);
        }
    }

    fn flag(&mut self, key: &str, value: bool) {
        if value {
            self.field(key, "on");
        }
    }

    fn text(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.field(key, value);
        }
    }

    fn common(&mut self, common: &Common) {
        self.field("rid", common.rid);
        self.text("comment", &common.comment);
        for (key, text) in TUTIL.into_iter().zip(&common.tutil) {
            self.text(key, text);
        }
        for (key, text) in PUTIL.into_iter().zip(&common.putil) {
            self.text(key, text);
        }
    }

    fn group(&mut self, group: &Group) {
        self.head(GROUP, &group.name);
        self.field("dgid", &group.id);
        self.field("version", group.version);
        match &group.owner {
            Owner::Cluster(name) => self.field("cluster", name),
            Owner::Host(name) => self.field("host", name),
            Owner::Nobody => {}
        }
        self.flag("noautoimport", !group.autoimport);
        self.flag("destroyed", group.destroyed);
        self.flag("cds", group.cds);
        self.unless(&0, "minors", &group.minors);
        self.copies("nconfig", group.nconfig);
        self.copies("nlog", group.nlog);
        self.unless(&DetachPolicy::Global, "diskdetpolicy", &group.detach_policy);
        self.unless(&FailPolicy::DgDisable, "dgfailpolicy", &group.fail_policy);
        self.flag("nossb", !group.ssb);
        self.field("serial", group.serial);
        self.field("next_rid", group.next_rid);
    }

    fn copies(&mut self, key: &str, copies: Copies) {
        match copies {
            Copies::All => self.field(key, "all"),
            Copies::Count(count) => self.field(key, count),
            Copies::Default => {}
        }
    }

    fn disk(&mut self, name: &Name, disk: &Disk) {
        self.head(word(Kind::Disk), name);
        if let Some(id) = &disk.disk {
            self.field("diskid", id);
        }
        self.text("device", &disk.access);
        self.field("publen", disk.public_len);
        self.field("privlen", disk.private_len);
        self.field("serial", disk.serial);
        self.flag("spare", disk.spare);
        self.flag("nohotuse", disk.nohotuse);
        self.flag("reserve", disk.reserve);
        self.flag("failing", disk.failing);
        self.flag("removed", disk.removed);
        self.common(&disk.common);
    }

    fn subdisk(&mut self, name: &Name, subdisk: &Subdisk) {
        self.head(word(Kind::Subdisk), name);
        match &subdisk.source {
            Source::Disk { dm, offset } => {
                self.field("dm", dm);
                self.field("dmoffset", offset);
            }
            Source::Volume(volume) => self.field("volume", volume),
        }
        self.field("len", subdisk.len);
        if let Some(origin) = &subdisk.origin {
            self.field("orig_dmname", &origin.dm);
            self.field("orig_dmoffset", origin.offset);
        }
        self.common(&subdisk.common);
    }

    fn plex(&mut self, name: &Name, plex: &Plex) {
        self.head(word(Kind::Plex), name);
        if let Layout::Stripe { columns, width } = plex.layout {
            self.field("layout", "stripe");
            self.field("ncolumn", columns);
            self.field("stwidth", width);
        }
        if !plex.pieces.is_empty() {
            self.field("sd", List(plex.pieces.iter().map(Place)));
        }
        if let Some(log) = &plex.log {
            self.field("log", log);
        }
        self.field("state", plex.state);
        self.field("kstate", plex.kernel);
        if let Some(since) = plex.since {
            self.field("since", since);
        }
        self.common(&plex.common);
    }

    fn volume(&mut self, name: &Name, volume: &Volume) {
        self.head(word(Kind::Volume), name);
        self.field("use_type", &volume.usage);
        self.field("len", volume.len);
        if !volume.plexes.is_empty() {
            self.field("plex", List(volume.plexes.iter()));
        }
        self.field("state", volume.state);
        self.field("kstate", volume.kernel);
        self.unless(&ReadPolicy::Select, "read_pol", &volume.read_policy);
        if let Some(plex) = &volume.preferred {
            self.field("pref_plex", plex);
        }
        self.field("minor", volume.minor);
        self.unless(&LogType::None, "logtype", &volume.log_type);
        self.flag("exclusive", volume.exclusive);
        self.flag("layer", volume.layer);
        for (key, nodes) in [("writers", &volume.writers), ("lost", &volume.lost)] {
            if !nodes.is_empty() {
                self.field(key, List(nodes.iter()));
            }
        }
        self.flag("by_map", volume.by_map);
        if let Some(original) = volume.snapshot_of {
            self.field("snapshot_of", original);
        }
        self.unless(&0, "changes", &volume.changes);
        if !volume.changers.is_empty() {
            self.field("changers", List(volume.changers.iter()));
        }
        if let Some(since) = volume.since {
            self.field("since", since);
        }
        if let Some(Fill { from, id, is_begun }) = volume.fill {
            self.field("fill_from", from);
            self.field("fill_id", id);
            self.flag("fill_begun", is_begun);
        }
        let standard = Permissions::default();
        self.unless(&standard.user, "user", &volume.permissions.user);
        self.unless(&standard.group, "group", &volume.permissions.group);
        if volume.permissions.mode != standard.mode {
            self.field("mode", format_args!("{:04o}", volume.permissions.mode));
        }
        self.common(&volume.common);
    }
}

/// `name:column/offset`; a concatenation has the column 0.
struct Place<'a>(&'a Piece);

impl Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Piece { subdisk, column, offset } = self.0;
        write!(f, "{subdisk}:{column}/{offset}")
    }
}

/// Values with commas between them.
struct List<I>(I);

impl<I> Display for List<I>
where
    I: Clone + Iterator,
    I::Item: Display,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, value) in self.0.clone().enumerate() {
            if number > 0 {
                f.write_char(',')?;
            }
            write!(f, "{value}")?;
        }
        Ok(())
    }
}

/// A value with one of these is quoted.
fn is_special(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '"' | '#' | '\\')
}

/// A value in quotes.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for letter in self.0.chars() {
            if matches!(letter, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(letter)?;
        }
        f.write_char('"')
    }
}
