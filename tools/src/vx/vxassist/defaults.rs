//! `etc/default/vxassist`: what attributes are when nobody says otherwise (facts 2.1).
//!
//! Lines of `attribute=value`, several on a line if one likes; `#` begins a comment.

use std::io::ErrorKind;
use std::path::Path;

use super::words::Attributes;
use crate::common::{Failure, Root};

/// Reads the file that was named, or that of the node, which need not be there.
///
/// # Errors
/// If it cannot be read, or says something else: with file and line.
pub(super) fn read(root: &Root, named: Option<&Path>) -> Result<Attributes, Failure> {
    let standard = root.path().join("etc/default/vxassist");
    let path = named.unwrap_or(&standard);
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => {
            return Ok(Attributes::default());
        }
        Err(error) => return Err(Failure::operation(format!("{}: {error}", path.display()))),
    };
    parse(&text).map_err(|error| Failure::operation(format!("{}:{error}", path.display())))
}

/// Reads its text.
///
/// # Errors
/// The line, and what was expected there.
pub(super) fn parse(text: &str) -> Result<Attributes, String> {
    let mut attributes = Attributes::default();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default();
        for word in line.split_whitespace() {
            let Some((key, value)) = word.split_once('=') else {
                return Err(format!("{number}: \"{word}\": expected attribute=value"));
            };
            attributes.add(key, value).map_err(|what| format!("{number}: \"{word}\": {what}"))?;
        }
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use cvm::model::LogType;

    use super::*;

    #[test]
    fn the_sample_of_the_administrators_guide_is_understood() {
        let text = "\
# By default:
layout=nomirror,nostripe,span,nocontig,raid5log,noregionlog,diskalign
usetype=fsgen
mode=u=rw,g=,o=
user=root group=root   # both
nmirror=2
max_nstripe=8
min_nstripe=2
max_nraid5stripe=8 min_nraid5stripe=3
nraid5log=1 nregionlog=1
stripe_stwid=64k raid5_stwid=16k

";
        let all = parse(text).unwrap();
        assert_eq!((all.mirrors, all.logs, all.width), (Some(2), Some(1), Some(128)));
        assert_eq!((all.mode, all.usage.as_deref()), (Some(0o600), Some("fsgen")));
        assert_eq!(parse("logtype=drlseq").unwrap().log_type, Some(LogType::Sequential));
        assert_eq!(parse(""), Ok(Attributes::default()));
    }

    #[test]
    fn a_wrong_line_is_told_with_its_number() {
        for (text, said) in [
            ("\nmydg01\n", "2: \"mydg01\": expected attribute=value"),
            ("nmirror=2\nnmirror=x", "2: \"nmirror=x\": nmirror=: \"x\" is no number from 1 to 32"),
            ("layout=raid6", "1: \"layout=raid6\": layout=raid6: expected a list of concat"),
            ("user=a user=b", "1: \"user=b\": user= was said before"),
            ("layout", "1: \"layout\": expected attribute=value"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let root = |path: &Path| {
            use clap::{Args, Command, FromArgMatches};
            let command = Root::augment_args(Command::new("x").no_binary_name(true));
            let matches = command.get_matches_from([Path::new("--root"), path]);
            Root::from_arg_matches(&matches).unwrap()
        };
        let root = root(folder.path());
        assert_eq!(read(&root, None).unwrap(), Attributes::default());
        let named = folder.path().join("mine");
        assert!(read(&root, Some(&named)).is_err());
        std::fs::write(&named, "nmirror=3\nwhat").unwrap();
        let error = read(&root, Some(&named)).unwrap_err().to_string();
        assert!(error.ends_with("mine:2: \"what\": expected attribute=value"), "{error}");
    }
}
