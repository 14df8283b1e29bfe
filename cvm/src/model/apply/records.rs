//! `vxmake`: records as they are described. What is left out is filled in, so that the reader of
//! descriptions has all that it needs.
//!
//! Records may stand in any order. New volumes are DISABLED and EMPTY unless the description says
//! otherwise, as what `vxprint -m` printed of a volume does.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::{Env, free_minor, is_minor_taken, make, plan};
use crate::model::group::{Group, Kind};
use crate::model::ids::Name;
use crate::model::record::Plex;
use crate::model::refused::Refused;
use crate::model::size::Sectors;
use crate::model::states::{KernelState, VolumeState};
use crate::model::text::{self, Description, Field, word};

pub(super) fn make_all(group: &mut Group, text: &str, env: &Env<'_>) -> Result<(), Refused> {
    let mut waiting = text::parse(text)?;
    waiting.iter().try_for_each(|record| check_kind(group, record))?;
    waiting.retain(|record| kind_of(record).is_some());
    // What others consist of comes first; layered volumes need a second turn.
    waiting.sort_by_key(kind_of);
    while !waiting.is_empty() {
        let mut later = Vec::new();
        let mut missing = None;
        let count = waiting.len();
        for record in waiting {
            match first_missing(group, &record)? {
                Some(name) => {
                    missing = Some(name);
                    later.push(record);
                }
                None => make_one(group, record, env)?,
            }
        }
        waiting = later;
        if let Some((what, name)) = missing.filter(|_| waiting.len() == count) {
            return Err(Refused::Missing { what, name });
        }
    }
    Ok(())
}

fn kind_of(record: &Description<'_>) -> Option<Kind> {
    let kinds = [Kind::Subdisk, Kind::Plex, Kind::Volume];
    kinds.into_iter().find(|kind| word(*kind) == record.kind)
}

/// The group and its disks may stand in a description, as `vxprint -m` prints them: the group is named
/// by the command, and disks are there before.
fn check_kind(group: &Group, record: &Description<'_>) -> Result<(), Refused> {
    let is_disk = record.kind == word(Kind::Disk);
    if kind_of(record).is_some() || record.kind == "dg" {
        return Ok(());
    }
    if is_disk {
        if group.disks.contains_key(&record.name) {
            return Ok(());
        }
        let what = format!(
            "line {}: disk {} is not in the disk group; vxdg adddisk makes disks members",
            record.line, record.name
        );
        return Err(Refused::Invalid(what));
    }
    let what = format!(
        "line {}: vxmake makes records of the kinds sd, plex and vol, not {} {}",
        record.line, record.kind, record.name
    );
    Err(Refused::Invalid(what))
}

/// A record that this one consists of and that is not there (yet).
fn first_missing(
    group: &Group,
    record: &Description<'_>,
) -> Result<Option<(&'static str, Name)>, Refused> {
    let words = |key| {
        let field = record.fields.iter().find(|field| field.key == key);
        field.into_iter().flat_map(|field| field.value.split(',').map(move |word| (field, word)))
    };
    let name = |(field, word): (&Field<'_>, &str)| {
        let name = word.split(':').next().unwrap_or(word);
        Name::new(name).map_err(|_| field.wrong("has something that is no name in it"))
    };
    let mut wanted = Vec::new();
    match kind_of(record) {
        Some(Kind::Subdisk) => {
            words("volume").for_each(|word| wanted.push((Kind::Volume, name(word))));
            words("dm").for_each(|word| wanted.push((Kind::Disk, name(word))));
        }
        Some(Kind::Plex) => {
            let all = words("sd").chain(words("log"));
            all.for_each(|word| wanted.push((Kind::Subdisk, name(word))));
        }
        Some(Kind::Volume) => {
            words("plex").for_each(|word| wanted.push((Kind::Plex, name(word))));
        }
        Some(Kind::Disk) | None => {}
    }
    for (kind, name) in wanted {
        let (name, what) = (name?, text_of(kind));
        match group.kind_of(name.as_str()) {
            Some(found) if found == kind => {}
            Some(kind) => return Err(Refused::WrongKind { expected: what, name, kind }),
            None => return Ok(Some((what, name))),
        }
    }
    Ok(None)
}

const fn text_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Disk => "disk",
        Kind::Plex => "plex",
        Kind::Subdisk => "subdisk",
        Kind::Volume => "volume",
    }
}

fn make_one(group: &mut Group, mut record: Description<'_>, env: &Env<'_>) -> Result<(), Refused> {
    if group.kind_of(record.name.as_str()).is_some() {
        return Err(Refused::Exists(record.name));
    }
    // The identity that it had elsewhere, or before, is not its identity now.
    record.take("rid")?;
    set(&mut record, "rid", group.common().rid);
    let name = record.name.clone();
    match kind_of(&record) {
        Some(Kind::Subdisk) => fill_subdisk(group, &mut record)?,
        Some(Kind::Plex) => fill_plex(group, &mut record)?,
        Some(Kind::Volume) => fill_volume(group, &mut record, env)?,
        Some(Kind::Disk) | None => {}
    }
    text::read_into(group, vec![record])?;
    if let Some(plex) = group.plexes.get_mut(&name) {
        plex.since = None;
    }
    if let Some(volume) = group.volumes.get_mut(&name) {
        // Whoever was writing it there does not write it here, nor is what logs say of it here.
        volume.lose_writers();
        volume.distrust_maps();
        // What it was broken off from has another number here, if it is here at all.
        volume.snapshot_of = None;
        (volume.changes, volume.since) = (0, None);
        volume.changers.clear();
        // What its logs say of that is of there, too.
        volume.spoil();
    }
    let empty = |volume: &VolumeState| *volume == VolumeState::Empty;
    let new = group.volumes.get(&name);
    let Some(volume) = new.filter(|volume| empty(&volume.state) || volume.len == 0) else {
        return Ok(());
    };
    if volume.len == 0 || volume.kernel != KernelState::Disabled {
        let what = format!("Volume {name}: an EMPTY volume is DISABLED, and none has the length 0");
        return Err(Refused::Invalid(what));
    }
    Ok(())
}

