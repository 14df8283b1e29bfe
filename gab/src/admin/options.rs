//! What options of `gabconfig` take, for the command and for `etc/gabtab` alike, and which of the
//! original's have no meaning here.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::Versions;
use crate::limits::{RECEIVE_QUEUE_MESSAGES, SEND_QUEUE_MESSAGES};

/// A limit of the clients' queues: `gabconfig -Q sendq:N` or `recvq:N`. It is that of registrations
/// from then on.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GabQueue {
    /// `recvq`: messages that may wait for a client to read them, 1 to 4096.
    Receive(usize),
    /// `sendq`: messages of a client that are accepted and not yet ordered, 1 to 4096.
    Send(usize),
}

/// Why a text is no [`GabQueue`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum QueueError {
    /// There is no such queue, or no colon.
    #[error("expected sendq:N or recvq:N")]
    Name,
    /// The value is out of its range.
    #[error("expected {name} from 1 to {most}")]
    Value {
        /// Whose.
        name: &'static str,
        /// The most that it takes.
        most: usize,
    },
}

impl FromStr for GabQueue {
    type Err = QueueError;

    fn from_str(text: &str) -> Result<Self, QueueError> {
        let (name, most, queue): (_, _, fn(usize) -> Self) = match text.split_once(':') {
            Some(("recvq", _)) => ("recvq", RECEIVE_QUEUE_MESSAGES, Self::Receive),
            Some(("sendq", _)) => ("sendq", SEND_QUEUE_MESSAGES, Self::Send),
            Some(_) | None => return Err(QueueError::Name),
        };
        let value = text.split_once(':').map_or("", |(_, value)| value);
        let digits = value.bytes().all(|byte| byte.is_ascii_digit());
        let limit = value.parse().ok().filter(|limit| digits && (1..=most).contains(limit));
        limit.map(queue).ok_or(QueueError::Value { name, most })
    }
}

impl GabQueue {
    /// Is it a value that [`GabQueue::from_str`] gives?
    pub fn is_valid(self) -> bool {
        match self {
            Self::Receive(limit) => (1..=RECEIVE_QUEUE_MESSAGES).contains(&limit),
            Self::Send(limit) => (1..=SEND_QUEUE_MESSAGES).contains(&limit),
        }
    }
}

/// The protocol version that `gabconfig -V` asks for: one that is spoken here.
///
/// # Errors
/// The text for people, if it is another.
pub fn protocol_version(text: &str) -> Result<u8, String> {
    let Versions { min, max } = Versions::OURS;
    let version = text.parse().ok().filter(|version| (min..=max).contains(version));
    version.ok_or_else(|| match min == max {
        true => format!("expected {max}, the only version spoken here"),
        false => format!("expected {min} to {max}, the versions spoken here"),
    })
}

/// An option of the original's `gabconfig` that has no meaning in user space. It is refused by name,
/// so that a script that relies on it learns what it lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Meaningless {
    /// Its letter.
    pub letter: char,
    /// It takes a value.
    pub takes_value: bool,
    /// Why it has none.
    pub why: &'static str,
}

impl Meaningless {
    const fn flag(letter: char, why: &'static str) -> Self {
        Self { letter, takes_value: false, why }
    }

    const fn value(letter: char, why: &'static str) -> Self {
        Self { letter, takes_value: true, why }
    }

    /// The option with this letter, if it has no meaning here.
    pub fn find(letter: char) -> Option<&'static Self> {
        MEANINGLESS.iter().find(|option| option.letter == letter)
    }
}

/// All of them (facts 2.3).
pub const MEANINGLESS: &[Meaningless] = &[
    Meaningless::flag('D', UNDOCUMENTED),
    Meaningless::flag('g', UNDOCUMENTED),
    Meaningless::value('h', "the interval of disk heartbeats, and there are none"),
    Meaningless::flag('i', UNDOCUMENTED),
    Meaningless::flag('K', "there is no logging daemon to be turned off; gabd writes its own log"),
    Meaningless::value('m', "how many disk heartbeats may be missed, and there are none"),
    Meaningless::flag('r', UNDOCUMENTED),
    Meaningless::flag('R', UNDOCUMENTED),
    Meaningless::flag('u', UNDOCUMENTED),
];

const UNDOCUMENTED: &str = "nobody outside knows what it does in the original";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_queues_are_read_as_they_are_written() {
        assert_eq!("sendq:128".parse(), Ok(GabQueue::Send(128)));
        assert_eq!("recvq:4096".parse(), Ok(GabQueue::Receive(4096)));
        for (wrong, why) in [
            ("", "expected sendq:N or recvq:N"),
            ("sendq", "expected sendq:N or recvq:N"),
            ("queue:1", "expected sendq:N or recvq:N"),
            ("sendq:0", "expected sendq from 1 to 4096"),
            ("sendq:+1", "expected sendq from 1 to 4096"),
            ("recvq:4097", "expected recvq from 1 to 4096"),
            ("recvq:", "expected recvq from 1 to 4096"),
            ("recvq:1:2", "expected recvq from 1 to 4096"),
        ] {
            assert_eq!(wrong.parse::<GabQueue>().unwrap_err().to_string(), why, "{wrong}");
        }
    }

    #[test]
    fn only_the_version_that_is_spoken_is_taken() {
        assert_eq!(protocol_version("1"), Ok(1));
        for other in ["0", "2", "", "one", "257"] {
            assert!(protocol_version(other).unwrap_err().contains("expected 1"), "{other}");
        }
    }
}
