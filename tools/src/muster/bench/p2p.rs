//! The client's part in the workload `p2p`: one node sends to one other, reliably and in order.
//!
//! As fast as it goes, or the next message when the answer to the one before has come. The end mark
//! carries how many there were, and the receiver answers it: so both know that nothing was lost.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use gab::client::Port;
use gab::event::SendError;
use gab::{ClientEvent, Delivery};
use hdrhistogram::Histogram;
use llt::{Instant, NodeId};

use super::super::wait;
use super::job::{Job, Outcome, Send};

/// In the first byte of a message.
const DATA: u8 = 3;
const END: u8 = 4;
const ANSWER: u8 = 5;

/// Bytes of every message that are not filler.
const HEADER: usize = 32;
/// A round in which nothing comes for so long has failed.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Between two looks at the clock.
const PATIENCE: Duration = Duration::from_millis(100);

/// Does this client's part of one round. Nodes that neither send nor receive have none.
///
/// # Errors
/// If a message is damaged, lost, comes twice or out of order, or the port closes.
pub(super) fn run(port: &mut Port, job: &Job) -> Result<Outcome> {
    let Send::To { node: to, flood } = job.send else { bail!("{:?} is not p2p", job.send) };
    let from = *job.senders.first().context("somebody sends")?;
    let own = port.node().get();
    if own != from && own != to {
        return Ok(Outcome::default());
    }
    let peer = NodeId::new(if own == from { to } else { from }).context("it is a node id")?;
    let mut round = Round {
        port,
        job,
        flood,
        peer,
        // From 100 ns to a minute with three digits.
        latencies: Histogram::new_with_bounds(100, 60_000_000_000, 3)?,
        outcome: Outcome::default(),
        answered: 0,
        has_room: false,
        over: false,
        payload: vec![0; usize::try_from(job.size)?],
    };
    if own == from { round.send_all() } else { round.receive_all() }?;
    let latencies = round.latencies.iter_recorded();
    round.outcome.latencies =
        latencies.map(|step| (step.value_iterated_to(), step.count_at_value())).collect();
    Ok(round.outcome)
}

/// Checks what both ends saw against each other.
///
/// # Errors
/// If what was received is not what was sent.
pub(super) fn verify(job: &Job, outcomes: &BTreeMap<u8, Outcome>) -> Result<()> {
    let Send::To { node: to, .. } = job.send else { bail!("{:?} is not p2p", job.send) };
    let from = *job.senders.first().context("somebody sends")?;
    let of = |node: u8| outcomes.get(&node).with_context(|| format!("node {node} said nothing"));
    let (sent, received) = (of(from)?.sent, of(to)?.delivered);
    ensure!(sent == received, "node {from} sent {sent} messages, node {to} got {received}");
    Ok(())
}

/// One round under way, at its sender or its receiver.
struct Round<'a> {
    port: &'a mut Port,
    job: &'a Job,
    flood: bool,
    peer: NodeId,
    latencies: Histogram<u64>,
    outcome: Outcome,
    /// Own messages that were answered; only if each is.
    answered: u64,
    /// The sender stopped before it was refused.
    has_room: bool,
    /// The end mark was received, or its answer.
    over: bool,
    payload: Vec<u8>,
}

