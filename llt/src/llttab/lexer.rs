//! Words with their places. Both files, and `gabtab`, are lines of words.

use std::ops::Range;

/// One word of a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Word<'a> {
    /// The word itself.
    pub text: &'a str,
    /// Its first byte in the file.
    pub start: usize,
}

impl Word<'_> {
    /// Its place.
    pub fn span(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }
}

/// The lines that hold words, each as its words. `#` at the beginning of a word starts a comment.
pub fn words(text: &str) -> impl Iterator<Item = Vec<Word<'_>>> {
    let mut line_start = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let start = line_start;
        line_start += line.len();
        let found = words_of(line, start);
        (!found.is_empty()).then_some(found)
    })
}

fn words_of(line: &str, line_start: usize) -> Vec<Word<'_>> {
    let mut found = Vec::new();
    let mut rest = line;
    loop {
        let trimmed = rest.trim_start();
        let start = line_start + line.len() - trimmed.len();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            return found;
        }
        let len = trimmed.find(char::is_whitespace).unwrap_or(trimmed.len());
        found.push(Word { text: &trimmed[..len], start });
        rest = &trimmed[len..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_know_their_place() {
        let text = "# a comment\n\n set-node\tnorth  # here\r\nlink a#b\n";
        let lines: Vec<_> = words(text).collect();
        assert_eq!(lines.len(), 2);
        for word in lines.iter().flatten() {
            assert_eq!(&text[word.span()], word.text);
        }
        let texts: Vec<Vec<&str>> =
            lines.iter().map(|line| line.iter().map(|word| word.text).collect()).collect();
        assert_eq!(texts, [["set-node", "north"], ["link", "a#b"]]);
    }
}
