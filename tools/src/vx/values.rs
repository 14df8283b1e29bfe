//! Values of attributes that several commands take: rights, switches, texts.

use cvm::model::limits::TEXT_MAX;

/// `mode=`: octal, or which class of users has which rights, such as `u=rw,g=r,o=`. A class that is
/// not mentioned has none.
///
/// # Errors
/// If it is neither.
pub(super) fn mode(text: &str) -> Result<u32, String> {
    let wrong = || format!("\"{text}\" is no mode such as 0640 or u=rw,g=r,o=");
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777).ok_or_else(wrong);
    }
    let mut mode = 0;
    for clause in text.split(',') {
        let (who, rights) = clause.split_once('=').ok_or_else(wrong)?;
        let mut bits = 0;
        for right in rights.chars() {
            bits |= match right {
                'r' => 0o4,
                'w' => 0o2,
                'x' => 0o1,
                _ => return Err(wrong()),
            };
        }
        if who.is_empty() {
            return Err(wrong());
        }
        for class in who.chars() {
            let (mask, bits) = match class {
                'u' => (0o700, bits << 6),
                'g' => (0o070, bits << 3),
                'o' => (0o007, bits),
                'a' => (0o777, bits << 6 | bits << 3 | bits),
                _ => return Err(wrong()),
            };
            mode = mode & !mask | bits;
        }
    }
    Ok(mode)
}

/// `on` and `off`, and what scripts write instead.
///
/// # Errors
/// If it is neither.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" | "yes" | "true" => Ok(true),
        "off" | "no" | "false" => Ok(false),
        _ => Err(format!("\"{text}\" is neither on nor off")),
    }
}

/// A text that fits a record; it may be empty.
///
/// # Errors
/// If it is too long, or more than a line.
pub(super) fn text(text: &str) -> Result<String, String> {
    if text.len() > TEXT_MAX {
        return Err(format!("\"{text}\" is longer than {TEXT_MAX} bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err("a text in a record is one line, without tabs".to_owned());
    }
    Ok(text.to_owned())
}

/// The name of a user or of a group of users.
///
/// # Errors
/// If none can be called that.
pub(super) fn owner(name: &str) -> Result<String, String> {
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(format!("\"{name}\" is no name of a user or a group of users"));
    }
    text(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_or_symbolic() {
        for (text, expected) in [
            ("0600", 0o600),
            ("777", 0o777),
            ("0", 0),
            ("u=rw,g=,o=", 0o600),
            ("u=rw,go=r", 0o644),
            ("a=r,u=rw", 0o644),
            ("ug=rwx", 0o770),
        ] {
            assert_eq!(mode(text), Ok(expected), "{text}");
        }
        for wrong in ["", "1000", "8", "rw", "u+r", "u=q", "=r", "z=r", "u=r,", "-1", "0o600"] {
            assert!(mode(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn switches_and_texts_are_checked() {
        assert_eq!((switch("on"), switch("no")), (Ok(true), Ok(false)));
        assert!(switch("1").is_err() && switch("").is_err());
        assert_eq!(text("two words").as_deref(), Ok("two words"));
        assert!(text(&"a".repeat(41)).is_err() && text("a\nb").is_err());
        assert!(owner("").is_err() && owner("a b").is_err() && owner("oracle").is_ok());
    }
}
