//! Lengths and offsets on the command line and in descriptions (facts 1.1).

use std::num::IntErrorKind;

/// Sectors of 512 bytes: the unit of every length and offset here.
pub type Sectors = u64;

/// Bytes of a [`Sectors`] unit.
pub const SECTOR: u64 = 512;

/// Nothing is longer: 8 EiB fit the bytes of a signed offset.
pub const LENGTH_MAX: Sectors = (1 << 63) / SECTOR;

/// A text that is no length.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SizeError {
    /// Neither a number nor a number with a unit.
    #[error("\"{0}\" is not a length such as 2048, 100m or 1g (units s, b, k, m, g, t)")]
    Malformed(String),
    /// More than fits.
    #[error("\"{0}\" is longer than {LENGTH_MAX} sectors")]
    TooLong(String),
}

/// Reads a length: digits, then `s` or `b` (sectors, also without a unit), `k`, `m`, `g` or `t`.
pub fn parse(text: &str) -> Result<Sectors, SizeError> {
    let malformed = || SizeError::Malformed(text.to_owned());
    let (number, shift) = match text.bytes().last().map(|byte| byte.to_ascii_lowercase()) {
        Some(b's' | b'b') => (&text[..text.len() - 1], 0),
        Some(b'k') => (&text[..text.len() - 1], 1),
        Some(b'm') => (&text[..text.len() - 1], 11),
        Some(b'g') => (&text[..text.len() - 1], 21),
        Some(b't') => (&text[..text.len() - 1], 31),
        Some(_) => (text, 0),
        None => return Err(malformed()),
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed());
    }
    match number.parse::<u64>() {
        Ok(number) if number <= LENGTH_MAX >> shift => Ok(number << shift),
        Ok(_) => Err(SizeError::TooLong(text.to_owned())),
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => {
            Err(SizeError::TooLong(text.to_owned()))
        }
        Err(_) => Err(malformed()),
    }
}

/// `value` rounded up to a multiple of `unit`, which is not zero.
pub const fn round_up(value: Sectors, unit: Sectors) -> Sectors {
    value.div_ceil(unit) * unit
}

/// `value` rounded down to a multiple of `unit`, which is not zero.
pub const fn round_down(value: Sectors, unit: Sectors) -> Sectors {
    value / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_units() {
        for (text, sectors) in [
            ("2048", 2048),
            ("7s", 7),
            ("7b", 7),
            ("1k", 2),
            ("1m", 2048),
            ("1G", 1 << 21),
            ("1t", 1 << 31),
            ("0", 0),
        ] {
            assert_eq!(parse(text), Ok(sectors), "{text}");
        }
        for wrong in ["", "g", "-1", "+1", "1.5g", "1gb", "1 g", "x"] {
            assert!(matches!(parse(wrong), Err(SizeError::Malformed(_))), "{wrong}");
        }
        for long in ["8388609t", "99999999999999999999", "18014398509481985"] {
            assert!(matches!(parse(long), Err(SizeError::TooLong(_))), "{long}");
        }
    }
}
