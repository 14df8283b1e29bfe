//! The side of `lltping` that asks.

use std::path::Path;
use std::time::Duration;

use gab::CloseReason;
use gab::client::{LltEvent, LltPort};
use gab::echo::{self, Echo};
use gab::snapshot::NodeSnapshot;
use llt::io::Clock;
use llt::{Instant, NodeId};

use crate::common::Failure;

/// How to ask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Bytes of a question.
    pub(super) size: usize,
    /// With a checksum.
    pub(super) checked: bool,
    /// As a message; else as a datagram.
    pub(super) reliable: bool,
    /// How long to wait for an answer.
    pub(super) timeout: Duration,
}

/// One answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Answer {
    /// To which question, from 1.
    pub(super) number: u64,
    /// Its bytes.
    pub(super) size: usize,
    /// From the question to the answer.
    pub(super) time: Duration,
    /// The checksum of the question did not match there, or that of the answer here.
    pub(super) damaged: bool,
}

/// What came out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Outcome {
    /// By question; `None` where no answer came.
    pub(super) answers: Vec<Option<Answer>>,
    /// What gabd said of the last question that it could not send.
    pub(super) not_sent: Option<String>,
}

impl Outcome {
    /// Did the node answer, and nothing wrong?
    pub(super) fn is_alive(&self) -> bool {
        let mut answered = self.answered().peekable();
        answered.peek().is_some() && answered.all(|answer| !answer.damaged)
    }

    pub(super) fn answered(&self) -> impl Iterator<Item = &Answer> {
        self.answers.iter().flatten()
    }
}

/// Asks one node.
#[derive(Debug)]
pub(super) struct Asker {
    port: LltPort,
    node: NodeId,
    plan: Plan,
    /// Tells our questions from those of others on the same port.
    token: u64,
    number: u64,
    clock: Clock,
}

impl Asker {
    pub(super) fn open(
        root: &Path,
        port: llt::LltPort,
        node: &NodeSnapshot,
        plan: Plan,
    ) -> Result<Self, Failure> {
        let clock = Clock::new();
        // Two processes of one node have different ids, and one that had ours before asked earlier.
        let token = clock.wall_nanos() << 20 ^ u64::from(std::process::id());
        let node = NodeId::new(node.node).ok_or_else(|| Failure::operation("no such node"))?;
        Ok(Self { port: LltPort::open(root, port)?, node, plan, token, number: 0, clock })
    }

    /// Asks until an answer comes or the time is up: a node may just be starting, or the question
    /// be lost.
    pub(super) fn is_alive(&mut self) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::default();
        let end = self.clock.now() + self.plan.timeout;
        while outcome.answers.last().is_none_or(Option::is_none) && self.clock.now() < end {
            let wait = end.min(self.clock.now() + ASK_AGAIN);
            let answer = self.ask(wait, &mut outcome.not_sent)?;
            outcome.answers.push(answer);
        }
        Ok(outcome)
    }

    /// Asks `count` times, one question after the other. A node that does not answer at all is
    /// given up after the first.
    pub(super) fn measure(
        &mut self,
        count: u32,
        mut each: impl FnMut(&Answer) -> Result<(), Failure>,
    ) -> Result<Outcome, Failure> {
        let mut outcome = self.is_alive()?;
        // Those before the first answer only found the node.
        outcome.answers.retain(Option::is_some);
        if let Some(answer) = outcome.answered().next() {
            each(answer)?;
        } else {
            outcome.answers.push(None);
        }
        let silence = if self.plan.reliable {
            self.plan.timeout
        } else {
            self.plan.timeout.min(DATAGRAM_TIMEOUT)
        };
        while outcome.is_reached() && outcome.answers.len() < usize::try_from(count).unwrap_or(1) {
            let wait = self.clock.now() + silence;
            let answer = self.ask(wait, &mut outcome.not_sent)?;
            outcome.answers.push(answer);
            match &answer {
                Some(answer) => each(answer)?,
                // A message that is not answered means that the node is gone.
                None if self.plan.reliable => break,
                None => {}
            }
        }
        Ok(outcome)
    }

    /// Asks once and waits for the answer.
    fn ask(
        &mut self,
        until: Instant,
        not_sent: &mut Option<String>,
    ) -> Result<Option<Answer>, Failure> {
        let Plan { size, checked, reliable, .. } = self.plan;
        self.number += 1;
        let asked = self.clock.now();
        let question = echo::question(self.token, self.number, size, checked);
        self.port.send(self.node, &question, reliable)?;
        loop {
            let left = until.since(self.clock.now());
            if left.is_zero() {
                return Ok(None);
            }
            match self.port.recv(Some(left)) {
                None => return Ok(None),
                Some(LltEvent::Closed(CloseReason::Died | CloseReason::Stopped)) => {
                    return Err(Failure::NoDaemon("gabd has stopped".to_owned()));
                }
                Some(LltEvent::Closed(reason)) => return Err(Failure::because(&reason)),
                Some(LltEvent::NotSent { errno: ENOTCONN, text }) => *not_sent = Some(text),
                Some(LltEvent::NotSent { text, .. }) => return Err(Failure::operation(text)),
                Some(LltEvent::Message { from, payload, .. }) if from == self.node => {
                    let time = self.clock.now().since(asked);
                    let Ok(echo) = Echo::read(&payload) else { continue };
                    if echo.answer && (echo.token, echo.number) == (self.token, self.number) {
                        *not_sent = None;
                        let damaged = echo.damaged || !echo.is_whole(&payload);
                        let (number, size) = (self.number, payload.len());
                        return Ok(Some(Answer { number, size, time, damaged }));
                    }
                }
                Some(LltEvent::Message { .. }) => {}
            }
        }
    }
}

impl Outcome {
    fn is_reached(&self) -> bool {
        self.answered().next().is_some()
    }
}

const ENOTCONN: i32 = 107;
/// A question that finds nobody is repeated so often.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// A datagram that is not answered by then is lost.
const DATAGRAM_TIMEOUT: Duration = Duration::from_secs(1);
