//! What became of requests, kept in the configuration so that a utility whose connection broke can
//! still ask (`vxdctl transstate`).

use std::fmt;
use std::str::FromStr;

use llt::{Id, Incarnation, NodeId};
use serde::{Deserialize, Serialize};

use crate::model::{ParseIdError, Tid};

/// How many are kept.
pub const OUTCOMES_MAX: usize = 64;

/// The identity of a request: the node where it was made, and its number there.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(into = "String", try_from = "String")]
pub struct RequestId {
    /// The node, in the life in which it made the request.
    pub origin: Id,
    /// One more with each request of that life; 0 is none of a utility.
    pub number: u64,
}

impl RequestId {
    /// Somebody asks what became of it. Nobody does of what a vxiod has made itself.
    pub const fn is_of_a_utility(&self) -> bool {
        self.number != 0
    }
}

impl fmt::Display for RequestId {
    /// `<node>.<incarnation in hex>.<number>`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.origin.node, self.origin.incarnation, self.number)
    }
}

impl FromStr for RequestId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let parse = || {
            let mut parts = text.split('.');
            let node = NodeId::new(parts.next()?.parse().ok()?)?;
            let incarnation = u64::from_str_radix(parts.next()?, 16).ok().map(Incarnation)?;
            let number = parts.next()?.parse().ok()?;
            let id = Self { origin: Id { node, incarnation }, number };
            // In the one way that it is printed: no sign, no zero in front.
            Some(id).filter(|id| id.to_string() == text)
        };
        let expected = "a request id like 3.5f2a.17";
        parse().ok_or_else(|| ParseIdError { text: text.to_owned(), expected })
    }
}

impl TryFrom<String> for RequestId {
    type Error = ParseIdError;

    fn try_from(text: String) -> Result<Self, ParseIdError> {
        text.parse()
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> Self {
        id.to_string()
    }
}

/// What became of a request that was loaded.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Decision {
    /// Nothing.
    Abandoned,
    /// It is in the configuration.
    Committed,
}

/// A request and what became of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// Which one.
    pub request: RequestId,
    /// What became of it.
    pub decision: Decision,
    /// The number of its change.
    pub tid: Tid,
}

/// The last [`OUTCOMES_MAX`] outcomes, the oldest first, one of each request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outcomes(Vec<Outcome>);

impl Outcomes {
    /// Adds the newest; the oldest makes room. What was known of the same request is forgotten.
    pub fn note(&mut self, outcome: Outcome) {
        if !outcome.request.is_of_a_utility() {
            return;
        }
        self.0.retain(|known| known.request != outcome.request);
        if self.0.len() >= OUTCOMES_MAX {
            self.0.remove(0);
        }
        self.0.push(outcome);
    }

    /// What became of a request; `None` if it is not known, or not any more.
    pub fn of(&self, request: RequestId) -> Option<Outcome> {
        self.0.iter().find(|outcome| outcome.request == request).copied()
    }

    /// All of them, the oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Outcome> {
        self.0.iter()
    }
}

impl FromIterator<Outcome> for Outcomes {
    fn from_iter<T: IntoIterator<Item = Outcome>>(outcomes: T) -> Self {
        let mut all = Self::default();
        outcomes.into_iter().for_each(|outcome| all.note(outcome));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(number: u64, decision: Decision) -> Outcome {
        let origin = Id { node: NodeId::new(3).unwrap(), incarnation: Incarnation(0x5f2a) };
        Outcome { request: RequestId { origin, number }, decision, tid: Tid(number) }
    }

    #[test]
    fn the_last_64_are_kept() {
        let mut outcomes: Outcomes = (0..70).map(|n| outcome(n, Decision::Committed)).collect();
        assert_eq!(outcomes.iter().len(), OUTCOMES_MAX);
        assert_eq!(outcomes.of(outcome(5, Decision::Committed).request), None);
        outcomes.note(outcome(6, Decision::Abandoned));
        assert_eq!(outcomes.iter().len(), OUTCOMES_MAX);
        let found = outcomes.of(outcome(6, Decision::Committed).request);
        assert_eq!(found.map(|outcome| outcome.decision), Some(Decision::Abandoned));
    }

    #[test]
    fn a_request_id_is_read_as_it_is_printed() {
        let id = outcome(17, Decision::Committed).request;
        assert_eq!(id.to_string(), "3.5f2a.17");
        assert_eq!("3.5f2a.17".parse(), Ok(id));
        for wrong in ["", "3.5f2a", "3.5f2a.17.1", "128.1.1", "+3.1.1", "3.5F2A.17", "3.1.-1"] {
            assert!(wrong.parse::<RequestId>().is_err(), "{wrong}");
        }
    }
}
