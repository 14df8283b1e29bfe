//! What timers and limits have in common: `name:value`.

use std::fmt;

use crate::config::{Flow, Timers};
use crate::llttab::texts;

/// What one `name:value` did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Applied {
    /// Accepted, and without a meaning here: nothing was set.
    Ignored(&'static str),
    /// The setting of this name was set and is shown; nothing depends on it.
    Idle(&'static str),
    /// The setting of this name was set.
    Set(&'static str),
}

impl Applied {
    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ignored(name) | Self::Idle(name) | Self::Set(name) => name,
        }
    }

    /// What is worth a word about it.
    pub fn warning(self) -> Option<String> {
        match self {
            Self::Ignored(name) => Some(texts::setting_ignored(name)),
            Self::Idle(name) => Some(texts::setting_idle(name)),
            Self::Set(_) => None,
        }
    }
}

/// What was expected in place of a `name:value`. Nothing was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SettingError {
    /// A duration.
    Duration {
        /// 0 would have been one.
        zero: bool,
    },
    /// A name, a colon and a value.
    Form,
    /// The name of a limit.
    Limit,
    /// A number.
    Number {
        /// Of what.
        unit: &'static str,
        /// From.
        least: usize,
        /// To.
        most: usize,
    },
    /// The name of a timer.
    Timer,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Duration { zero: false } => texts::duration_expected(),
            Self::Duration { zero: true } => texts::duration_or_never_expected(),
            Self::Form => texts::setting_expected(),
            Self::Limit => texts::limit_unknown(Flow::NAMES.join(", ")),
            Self::Number { unit, least, most } => texts::limit_expected(unit, least, most),
            Self::Timer => texts::timer_unknown(Timers::NAMES.join(", ")),
        };
        f.write_str(&text)
    }
}

impl std::error::Error for SettingError {}
