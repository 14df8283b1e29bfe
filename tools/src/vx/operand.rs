//! What stands after the keyword of a command: disks and attributes.

use cvm::model::op::DiskName;
use cvm::model::{Copies, Name};

use super::name;
use crate::common::Failure;

/// An operand that is not what was expected.
pub(super) fn wrong(text: impl Into<String>) -> Failure {
    Failure::Usage(text.into())
}

/// The name of a record or group.
///
/// # Errors
/// If none can be called that.
pub(super) fn named(text: &str) -> Result<Name, Failure> {
    name(text).map_err(wrong)
}

/// The same for several, at least one.
///
/// # Errors
/// If one is no name, or there is none.
pub(super) fn some_names(operands: &[String], expected: &str) -> Result<Vec<Name>, Failure> {
    if operands.is_empty() {
        return Err(wrong(format!("expected {expected}")));
    }
    operands.iter().map(|text| named(text)).collect()
}

/// The access name of a disk.
///
/// # Errors
/// If no disk can be called that.
pub(super) fn access(text: &str) -> Result<String, Failure> {
    let strange = |letter: char| letter.is_whitespace() || matches!(letter, '/' | '=' | ',');
    if text.is_empty() || text.starts_with(['-', '.']) || text.contains(strange) {
        let expected = "the access name of a disk, as vxdisk list shows it";
        return Err(wrong(format!("\"{text}\": expected {expected}")));
    }
    Ok(text.to_owned())
}

/// `[dm=]da`
///
/// # Errors
/// If it is none.
pub(super) fn disk_name(text: &str) -> Result<DiskName, Failure> {
    match text.split_once('=') {
        Some((dm, da)) => Ok(DiskName { name: Some(named(dm)?), access: access(da)? }),
        None => Ok(DiskName { name: None, access: access(text)? }),
    }
}

/// `dm=value`, both of which have to be there.
///
/// # Errors
/// If they are not.
pub(super) fn pair(text: &str, expected: &str) -> Result<(Name, String), Failure> {
    let Some((dm, other)) = text.split_once('=') else {
        return Err(wrong(format!("\"{text}\": expected {expected}")));
    };
    Ok((named(dm)?, access(other)?))
}

/// `on` or `off`.
///
/// # Errors
/// If it is neither.
pub(super) fn switch(key: &str, value: &str) -> Result<bool, Failure> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(wrong(format!("{key}={value}: expected on or off"))),
    }
}

/// `all`, `default` or a number.
///
/// # Errors
/// If it is none of them.
pub(super) fn copies(key: &str, value: &str) -> Result<Copies, Failure> {
    match value {
        "all" => Ok(Copies::All),
        "default" => Ok(Copies::Default),
        _ => number(value).map(Copies::Count).ok_or_else(|| {
            wrong(format!("{key}={value}: expected all, default or a number from 1 to 65535"))
        }),
    }
}

fn number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|count| *count > 0 && !text.starts_with('+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_have_an_access_name_and_may_have_another() {
        let disk = disk_name("mydg01=disk_0").unwrap();
        assert_eq!((disk.name, disk.access.as_str()), (name("mydg01").ok(), "disk_0"));
        assert_eq!(disk_name("c1t0d3s2").unwrap().name, None);
        for wrong in ["", "=", "a=", "=b", "a b", "/dev/sda", "-x", "a=b=c", "a=b,c", ".x"] {
            assert!(matches!(disk_name(wrong), Err(Failure::Usage(_))), "{wrong:?}");
        }
        assert!(pair("mydg01", "dm=dm").is_err());
    }

    #[test]
    fn attributes_say_what_they_may_be() {
        assert_eq!(copies("nlog", "all").ok(), Some(Copies::All));
        assert_eq!(copies("nlog", "default").ok(), Some(Copies::Default));
        assert_eq!(copies("nlog", "3").ok(), Some(Copies::Count(3)));
        for wrong in ["", "0", "-1", "+1", "65536", "many"] {
            let error = copies("nlog", wrong).unwrap_err().to_string();
            assert!(error.contains("expected all, default or a number"), "{error}");
        }
        assert_eq!(
            (switch("cds", "on").ok(), switch("cds", "off").ok()),
            (Some(true), Some(false))
        );
        assert!(switch("cds", "yes").is_err());
    }
}
