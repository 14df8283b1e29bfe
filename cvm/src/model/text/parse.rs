//! From text to descriptions; what the fields mean is not known here.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use crate::model::ids::Name;

/// A record as it is described. What stands in the text without quotes is not copied: a
/// configuration has thousands of fields.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Description<'a> {
    /// The word that it begins with: `dg`, `dm`, `sd`, `plex`, `vol`.
    pub kind: Cow<'a, str>,
    /// Its name.
    pub name: Name,
    /// The line that it begins in, from 1.
    pub line: usize,
    /// Its fields in the order in which they stand there.
    pub fields: Vec<Field<'a>>,
}

/// `key=value`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Field<'a> {
    /// Before the sign.
    pub key: Cow<'a, str>,
    /// After it, without quotes.
    pub value: Cow<'a, str>,
    /// The line that it stands in, from 1.
    pub line: usize,
}

/// Text that is no description, or one of something impossible.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct TextError {
    /// From 1.
    pub line: usize,
    /// What is wrong, and what was expected.
    pub what: String,
}

impl TextError {
    pub(super) fn new(line: usize, what: impl Into<String>) -> Self {
        Self { line, what: what.into() }
    }
}

impl<'a> Description<'a> {
    /// Takes the field with this key out; that it stands there twice is an error.
    pub fn take(&mut self, key: &str) -> Result<Option<Field<'a>>, TextError> {
        let Some(place) = self.fields.iter().position(|field| field.key == key) else {
            return Ok(None);
        };
        let field = self.fields.remove(place);
        match self.fields.iter().find(|other| other.key == key) {
            Some(other) => Err(TextError::new(other.line, format!("{key} for the second time"))),
            None => Ok(Some(field)),
        }
    }

    /// The value of a field, read as `T`, or its default if it is not there.
    pub fn value<T>(&mut self, key: &str, default: T) -> Result<T, TextError>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.take(key)?.map_or(Ok(default), |field| field.read())
    }

    /// The same of a field that must be there.
    pub fn required<T>(&mut self, key: &str) -> Result<T, TextError>
    where
        T: FromStr,
        T::Err: Display,
    {
        let field = self.take(key)?;
        let missing =
            || TextError::new(self.line, format!("{} {} has no {key}", self.kind, self.name));
        field.ok_or_else(missing)?.read()
    }

    /// `on` and `off`; not there is off.
    pub fn flag(&mut self, key: &str) -> Result<bool, TextError> {
        let Some(field) = self.take(key)? else { return Ok(false) };
        match &*field.value {
            "on" | "yes" | "true" => Ok(true),
            "off" | "no" | "false" => Ok(false),
            _ => Err(field.wrong("is neither on nor off")),
        }
    }

    /// Nobody asked for what is left.
    pub fn end(&self) -> Result<(), TextError> {
        self.fields.first().map_or(Ok(()), |field| {
            let what = format!("{} is no field of {} {}", field.key, self.kind, self.name);
            Err(TextError::new(field.line, what))
        })
    }
}

impl Field<'_> {
    /// Its value as `T`.
    pub fn read<T>(&self) -> Result<T, TextError>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.value.parse().map_err(|error: T::Err| {
            TextError::new(self.line, format!("{}=\"{}\": {error}", self.key, self.value))
        })
    }

    /// The error that the value `is` something.
    pub fn wrong(&self, is: &str) -> TextError {
        TextError::new(self.line, format!("{}=\"{}\" {is}", self.key, self.value))
    }
}

/// Reads all descriptions of a text.
pub fn parse(text: &str) -> Result<Vec<Description<'_>>, TextError> {
    let mut records: Vec<Description<'_>> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let mut words = Words { rest: line, line: number };
        if !line.starts_with([' ', '\t'])
            && let Some(kind) = words.next()?
        {
            let Some(name) = words.next()? else {
                return Err(TextError::new(number, format!("{kind} without a name")));
            };
            let name = Name::new(&name).map_err(|e| TextError::new(number, e.to_string()))?;
            records.push(Description { kind, name, line: number, fields: Vec::new() });
        }
        while let Some(word) = words.next()? {
            let Some((key, value)) = split(&word) else {
                return Err(TextError::new(number, format!("\"{word}\" is not field=value")));
            };
            let Some(record) = records.last_mut() else {
                return Err(TextError::new(number, "a field before any record"));
            };
            record.fields.push(Field { key, value, line: number });
        }
    }
    Ok(records)
}

/// `key=value`
fn split<'a>(word: &Cow<'a, str>) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
    Some(match word {
        Cow::Borrowed(word) => {
            let (key, value) = word.split_once('=')?;
            (Cow::Borrowed(key), Cow::Borrowed(value))
        }
        Cow::Owned(word) => {
            let (key, value) = word.split_once('=')?;
            (Cow::Owned(key.to_owned()), Cow::Owned(value.to_owned()))
        }
    })
}

/// The words of a line; quotes group what is between them, a `#` ends the line.
struct Words<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Result<Option<Cow<'a, str>>, TextError> {
        self.rest = self.rest.trim_start();
        if self.rest.is_empty() || self.rest.starts_with('#') {
            self.rest = "";
            return Ok(None);
        }
        // Most words are as they stand there.
        let special = |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\\');
        let plain = self.rest.find(special).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(plain);
        if !rest.starts_with(['"', '\\']) {
            self.rest = rest;
            return Ok(Some(Cow::Borrowed(word)));
        }
        let (mut word, mut quoted) = (String::new(), false);
        let mut letters = self.rest.char_indices();
        let end = loop {
            match letters.next() {
                None if quoted => return Err(TextError::new(self.line, "a quote without its end")),
                None => break self.rest.len(),
                Some((_, '"')) => quoted = !quoted,
                Some((_, '\\')) => match letters.next() {
                    Some((_, letter @ ('"' | '\\'))) => word.push(letter),
                    _ => {
                        return Err(TextError::new(
                            self.line,
                            "a backslash before neither \" nor \\",
                        ));
                    }
                },
                Some((at, letter)) if letter.is_whitespace() && !quoted => break at,
                Some((_, letter)) => word.push(letter),
            }
        };
        self.rest = &self.rest[end..];
        Ok(Some(Cow::Owned(word)))
    }
}
