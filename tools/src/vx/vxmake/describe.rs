//! Descriptions that vxconfigd gets, of the words of a command line or of a file.

use std::fmt::Write as _;

use cvm::model::Name;
use cvm::model::text::{TextError, parse};

use super::fields::{Kind, canonical};
use crate::vx::{length, name};

/// A record.
#[derive(Debug)]
struct Record {
    kind: Kind,
    name: Name,
    fields: Vec<(&'static str, String)>,
}

impl Record {
    fn add(&mut self, key: &str, value: &str) -> Result<(), String> {
        let (key, value) = canonical(self.kind, key, value)?;
        if self.fields.iter().any(|(known, _)| *known == key) {
            return Err(format!("{key} for the second time"));
        }
        self.fields.push((key, value));
        Ok(())
    }

    /// A usage type for a volume that has none yet.
    fn use_type(&mut self, usage: Option<&str>) {
        let has = self.fields.iter().any(|(key, _)| *key == "use_type");
        if let Some(usage) = usage.filter(|_| self.kind == Kind::Volume && !has) {
            self.fields.push(("use_type", usage.to_owned()));
        }
    }

    fn write(&self, text: &mut String) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{} {}", self.kind.word(), self.name);
        for (key, value) in &self.fields {
            let special = |c: char| c.is_whitespace() || matches!(c, '"' | '#' | '\\');
            let _ = if value.contains(special) {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"");
                writeln!(text, "\t{key}=\"{value}\"")
            } else {
                writeln!(text, "\t{key}={value}")
            };
        }
    }
}

/// `sd NAME dm,offset,len`, `plex NAME sd=a,b`, `vol NAME plex=a,b`.
///
/// # Errors
/// What is wrong, and what was expected.
pub(super) fn of_words(words: &[String], usage: Option<&str>) -> Result<String, String> {
    let [kind, record, words @ ..] = words else {
        return Err("expected a kind of record and its name: sd, plex or vol NAME ...".to_owned());
    };
    let (kind, name) = (Kind::of(kind)?, name(record)?);
    let mut record = Record { kind, name, fields: Vec::new() };
    for word in words {
        match (word.split_once('='), kind) {
            (Some((key, value)), _) => record.add(key, value)?,
            (None, Kind::Subdisk) => range(&mut record, word)?,
            (None, Kind::Plex) => {
                return Err(format!(
                    "\"{word}\": logs of RAID-5 are not here; log=SUBDISK is a dirty region log"
                ));
            }
            (None, Kind::Volume) => return Err(format!("\"{word}\" is not attribute=value")),
        }
    }
    complete(&record)?;
    record.use_type(usage);
    let mut text = String::new();
    record.write(&mut text);
    Ok(text)
}

/// `dm,offset,len`
fn range(record: &mut Record, word: &str) -> Result<(), String> {
    let parts: Vec<&str> = word.split(',').collect();
    let [dm, offset, len] = parts.as_slice() else {
        return Err(format!("\"{word}\" is neither dm,offset,len nor attribute=value"));
    };
    record.add("dm", dm)?;
    record.add("dmoffset", offset)?;
    record.add("len", len)
}

/// What nobody can guess must be there.
fn complete(record: &Record) -> Result<(), String> {
    let has = |wanted: &str| record.fields.iter().any(|(key, _)| *key == wanted);
    let missing = match record.kind {
        Kind::Subdisk if has("volume") => None,
        Kind::Subdisk => ["dm", "dmoffset", "len"].into_iter().find(|key| !has(key)),
        Kind::Plex => None,
        Kind::Volume => (!has("len") && !has("plex")).then_some("len, and no plex"),
    };
    if let Some(missing) = missing {
        return Err(format!("{} {} has no {missing}", record.kind.word(), record.name));
    }
    let zero = |(_, value): &&(&str, String)| length(value) == Ok(0);
    let len = record.fields.iter().filter(|(key, _)| *key == "len").find(zero);
    len.map_or(Ok(()), |_| Err(format!("{} {} has the length 0", record.kind.word(), record.name)))
}

