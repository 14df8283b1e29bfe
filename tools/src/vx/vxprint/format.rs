//! `-F [type:]format`: a line of one's own for each record.

use std::str::FromStr;

use super::fields::{field, known};
use crate::vx::view::{Record, View};

/// What `-F` says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Format {
    /// The kinds of records that it is for, by the words of listings; none are all.
    kinds: Vec<&'static str>,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Text(String),
    Field {
        name: &'static str,
        /// At least so wide.
        width: usize,
        /// With the blanks behind it.
        left: bool,
    },
}

/// Words for the kinds, and what else they are called.
const KINDS: [(&str, &str); 7] = [
    ("dg", "dg"),
    ("dm", "dm"),
    ("pl", "pl"),
    ("plex", "pl"),
    ("sd", "sd"),
    ("v", "v"),
    ("vol", "v"),
];

impl Format {
    /// The line for a record; none if it is for others.
    pub(super) fn line(&self, view: &View<'_>, record: Record<'_>) -> Option<String> {
        let word = if record.word() == "sv" { "sd" } else { record.word() };
        if !self.kinds.is_empty() && !self.kinds.contains(&word) {
            return None;
        }
        let mut line = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => line += text,
                Part::Field { name, width, left } => {
                    let value = field(view, record, name).unwrap_or_else(|| "-".to_owned());
                    line += &if *left {
                        format!("{value:<width$}")
                    } else {
                        format!("{value:>width$}")
                    };
                }
            }
        }
        Some(line + "\n")
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut format = Self { kinds: Vec::new(), parts: Vec::new() };
        let mut rest = text;
        let kind = |word: &str| KINDS.iter().find(|(kind, _)| *kind == word).map(|(_, kind)| *kind);
        if let Some((head, line)) = text.split_once(':')
            && let Some(kinds) = head.split(',').map(kind).collect::<Option<Vec<_>>>()
        {
            (format.kinds, rest) = (kinds, line);
        }
        while let Some(letter) = rest.chars().next() {
            rest = &rest[letter.len_utf8()..];
            match letter {
                '%' => rest = format.percent(rest)?,
                '\\' => {
                    let next = rest.chars().next();
                    format.text(match next {
                        Some('n') => '\n',
                        Some('t') => '\t',
                        Some('\\') => '\\',
                        _ => return Err("after \\ comes n, t or \\".to_owned()),
                    });
                    rest = &rest[1..];
                }
                letter => format.text(letter),
            }
        }
        if format.parts.is_empty() {
            return Err("a format such as \"%name %len\" was expected".to_owned());
        }
        Ok(format)
    }
}

impl Format {
    fn text(&mut self, letter: char) {
        if let Some(Part::Text(text)) = self.parts.last_mut() {
            text.push(letter);
        } else {
            self.parts.push(Part::Text(letter.to_string()));
        }
    }

    /// What follows a `%`: another one, a field, or `{field:width}`. Returns what follows that.
    fn percent<'t>(&mut self, rest: &'t str) -> Result<&'t str, String> {
        if let Some(rest) = rest.strip_prefix('%') {
            self.text('%');
            return Ok(rest);
        }
        if let Some(inner) = rest.strip_prefix('{') {
            let (inner, rest) = inner.split_once('}').ok_or("%{ without its }")?;
            let (name, width) = inner.split_once(':').unwrap_or((inner, "0"));
            let left = width.starts_with('-');
            let digits = width.strip_prefix('-').unwrap_or(width);
            let number = digits.parse().ok().filter(|width| *width <= 256);
            let width =
                number.ok_or_else(|| format!("\"{width}\" is no width from -256 to 256"))?;
            self.parts.push(Part::Field { name: known(name)?, width, left });
            return Ok(rest);
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        if end == 0 {
            return Err("after % comes the name of a field".to_owned());
        }
        self.parts.push(Part::Field { name: known(&rest[..end])?, width: 0, left: true });
        Ok(&rest[end..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read() {
        let field = |name, width, left| Part::Field { name, width, left };
        let text = |text: &str| Part::Text(text.to_owned());
        for (line, kinds, parts) in [
            ("%name", vec![], vec![field("name", 0, true)]),
            (
                "v,plex:%name=%len",
                vec!["v", "pl"],
                vec![field("name", 0, true), text("="), field("len", 0, true)],
            ),
            ("a:%{len:9}|%%\\t", vec![], vec![text("a:"), field("len", 9, false), text("|%\t")]),
            ("%{name:-9}", vec![], vec![field("name", 9, true)]),
        ] {
            assert_eq!(line.parse(), Ok(Format { kinds, parts }), "{line}");
        }
        for wrong in
            ["", "%", "% name", "%colour", "%{name", "%{name:x}", "%{name:999}", "v:", "\\x"]
        {
            assert!(wrong.parse::<Format>().is_err(), "{wrong}");
        }
    }
}
