//! How a command fails, and the exit code it then has (interfaces.md 1).

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

use gab::client::{
    AdminFailure, ConnectError, LltOpenError, LltSendError, RegisterError, TraceError, WatchError,
};

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The reader of our output has gone: no failure, there is nothing left to do.
    #[error("the output was closed")]
    ClosedOutput,
    /// gabd is not running: exit code 3.
    #[error("{0}")]
    NoDaemon(String),
    /// The operation failed: exit code 1.
    #[error("{text}")]
    Operation {
        /// The original's message id, where it has one.
        id: Option<String>,
        /// For people.
        text: String,
    },
    /// As [`Operation`](Self::Operation), with a report over several lines.
    #[error("{0}")]
    Report(String),
    /// The answer was printed, and it is "not running": exit code 3.
    #[error("not running")]
    Said,
    /// The command line asks for something impossible: exit code 2.
    #[error("{0}")]
    Usage(String),
}

impl Failure {
    /// An operation that failed, with no message id.
    pub fn operation(text: impl Into<String>) -> Self {
        Self::Operation { id: None, text: text.into() }
    }

    /// An error with all its causes.
    pub fn because(error: &dyn Error) -> Self {
        Self::operation(with_causes(error))
    }
}

impl From<AdminFailure> for Failure {
    fn from(failure: AdminFailure) -> Self {
        match failure {
            AdminFailure::Refused(error) => Self::Operation { id: error.id, text: error.text },
            failure if failure.is_no_daemon() => Self::NoDaemon(with_causes(&failure)),
            failure => Self::because(&failure),
        }
    }
}

impl From<RegisterError> for Failure {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Connect(ConnectError::NoDaemon { .. }) => {
                Self::NoDaemon(with_causes(&error))
            }
            error => Self::because(&error),
        }
    }
}

impl From<WatchError> for Failure {
    fn from(error: WatchError) -> Self {
        match error {
            WatchError::Connect(ConnectError::NoDaemon { .. }) => {
                Self::NoDaemon(with_causes(&error))
            }
            error => Self::because(&error),
        }
    }
}

impl From<LltOpenError> for Failure {
    fn from(error: LltOpenError) -> Self {
        match error {
            LltOpenError::Connect(ConnectError::NoDaemon { .. }) => {
                Self::NoDaemon(with_causes(&error))
            }
            error => Self::because(&error),
        }
    }
}

impl From<LltSendError> for Failure {
    fn from(error: LltSendError) -> Self {
        Self::because(&error)
    }
}

impl From<TraceError> for Failure {
    fn from(error: TraceError) -> Self {
        match error {
            TraceError::Connect(ConnectError::NoDaemon { .. }) => {
                Self::NoDaemon(with_causes(&error))
            }
            error => Self::because(&error),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self::ClosedOutput
        } else {
            Self::because(&error)
        }
    }
}

/// Says on stderr what went wrong, as the original words it, and gives the exit code. `who` is the
/// layer and the command: `GAB gabconfig`.
pub fn exit(who: &str, result: Result<(), Failure>) -> ExitCode {
    let Err(failure) = result else {
        return ExitCode::SUCCESS;
    };
    // When stderr is closed nobody wants to know; the exit code still tells.
    match failure {
        Failure::ClosedOutput => return ExitCode::SUCCESS,
        Failure::NoDaemon(text) => {
            super::output::complain(&format!("{who} ERROR {text}"));
            return ExitCode::from(NO_DAEMON);
        }
        Failure::Operation { id, text } => {
            let id = id.map(|id| id + " ").unwrap_or_default();
            super::output::complain(&format!("{who} ERROR {id}{text}"));
        }
        Failure::Report(report) => super::output::complain(report.trim_end()),
        Failure::Said => return ExitCode::from(NO_DAEMON),
        Failure::Usage(text) => {
            super::output::complain(&format!("{who} ERROR {text}"));
            return ExitCode::from(USAGE);
        }
    }
    ExitCode::FAILURE
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let why = error.to_string();
        // Some name their cause themselves.
        if !text.contains(&why) {
            let _ = write!(text, ": {why}");
        }
        cause = error.source();
    }
    text
}

const USAGE: u8 = 2;
const NO_DAEMON: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_the_error_they_explain() {
        let failure = AdminFailure::from(ConnectError::Io {
            path: "/r/run/gab.sock".into(),
            source: std::io::Error::from_raw_os_error(13),
        });
        assert_eq!(
            Failure::from(failure).to_string(),
            "cannot connect to /r/run/gab.sock: Permission denied (os error 13)"
        );
    }

    #[test]
    fn a_cause_that_the_error_names_is_not_told_again() {
        let error = llt::io::keyfile::KeyFileError::Write {
            path: "/r/etc/muster.key".into(),
            source: std::io::Error::from_raw_os_error(28),
        };
        let text = "cannot write /r/etc/muster.key: No space left on device (os error 28)";
        assert_eq!(Failure::because(&error).to_string(), text);
    }

    #[test]
    fn a_missing_daemon_has_an_exit_code_of_its_own() {
        let missing = || ConnectError::NoDaemon { path: "/run/gab.sock".into() };
        for failure in [
            Failure::from(AdminFailure::from(missing())),
            Failure::from(RegisterError::from(missing())),
            Failure::from(LltOpenError::from(missing())),
            Failure::from(TraceError::from(missing())),
            Failure::from(WatchError::from(missing())),
        ] {
            assert!(matches!(failure, Failure::NoDaemon(_)), "{failure:?}");
            assert_eq!(exit("test", Err(failure)), ExitCode::from(3));
        }
    }

    #[test]
    fn a_closed_pipe_is_success() {
        let closed = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(exit("test", Err(closed.into())), ExitCode::SUCCESS);
    }
}