/// What a description file says.
///
/// # Errors
/// The line, and what is wrong there.
pub(super) fn of_text(text: &str, usage: Option<&str>) -> Result<String, TextError> {
    let mut written = String::new();
    let mut is_described = false;
    for description in parse(text)? {
        // What vxprint -m prints begins with the group and its disks: the group is the one that -g
        // names, and its disks have to be there.
        match &*description.kind {
            "dg" => continue,
            "dm" => {
                let _ = writeln!(written, "dm {}", description.name);
                continue;
            }
            _ => is_described = true,
        }
        let at = |line: usize| move |what: String| TextError { line, what };
        let kind = Kind::of(&description.kind).map_err(at(description.line))?;
        let mut record = Record { kind, name: description.name.clone(), fields: Vec::new() };
        for field in &description.fields {
            record.add(&field.key, &field.value).map_err(at(field.line))?;
        }
        complete(&record).map_err(at(description.line))?;
        record.use_type(usage);
        record.write(&mut written);
    }
    if !is_described {
        return Err(TextError { line: 1, what: "no record is described".to_owned() });
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<String, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        of_words(&words, None)
    }

    #[test]
    fn a_command_line_becomes_a_description() {
        for (line, text) in [
            ("sd mydg01-01 mydg01,0,1m", "sd mydg01-01\n\tdm=mydg01\n\tdmoffset=0\n\tlen=2048\n"),
            ("sd s dm=d dmoffset=1k len=8", "sd s\n\tdm=d\n\tdmoffset=2\n\tlen=8\n"),
            ("plex vol1-01 sd=a,b", "plex vol1-01\n\tsd=a,b\n"),
            (
                "plex p layout=stripe stwidth=64k ncolumn=2 sd=a:0/0,b:1/0",
                "plex p\n\tlayout=stripe\n\tstwidth=128\n\tncolumn=2\n\tsd=a:0/0,b:1/0\n",
            ),
            ("vol v plex=p,q read_pol=round", "vol v\n\tplex=p,q\n\tread_pol=ROUND\n"),
            (
                "vol v len=1m logtype=drl mode=u=rw,g=r user=oracle",
                "vol v\n\tlen=2048\n\tlogtype=REGION\n\tmode=0640\n\tuser=oracle\n",
            ),
        ] {
            assert_eq!(words(line).as_deref(), Ok(text), "{line}");
            assert_eq!(of_text(text, None).as_deref(), Ok(text), "{line}");
        }
        let two = ["vol", "v", "len=8", "comment=a \"b\" \\"].map(str::to_owned);
        let text = of_words(&two, Some("gen")).unwrap();
        assert_eq!(text, "vol v\n\tlen=8\n\tcomment=\"a \\\"b\\\" \\\\\"\n\tuse_type=gen\n");
        assert_eq!(of_text(&text, None), Ok(text));
    }

    #[test]
    fn what_is_wrong_is_told_with_what_was_expected() {
        for (line, said) in [
            ("", "sd, plex or vol NAME"),
            ("sd", "sd, plex or vol NAME"),
            ("cache c", "no records of the kind cache"),
            ("dm mydg01", "vxdg makes"),
            ("disk mydg01", "no kind of record"),
            ("sd a/b mydg01,0,8", "is not a name"),
            ("sd s", "sd s has no dm"),
            ("sd s mydg01,0", "neither dm,offset,len nor"),
            ("sd s mydg01,0,x", "is not a length"),
            ("sd s mydg01,0,0", "has the length 0"),
            ("sd s mydg01,0,8 len=8", "len for the second time"),
            ("sd s plex=p", "plex is no field of a sd: expected dm"),
            ("plex p layout=raid5", "no RAID-5"),
            ("plex p sd=a, b", "expected a list of subdisk"),
            ("plex p sd=a:0", "expected a list of subdisk"),
            ("plex p sd=a log1", "log=SUBDISK"),
            ("vol v", "vol v has no len, and no plex"),
            ("vol v plex=p what", "is not attribute=value"),
            ("vol v plex=p read_pol=siteread", "there are no sites"),
            ("vol v plex=p use_type=raid5", "expected fsgen or gen"),
            ("vol v plex=p minor=-1", "expected a number"),
        ] {
            let error = words(line).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
    }

    #[test]
    fn errors_of_a_file_have_their_line() {
        for (text, line, said) in [
            ("", 1, "no record is described"),
            ("# nothing\n", 1, "no record is described"),
            ("sd s\n\tdm=d\n\tdmoffset=0\n\tlen=1q\n", 4, "is not a length"),
            ("dg mydg\ndm mydg01\n", 1, "no record is described"),
            ("plex p\n\tcolour=red\n", 2, "colour is no field of a plex"),
            ("vol v\n", 1, "has no len"),
            ("vol v len=8\n\tlen=8\n", 2, "for the second time"),
            ("\tlen=8\n", 1, "a field before any record"),
            ("vol v comment=\"x\n", 1, "a quote without its end"),
        ] {
            let error = of_text(text, None).unwrap_err();
            assert_eq!(error.line, line, "{text}: {error}");
            assert!(error.what.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn what_vxprint_writes_is_understood() {
        let text = "\
sd mydg01-01
\tdm=mydg01
\tdmoffset=0
\tlen=8192
\trid=0.1027
plex vol1-01
\tsd=mydg01-01:0/0
\tstate=ACTIVE
\tkstate=ENABLED
\trid=0.1030
vol vol1
\tuse_type=fsgen
\tlen=8192
\tplex=vol1-01
\tstate=ACTIVE
\tkstate=ENABLED
\tminor=15000
\tlogtype=DRLSEQ
\texclusive=on
\tmode=0640
\trid=0.1032
";
        assert_eq!(of_text(text, Some("gen")).as_deref(), Ok(text));
    }
}
