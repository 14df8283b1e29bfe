//! Writing to stdout and stderr without dying of a closed pipe.

use std::io::Write;

use serde::Serialize;

use super::Failure;

/// Prints text, which brings its own line ends.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Prints a value as JSON, indented, with a line end.
pub fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::because(&error))?;
    print(&(text + "\n"))
}

/// Prints a line on stderr; if nobody reads it there is nobody to tell.
pub fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
