//! `-e pattern`: which records are listed. Of the original's expressions the simple ones: a field, a
//! comparison, a value.

use std::cmp::Ordering;
use std::str::FromStr;

use cvm::model::size;

use super::fields::{field, known};
use crate::vx::view::{Record, View};

/// `[kind_]field operator value`
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pattern {
    /// Records of this kind only, by the word of listings.
    kind: Option<&'static str>,
    field: &'static str,
    operator: Operator,
    value: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operator {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    NotEqual,
}

/// Longer ones first.
const OPERATORS: [(&str, Operator); 7] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
];

const EXPECTED: &str = "only one comparison is understood: FIELD, one of = != < <= > >=, and a value, \
                        such as v_kstate=ENABLED or len>=100m";

impl Pattern {
    /// Does it hold of a record? Records without the field are none of its.
    pub(super) fn holds(&self, view: &View<'_>, record: Record<'_>) -> bool {
        if self.kind.is_some_and(|kind| kind != record.word()) {
            return false;
        }
        let Some(value) = field(view, record, self.field) else { return false };
        let order = match (size::parse(&value), size::parse(&self.value)) {
            (Ok(value), Ok(wanted)) => Some(value.cmp(&wanted)),
            _ => None,
        };
        match self.operator {
            Operator::Equal => value == self.value || order == Some(Ordering::Equal),
            Operator::Greater => order == Some(Ordering::Greater),
            Operator::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
            Operator::Less => order == Some(Ordering::Less),
            Operator::LessOrEqual => order.is_some_and(Ordering::is_le),
            Operator::NotEqual => value != self.value && order != Some(Ordering::Equal),
        }
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let text = text.trim();
        let end = text.find(|c| !is_name(c)).ok_or(EXPECTED)?;
        let (name, rest) = text.split_at(end);
        let rest = rest.trim_start();
        let found = OPERATORS.iter().find_map(|(sign, it)| Some((*it, rest.strip_prefix(sign)?)));
        let (operator, value) = found.filter(|_| !name.is_empty()).ok_or(EXPECTED)?;
        let value = value.trim();
        let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let is_plain = |c: char| is_name(c) || matches!(c, '.' | '-' | '+' | ',' | '/' | ':');
        let value = match quoted {
            Some(value) if !value.contains('"') => value,
            None if !value.is_empty() && value.chars().all(is_plain) => value,
            _ => return Err(EXPECTED.to_owned()),
        };
        let is_order = !matches!(operator, Operator::Equal | Operator::NotEqual);
        if is_order && let Err(error) = size::parse(value) {
            return Err(error.to_string());
        }
        let (kind, field) = match (known(name), name.split_once('_')) {
            (Ok(field), _) => (None, field),
            (Err(_), Some((kind @ ("dg" | "dm" | "pl" | "sd" | "sv" | "v"), field))) => {
                let kinds = ["dg", "dm", "pl", "sd", "sv", "v"];
                (kinds.into_iter().find(|it| *it == kind), known(field)?)
            }
            (Err(error), _) => return Err(error),
        };
        Ok(Self { kind, field, operator, value: value.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_are_read() {
        let pattern = |kind, field, operator, value: &str| {
            Ok(Pattern { kind, field, operator, value: value.to_owned() })
        };
        for (text, expected) in [
            ("v_kstate=ENABLED", pattern(Some("v"), "kstate", Operator::Equal, "ENABLED")),
            ("kstate == ENABLED", pattern(None, "kstate", Operator::Equal, "ENABLED")),
            ("use_type!=\"gen\"", pattern(None, "use_type", Operator::NotEqual, "gen")),
            ("pl_len >= 10m", pattern(Some("pl"), "len", Operator::GreaterOrEqual, "10m")),
            ("dm_publen<5", pattern(Some("dm"), "publen", Operator::Less, "5")),
        ] {
            assert_eq!(text.parse::<Pattern>(), expected, "{text}");
        }
        for wrong in [
            "",
            "kstate",
            "=ENABLED",
            "kstate=",
            "colour=red",
            "x_len=5",
            "v_colour=red",
            "len>ENABLED",
            "kstate=ENABLED && len>5",
            "!(kstate=ENABLED)",
            "kstate=\"ENABLED",
            "aslist.as=\"a\"",
        ] {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong}");
        }
    }
}
