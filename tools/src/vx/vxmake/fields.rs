//! The fields of records: what they are called, and how their values are written in a description.
//!
//! The command line may say `len=1g` and `read_pol=round`; a description has sectors, and the words
//! of the states. Both are read here, so that a description may do the same.

use std::str::FromStr;

use cvm::model::{KernelState, LogType, Name, PlexState, ReadPolicy, Rid, VolumeState};

use crate::vx::{length, name, values};

/// A record that `vxmake` makes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Plex,
    Subdisk,
    Volume,
}

impl Kind {
    /// By the word that it begins with.
    ///
    /// # Errors
    /// If it is none.
    pub(super) fn of(word: &str) -> Result<Self, String> {
        match word {
            "plex" => Ok(Self::Plex),
            "sd" => Ok(Self::Subdisk),
            "vol" => Ok(Self::Volume),
            "cache" | "dco" | "rlink" | "rvg" | "sp" | "srl" | "vset" => {
                Err(format!("there are no records of the kind {word} here: expected sd, plex, vol"))
            }
            "dg" | "dm" => Err(format!(
                "{word}: vxdg makes disk groups and their disks; expected sd, plex, vol"
            )),
            _ => Err(format!("\"{word}\" is no kind of record: expected sd, plex, vol")),
        }
    }

    /// The word.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Plex => "plex",
            Self::Subdisk => "sd",
            Self::Volume => "vol",
        }
    }

    const fn fields(self) -> &'static [(&'static str, &'static str, Value)] {
        match self {
            Self::Plex => PLEX,
            Self::Subdisk => SUBDISK,
            Self::Volume => VOLUME,
        }
    }
}

/// What a value is.
#[derive(Clone, Copy, Debug)]
enum Value {
    Kernel,
    Layout,
    Length,
    LogType,
    Mode,
    Name,
    Names,
    Nodes,
    Number,
    Owner,
    PlexState,
    Pieces,
    ReadPolicy,
    Rid,
    Switch,
    Text,
    Usage,
    VolumeState,
}

/// A field as a description has it.
///
/// # Errors
/// If the record has no such field, or it cannot be that.
pub(super) fn canonical(
    kind: Kind,
    key: &str,
    value: &str,
) -> Result<(&'static str, String), String> {
    let all = || kind.fields().iter().chain(COMMON);
    let Some((_, key, what)) = all().find(|(known, ..)| *known == key) else {
        let mut known: Vec<&str> = all().map(|(_, key, _)| *key).collect();
        known.dedup();
        let word = kind.word();
        return Err(format!("{key} is no field of a {word}: expected {}", known.join(", ")));
    };
    match write(*what, value) {
        Ok(value) => Ok((key, value)),
        Err(what) => Err(format!("{key}=\"{value}\": {what}")),
    }
}

fn write(what: Value, value: &str) -> Result<String, String> {
    let upper = value.to_ascii_uppercase();
    Ok(match what {
        Value::Kernel => word::<KernelState>(&upper)?,
        Value::PlexState => word::<PlexState>(&upper)?,
        Value::VolumeState => word::<VolumeState>(&upper)?,
        Value::ReadPolicy if value == "siteread" => {
            return Err("there are no sites here: expected round, prefer or select".to_owned());
        }
        Value::ReadPolicy => word::<ReadPolicy>(&upper)?,
        Value::LogType if value == "drl" => LogType::Region.to_string(),
        Value::LogType => word::<LogType>(&upper)?,
        Value::Layout => match value {
            "concat" | "stripe" => value.to_owned(),
            "raid5" => return Err("there is no RAID-5 here: expected concat or stripe".to_owned()),
            _ => return Err("expected concat or stripe".to_owned()),
        },
        Value::Length => length(value).map_err(|error| error.to_string())?.to_string(),
        Value::Number => match value.parse::<u32>() {
            Ok(number) => number.to_string(),
            Err(_) => return Err("expected a number".to_owned()),
        },
        Value::Mode => format!("{:04o}", values::mode(value)?),
        Value::Name => name(value)?.to_string(),
        Value::Names => {
            value.split(',').try_for_each(|text| name(text).map(|_| ()))?;
            value.to_owned()
        }
        Value::Nodes => {
            if value.split(',').any(|node| node.parse::<u8>().is_err()) {
                return Err("expected a list of nodes".to_owned());
            }
            value.to_owned()
        }
        Value::Pieces => {
            value.split(',').try_for_each(piece)?;
            value.to_owned()
        }
        Value::Owner => values::owner(value)?,
        Value::Rid => value.parse::<Rid>().map_err(|error| error.to_string())?.to_string(),
        Value::Switch => if values::switch(value)? { "on" } else { "off" }.to_owned(),
        Value::Text => values::text(value)?,
        Value::Usage => match value {
            "fsgen" | "gen" => value.to_owned(),
            _ => return Err("expected fsgen or gen".to_owned()),
        },
    })
}

