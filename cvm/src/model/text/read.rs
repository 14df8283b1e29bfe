//! From descriptions to records.

use std::collections::BTreeSet;

use super::parse::{Description, Field, TextError, parse};
use super::{GROUP, PUTIL, TUTIL, word};
use crate::model::group::{Copies, Group, Kind, Owner};
use crate::model::ids::{Name, Rid, UniqueId};
use crate::model::record::{
    Common, Disk, Fill, Layout, Origin, Permissions, Piece, Plex, Source, Subdisk, Volume,
};
use crate::model::states::{DetachPolicy, FailPolicy, LogType, ReadPolicy};

/// Reads what [`super::write_group`] wrote. The result is not checked ([`crate::model::check()`]).
pub fn read_group(text: &str) -> Result<Group, TextError> {
    let mut records = parse(text)?.into_iter();
    let Some(first) = records.next().filter(|record| record.kind == GROUP) else {
        return Err(TextError::new(1, "a disk group was expected: dg NAME"));
    };
    let mut group = read_attributes(first)?;
    records.try_for_each(|record| insert(&mut group, record))?;
    Ok(group)
}

/// Puts described records into a group, in place of those of the same kind and name; a `dg` record
/// replaces the attributes of the group.
pub fn read_into(group: &mut Group, records: Vec<Description<'_>>) -> Result<(), TextError> {
    for record in records {
        if record.kind == GROUP {
            let attributes = read_attributes(record)?;
            let old = std::mem::replace(group, attributes);
            group.disks = old.disks;
            group.subdisks = old.subdisks;
            group.plexes = old.plexes;
            group.volumes = old.volumes;
        } else {
            insert(group, record)?;
        }
    }
    Ok(())
}

fn insert(group: &mut Group, record: Description<'_>) -> Result<(), TextError> {
    let (line, name) = (record.line, record.name.clone());
    let kind = record.kind.clone();
    if kind == word(Kind::Disk) {
        group.disks.insert(name, read_disk(record)?);
    } else if kind == word(Kind::Subdisk) {
        group.subdisks.insert(name, read_subdisk(record)?);
    } else if kind == word(Kind::Plex) {
        group.plexes.insert(name, read_plex(record)?);
    } else if kind == word(Kind::Volume) {
        group.volumes.insert(name, read_volume(record)?);
    } else {
        let what = format!("\"{kind}\" is none of dm, sd, plex, vol");
        return Err(TextError::new(line, what));
    }
    Ok(())
}

fn read_attributes(mut record: Description<'_>) -> Result<Group, TextError> {
    let id: UniqueId = record.required("dgid")?;
    let cluster = record.take("cluster")?.map(|field| field.read()).transpose()?;
    let host = record.take("host")?;
    let owner = match (cluster, host) {
        (Some(cluster), None) => Owner::Cluster(cluster),
        (None, Some(host)) => Owner::Host(host.read()?),
        (None, None) => Owner::Nobody,
        (Some(_), Some(host)) => return Err(host.wrong("beside a cluster")),
    };
    let mut group = Group::new(record.name.clone(), id, owner);
    group.version = record.required("version")?;
    group.autoimport = !record.flag("noautoimport")?;
    group.destroyed = record.flag("destroyed")?;
    group.cds = record.flag("cds")?;
    group.minors = record.value("minors", 0)?;
    group.nconfig = read_copies(record.take("nconfig")?)?;
    group.nlog = read_copies(record.take("nlog")?)?;
    group.detach_policy = record.value("diskdetpolicy", DetachPolicy::Global)?;
    group.fail_policy = record.value("dgfailpolicy", FailPolicy::DgDisable)?;
    group.ssb = !record.flag("nossb")?;
    group.serial = record.required("serial")?;
    group.next_rid = record.required("next_rid")?;
    record.end()?;
    Ok(group)
}

fn read_copies(field: Option<Field<'_>>) -> Result<Copies, TextError> {
    let Some(field) = field else { return Ok(Copies::Default) };
    field.value.parse().map_err(|_| field.wrong("is none of all, default and a number from 1"))
}

impl std::str::FromStr for Copies {
    type Err = crate::model::ids::ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self::All),
            "default" => Ok(Self::Default),
            _ => text.parse().ok().filter(|count| *count > 0).map(Self::Count).ok_or_else(|| {
                let expected = "all, default or a number from 1";
                Self::Err { text: text.to_owned(), expected }
            }),
        }
    }
}

/// What all records may have; read last, for most have little of it.
fn read_common(record: &mut Description<'_>) -> Result<Common, TextError> {
    let mut common = Common { rid: record.value("rid", Rid(0))?, ..Common::default() };
    common.comment = record.value("comment", String::new())?;
    for (key, text) in TUTIL.into_iter().zip(&mut common.tutil) {
        *text = record.value(key, String::new())?;
    }
    for (key, text) in PUTIL.into_iter().zip(&mut common.putil) {
        *text = record.value(key, String::new())?;
    }
    Ok(common)
}

