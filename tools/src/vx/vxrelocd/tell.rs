//! Lines for people: on the standard output, and for a command that mails them.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use crate::common::{Failure, output};

/// Tells, and mails what it has told.
pub(super) struct Teller {
    command: Option<String>,
    /// What is to be mailed.
    text: String,
    /// Commands that have not ended yet: nobody waits for them.
    running: Vec<Child>,
}

impl Teller {
    pub(super) const fn new(command: Option<String>) -> Self {
        Self { command, text: String::new(), running: Vec::new() }
    }

    /// As it should be.
    ///
    /// # Errors
    /// If nobody reads it.
    pub(super) fn info(&mut self, lines: &[String]) -> Result<(), Failure> {
        self.tell("INFO", lines)
    }

    /// Somebody should care.
    ///
    /// # Errors
    /// If nobody reads it.
    pub(super) fn warn(&mut self, lines: &[String]) -> Result<(), Failure> {
        self.tell("WARNING", lines)
    }

    fn tell(&mut self, severity: &str, lines: &[String]) -> Result<(), Failure> {
        for line in lines {
            output::print(&format!("VxVM vxrelocd {severity} {line}\n"))?;
            if self.command.is_some() {
                self.text += &format!("{line}\n");
            }
        }
        Ok(())
    }

    /// Mails what was told since the last time.
    pub(super) fn mail(&mut self) {
        self.running.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        let Some(command) = self.command.as_ref().filter(|_| !self.text.is_empty()) else { return };
        let text = std::mem::take(&mut self.text);
        match send(command, &text) {
            Ok(child) => self.running.push(child),
            Err(error) => {
                output::complain(&format!("VxVM vxrelocd ERROR cannot mail: {error}"));
            }
        }
    }
}

fn send(command: &str, text: &str) -> std::io::Result<Child> {
    let mut child = Command::new("sh").arg("-c").arg(command).stdin(Stdio::piped()).spawn()?;
    // Some lines fit into a pipe, whether it is read or not.
    if let Some(mut input) = child.stdin.take() {
        let part = text.len().min(PIPE);
        let _ = input.write_all(&text.as_bytes()[..part]);
    }
    Ok(child)
}

/// What a pipe holds, so that a command that does not read keeps nobody waiting.
const PIPE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_mailed_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mail");
        let mut teller = Teller::new(Some(format!("cat >> '{}'", file.display())));
        teller.mail();
        teller.info(&["one".to_owned(), "two".to_owned()]).unwrap();
        teller.mail();
        teller.mail();
        teller.running.iter_mut().for_each(|child| drop(child.wait()));
        assert_eq!(std::fs::read_to_string(file).unwrap(), "one\ntwo\n");
        // Without a command nothing is kept.
        let mut silent = Teller::new(None);
        silent.warn(&["three".to_owned()]).unwrap();
        assert!(silent.text.is_empty());
    }
}