fn set(record: &mut Description<'_>, key: &str, value: impl Display) {
    let (key, value) = (key.to_owned().into(), value.to_string().into());
    record.fields.push(Field { key, value, line: record.line });
}

/// A field that is not there gets its default.
fn default(record: &mut Description<'_>, key: &str, value: impl Display) {
    if record.fields.iter().all(|field| field.key != key) {
        set(record, key, value);
    }
}

/// The value of a field that may be there.
fn peek<'a, 't>(record: &'a Description<'t>, key: &str) -> Option<&'a Field<'t>> {
    record.fields.iter().find(|field| field.key == key)
}

/// A subvolume is as long as its volume.
fn fill_subdisk(group: &Group, record: &mut Description<'_>) -> Result<(), Refused> {
    let volume = peek(record, "volume").map(|field| field.read::<Name>()).transpose()?;
    if let Some(volume) = volume.and_then(|name| group.volumes.get(&name)) {
        default(record, "len", volume.len);
    }
    Ok(())
}

/// Subdisks without a place follow each other; in a stripe they are dealt to the columns.
fn fill_plex(group: &Group, record: &mut Description<'_>) -> Result<(), Refused> {
    let sd = record.take("sd")?;
    let words: Vec<&str> = sd.iter().flat_map(|field| field.value.split(',')).collect();
    let mut columns = 1;
    if peek(record, "layout").is_some_and(|field| field.value == "stripe") {
        default(record, "ncolumn", words.len());
        default(record, "stwidth", plan::WIDTH);
        columns = peek(record, "ncolumn").map_or(Ok(1), |field| field.read::<u16>())?.max(1);
    }
    let mut places = Places { group, columns, next: 0, ends: BTreeMap::new(), pieces: Vec::new() };
    for word in &words {
        if places.add(word).is_none() {
            let is = "is no list of subdisks, or of subdisk:column/offset";
            let wrong = sd.as_ref().map(|field| field.wrong(is));
            return Err(wrong.map_or(Refused::Full, Refused::Text));
        }
    }
    let only_log = words.is_empty() && peek(record, "log").is_some();
    if !words.is_empty() {
        set(record, "sd", places.text());
    }
    default(record, "state", if only_log { "LOG" } else { "EMPTY" });
    default(record, "kstate", KernelState::Disabled);
    Ok(())
}

/// Where the subdisks of a plex come to lie.
struct Places<'a> {
    group: &'a Group,
    columns: u16,
    /// The column that the next subdisk without a place gets.
    next: u16,
    ends: BTreeMap<u16, Sectors>,
    pieces: Vec<(u16, Sectors, Name)>,
}

impl Places<'_> {
    /// Nothing if the word is none of `name` and `name:column/offset`.
    fn add(&mut self, word: &str) -> Option<()> {
        let (name, place) = match word.split_once(':') {
            None => (word, None),
            Some((name, place)) => (name, Some(place.split_once('/')?)),
        };
        let name = Name::new(name).ok()?;
        let (column, offset) = match place {
            Some((column, offset)) => (column.parse().ok()?, offset.parse().ok()?),
            None => {
                let column = self.next;
                self.next = (self.next + 1) % self.columns;
                (column, self.ends.get(&column).copied().unwrap_or(0))
            }
        };
        let len = self.group.subdisks.get(&name).map_or(0, |subdisk| subdisk.len);
        let end = self.ends.entry(column).or_default();
        *end = Sectors::saturating_add(offset, len).max(*end);
        self.pieces.push((column, offset, name));
        Some(())
    }

    fn text(mut self) -> String {
        self.pieces.sort_unstable();
        let places = self.pieces.iter().map(|(column, at, name)| format!("{name}:{column}/{at}"));
        places.collect::<Vec<_>>().join(",")
    }
}

fn fill_volume(group: &Group, record: &mut Description<'_>, env: &Env<'_>) -> Result<(), Refused> {
    default(record, "use_type", "fsgen");
    if let Some(usage) = peek(record, "use_type") {
        make::check_usage(&usage.value)?;
    }
    let plexes = peek(record, "plex").into_iter().flat_map(|field| field.value.split(','));
    let plexes = plexes.filter_map(|name| group.plexes.get(name));
    let lens = plexes.filter(|plex: &&Plex| !plex.is_log_only()).map(|p| group.plex_len(p));
    if let Some(shortest) = lens.min() {
        default(record, "len", shortest);
    }
    match peek(record, "minor").map(|field| field.read::<u32>()).transpose()? {
        Some(minor) if is_minor_taken(minor, env) => return Err(Refused::Minor(minor)),
        Some(_) => {}
        None => set(record, "minor", free_minor(group, env)?),
    }
    default(record, "state", VolumeState::Empty);
    default(record, "kstate", KernelState::Disabled);
    // A log type without a log, or the other way round, would say what is not so.
    let logged = peek(record, "plex").into_iter().flat_map(|field| field.value.split(','));
    let logged = logged.filter_map(|name| group.plexes.get(name)).any(|plex| plex.log.is_some());
    if logged {
        default(record, "logtype", crate::model::states::LogType::Region);
    }
    Ok(())
}