fn read_disk(mut record: Description<'_>) -> Result<Disk, TextError> {
    let disk = Disk {
        disk: record.take("diskid")?.map(|field| field.read()).transpose()?,
        access: record.value("device", String::new())?,
        public_len: record.required("publen")?,
        private_len: record.required("privlen")?,
        serial: record.required("serial")?,
        spare: record.flag("spare")?,
        nohotuse: record.flag("nohotuse")?,
        reserve: record.flag("reserve")?,
        failing: record.flag("failing")?,
        removed: record.flag("removed")?,
        common: read_common(&mut record)?,
    };
    record.end()?;
    Ok(disk)
}

fn read_subdisk(mut record: Description<'_>) -> Result<Subdisk, TextError> {
    let source = match record.take("volume")? {
        Some(volume) => Source::Volume(volume.read()?),
        None => Source::Disk { dm: record.required("dm")?, offset: record.required("dmoffset")? },
    };
    let len = record.required("len")?;
    let origin = match record.take("orig_dmname")? {
        Some(dm) => Some(Origin { dm: dm.read()?, offset: record.required("orig_dmoffset")? }),
        None => None,
    };
    let subdisk = Subdisk { source, len, origin, common: read_common(&mut record)? };
    record.end()?;
    Ok(subdisk)
}

fn read_plex(mut record: Description<'_>) -> Result<Plex, TextError> {
    let layout = match record.take("layout")? {
        None => Layout::Concat,
        Some(field) if field.value == "concat" => Layout::Concat,
        Some(field) if field.value == "stripe" => Layout::Stripe {
            columns: record.required("ncolumn")?,
            width: record.required("stwidth")?,
        },
        Some(field) => return Err(field.wrong("is neither concat nor stripe")),
    };
    let pieces = record.take("sd")?.map_or(Ok(Vec::new()), |field| {
        field.value.split(',').map(|text| read_piece(&field, text)).collect()
    })?;
    let plex = Plex {
        kernel: record.required("kstate")?,
        state: record.required("state")?,
        layout,
        pieces,
        log: record.take("log")?.map(|field| field.read()).transpose()?,
        since: record.take("since")?.map(|field| field.read()).transpose()?,
        common: read_common(&mut record)?,
    };
    record.end()?;
    Ok(plex)
}

fn read_piece(field: &Field<'_>, text: &str) -> Result<Piece, TextError> {
    let piece = || {
        let (subdisk, place) = text.split_once(':')?;
        let (column, offset) = place.split_once('/')?;
        let (column, offset) = (column.parse().ok()?, offset.parse().ok()?);
        Some(Piece { subdisk: Name::new(subdisk).ok()?, column, offset })
    };
    piece().ok_or_else(|| field.wrong("is no list of subdisk:column/offset"))
}

fn read_nodes(record: &mut Description<'_>, key: &str) -> Result<BTreeSet<u8>, TextError> {
    record.take(key)?.map_or(Ok(BTreeSet::new()), |field| {
        let nodes: Result<_, _> = field.value.split(',').map(str::parse).collect();
        nodes.map_err(|_| field.wrong("is no list of nodes"))
    })
}

fn read_fill(record: &mut Description<'_>) -> Result<Option<Fill>, TextError> {
    let is_begun = record.flag("fill_begun")?;
    let Some(from) = record.take("fill_from")? else { return Ok(None) };
    Ok(Some(Fill { from: from.read()?, id: record.required("fill_id")?, is_begun }))
}

fn read_volume(mut record: Description<'_>) -> Result<Volume, TextError> {
    let plexes = record.take("plex")?.map_or(Ok(Vec::new()), |field| {
        let names: Result<_, _> = field.value.split(',').map(Name::new).collect();
        names.map_err(|_| field.wrong("is no list of plexes"))
    })?;
    let standard = Permissions::default();
    let mode = record.take("mode")?.map_or(Ok(standard.mode), |field| {
        u32::from_str_radix(&field.value, 8).map_err(|_| field.wrong("is no octal number"))
    })?;
    let volume = Volume {
        kernel: record.required("kstate")?,
        state: record.required("state")?,
        len: record.required("len")?,
        usage: record.required("use_type")?,
        read_policy: record.value("read_pol", ReadPolicy::Select)?,
        preferred: record.take("pref_plex")?.map(|field| field.read()).transpose()?,
        minor: record.required("minor")?,
        log_type: record.value("logtype", LogType::None)?,
        exclusive: record.flag("exclusive")?,
        layer: record.flag("layer")?,
        permissions: Permissions {
            user: record.value("user", standard.user)?,
            group: record.value("group", standard.group)?,
            mode,
        },
        plexes,
        writers: read_nodes(&mut record, "writers")?,
        lost: read_nodes(&mut record, "lost")?,
        by_map: record.flag("by_map")?,
        snapshot_of: record.take("snapshot_of")?.map(|field| field.read()).transpose()?,
        changes: record.value("changes", 0)?,
        changers: read_nodes(&mut record, "changers")?,
        since: record.take("since")?.map(|field| field.read()).transpose()?,
        fill: read_fill(&mut record)?,
        common: read_common(&mut record)?,
    };
    record.end()?;
    Ok(volume)
}