/// `sd` or `sd:column/offset`.
fn piece(text: &str) -> Result<(), String> {
    let (subdisk, place) = match text.split_once(':') {
        None => (text, None),
        Some((subdisk, place)) => (subdisk, Some(place)),
    };
    let is_place = |place: &str| {
        let numbers = place.split_once('/');
        numbers.is_some_and(|(column, offset)| {
            column.parse::<u16>().is_ok() && offset.parse::<u64>().is_ok()
        })
    };
    if Name::new(subdisk).is_ok() && place.is_none_or(is_place) {
        Ok(())
    } else {
        Err("expected a list of subdisk or subdisk:column/offset".to_owned())
    }
}

fn word<T>(text: &str) -> Result<String, String>
where
    T: FromStr + ToString,
    T::Err: std::fmt::Display,
{
    text.parse::<T>().map(|word| word.to_string()).map_err(|error| error.to_string())
}

const COMMON: &[(&str, &str, Value)] = &[
    ("comment", "comment", Value::Text),
    ("rid", "rid", Value::Rid),
    ("tutil0", "tutil0", Value::Text),
    ("tutil1", "tutil1", Value::Text),
    ("tutil2", "tutil2", Value::Text),
    ("putil0", "putil0", Value::Text),
    ("putil1", "putil1", Value::Text),
    ("putil2", "putil2", Value::Text),
];

const SUBDISK: &[(&str, &str, Value)] = &[
    ("dm", "dm", Value::Name),
    ("disk", "dm", Value::Name),
    ("dmoffset", "dmoffset", Value::Length),
    ("offset", "dmoffset", Value::Length),
    ("len", "len", Value::Length),
    ("volume", "volume", Value::Name),
];

const PLEX: &[(&str, &str, Value)] = &[
    ("layout", "layout", Value::Layout),
    ("ncolumn", "ncolumn", Value::Number),
    ("ncol", "ncolumn", Value::Number),
    ("stwidth", "stwidth", Value::Length),
    ("st_width", "stwidth", Value::Length),
    ("sd", "sd", Value::Pieces),
    ("log", "log", Value::Name),
    ("logsd", "log", Value::Name),
    ("state", "state", Value::PlexState),
    ("kstate", "kstate", Value::Kernel),
];

const VOLUME: &[(&str, &str, Value)] = &[
    ("use_type", "use_type", Value::Usage),
    ("usetype", "use_type", Value::Usage),
    ("len", "len", Value::Length),
    ("plex", "plex", Value::Names),
    ("read_pol", "read_pol", Value::ReadPolicy),
    ("pref_plex", "pref_plex", Value::Name),
    ("prefplex", "pref_plex", Value::Name),
    ("minor", "minor", Value::Number),
    ("logtype", "logtype", Value::LogType),
    ("exclusive", "exclusive", Value::Switch),
    ("layer", "layer", Value::Switch),
    ("writers", "writers", Value::Nodes),
    ("lost", "lost", Value::Nodes),
    ("by_map", "by_map", Value::Switch),
    ("user", "user", Value::Owner),
    ("group", "group", Value::Owner),
    ("mode", "mode", Value::Mode),
    ("state", "state", Value::VolumeState),
    ("kstate", "kstate", Value::Kernel),
];