impl Round<'_> {
    fn send_all(&mut self) -> Result<()> {
        let mut heard = wait::now();
        let end = heard + Duration::from_millis(self.job.time_ms);
        let mut ended = false;
        while !self.over {
            let before = self.outcome.sent;
            if !ended {
                ended = self.fill_window(end)?;
            }
            if self.outcome.sent > before {
                heard = wait::now();
            }
            // Room to send counts, too. Who has room left comes back for the next message at once.
            let patience = if self.has_room { Duration::ZERO } else { PATIENCE };
            if self.port.wait(Some(patience)) {
                heard = wait::now();
            }
            self.receive()?;
            ensure!(wait::now().since(heard) < SILENCE_MAX, "nothing was taken for 30 s");
        }
        Ok(())
    }

    fn receive_all(&mut self) -> Result<()> {
        let mut heard = wait::now();
        while !self.over {
            if self.port.wait(Some(PATIENCE)) {
                heard = wait::now();
            }
            self.receive()?;
            ensure!(wait::now().since(heard) < SILENCE_MAX, "nothing was delivered for 30 s");
        }
        Ok(())
    }

    /// Sends as long as there is room, or until there is an answer to wait for; after `end`, the end
    /// mark. True if that is sent.
    fn fill_window(&mut self, end: Instant) -> Result<bool> {
        let now = wait::now();
        let (end, now) = (now >= end, now.as_nanos());
        let mut ended = false;
        self.has_room = false;
        while !ended && (self.flood || self.outcome.sent == self.answered) {
            self.emit(if end { END } else { DATA }, self.outcome.sent, now);
            match self.port.try_send_to(self.peer, &self.payload, self.flood && !end) {
                Ok(()) if end => ended = true,
                Ok(()) => {
                    self.outcome.first_send_ns.get_or_insert(now);
                    self.outcome.sent += 1;
                }
                Err(SendError::WouldBlock) => break,
                Err(error) => return Err(error.into()),
            }
            // A flood that never blocks has an end all the same.
            if self.flood && self.outcome.sent.is_multiple_of(256) {
                self.has_room = !ended;
                break;
            }
        }
        self.port.flush()?;
        Ok(ended)
    }

    fn emit(&mut self, kind: u8, number: u64, stamp: u64) {
        let payload = &mut self.payload;
        payload[0] = kind;
        payload[4..8].copy_from_slice(&self.job.round.to_be_bytes());
        payload[8..16].copy_from_slice(&number.to_be_bytes());
        payload[16..24].copy_from_slice(&stamp.to_be_bytes());
    }

    fn receive(&mut self) -> Result<()> {
        let before = self.outcome.delivered;
        while let Some(event) = self.port.try_recv() {
            match event {
                ClientEvent::Deliver(delivery) => self.on_delivery(&delivery)?,
                ClientEvent::Closed(reason) => bail!("the port closed: {reason}"),
                ClientEvent::Status(_) => {}
                ClientEvent::View(view) => bail!("the membership changed to {}", view.members),
            }
        }
        // One look at the clock for all that was read together.
        if self.outcome.delivered > before {
            self.outcome.last_delivery_ns = wait::now().as_nanos();
        }
        Ok(())
    }

    fn on_delivery(&mut self, delivery: &Delivery) -> Result<()> {
        let payload = &delivery.payload;
        ensure!(payload.len() == self.payload.len() && payload.len() >= HEADER, "wrong length");
        ensure!(!delivery.broadcast && delivery.sender == self.peer, "a message of somebody else");
        let word = |at: usize| {
            u64::from_be_bytes(payload[at..at + 8].try_into().expect("eight bytes are eight bytes"))
        };
        let round = u32::from_be_bytes(payload[4..8].try_into().expect("four bytes are four"));
        ensure!(round == self.job.round, "a message of round {round}, not {}", self.job.round);
        let (number, stamp) = (word(8), word(16));
        match payload[0] {
            DATA => {
                let next = self.outcome.delivered;
                ensure!(number == next, "message {number}, expected {next}");
                self.outcome.delivered += 1;
                if !self.flood {
                    let now = wait::now().as_nanos();
                    self.latencies.saturating_record(now.saturating_sub(stamp));
                    self.answer(number, stamp)?;
                }
            }
            END => {
                let got = self.outcome.delivered;
                ensure!(number == got, "{number} messages were sent and {got} delivered");
                self.over = true;
                self.answer(number, stamp)?;
            }
            ANSWER if number == self.outcome.sent => self.over = true,
            ANSWER => {
                ensure!(number == self.answered, "answer {number}, expected {}", self.answered);
                self.answered += 1;
                let now = wait::now().as_nanos();
                self.latencies.saturating_record(now.saturating_sub(stamp));
            }
            other => bail!("a message of kind {other}"),
        }
        Ok(())
    }

    /// There is one message to answer at most, so there is room.
    fn answer(&mut self, number: u64, stamp: u64) -> Result<()> {
        self.emit(ANSWER, number, stamp);
        Ok(self.port.send_to(self.peer, &self.payload, false)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_received_is_found() {
        let job = Job {
            round: 1,
            senders: vec![2],
            members: 3,
            size: 64,
            time_ms: 1,
            send: Send::To { node: 0, flood: true },
        };
        let outcome = |sent, delivered| Outcome { sent, delivered, ..Outcome::default() };
        let mut outcomes: BTreeMap<u8, Outcome> =
            [(0, outcome(0, 7)), (1, outcome(0, 0)), (2, outcome(7, 0))].into();
        verify(&job, &outcomes).unwrap();
        outcomes.insert(0, outcome(0, 6));
        let error = verify(&job, &outcomes).unwrap_err().to_string();
        assert_eq!(error, "node 2 sent 7 messages, node 0 got 6");
    }
}
