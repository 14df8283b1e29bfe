//! The client process of `bench` on one node.

use std::io::{BufRead, Write};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gab::Level;
use hdrhistogram::Histogram;
use llt::Instant;

use super::super::cli::BenchClientArgs;
use super::super::wait;
use super::bus::{Bus, Gab};
use super::corosync;
use super::job::{Job, Outcome, Send};
use super::p2p;

/// Works until its standard input ends.
///
/// # Errors
/// If the connection ends, or a message is damaged, lost, or comes twice.
pub fn run(args: &BenchClientArgs) -> Result<()> {
    match (&args.root, args.corosync) {
        (Some(root), _) => work(&mut Gab::connect(root)?),
        (None, Some(daemon)) if args.watch => corosync::detect::watch(daemon, args.members),
        (None, Some(daemon)) => work(&mut corosync::connect(daemon, args.members)?),
        (None, None) => anyhow::bail!("a client needs --root or --corosync"),
    }
}

fn work(bus: &mut impl Bus) -> Result<()> {
    let mut stdin = std::io::stdin().lock();
    // Everybody joins before the first job, which is when the membership stops changing.
    say(&bus.wait_everybody()?)?;
    let mut line = String::new();
    while stdin.read_line(&mut line)? > 0 {
        let job: Job = serde_json::from_str(&line)?;
        say(&job.members)?;
        line.clear();
        stdin.read_line(&mut line)?;
        ensure!(line.trim() == "\"go\"", "expected go, heard {line}");
        line.clear();
        let outcome = match job.send {
            Send::Flood | Send::One { .. } => Round::new(bus.own(), job)?.run(bus),
            Send::To { .. } => p2p::run(bus.port().context("p2p is between ports of ours")?, &job),
        };
        say(&outcome?)?;
    }
    Ok(())
}

/// Bytes of every message that are not filler.
const HEADER: usize = 32;

/// In the first byte of a message.
const DATA: u8 = 1;
const END: u8 = 2;

/// Messages and bytes of one sender under way: enough to keep every batch full, and less than
/// gabd refuses.
const WINDOW_MESSAGES: u64 = 1024;
const WINDOW_BYTES: u64 = 2 << 20;

/// A round in which nothing comes for so long has failed.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Between two looks at whether there is room to send.
const ROOM_WAIT: Duration = Duration::from_millis(1);

/// A line of JSON.
pub(super) fn say(what: &impl serde::Serialize) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    serde_json::to_writer(&mut stdout, what)?;
    stdout.write_all(b"\n")?;
    Ok(stdout.flush()?)
}

/// One round under way.
struct Round {
    job: Job,
    own: u8,
    sends: bool,
    window: u64,
    own_delivered: u64,
    ended: usize,
    own_ended: bool,
    /// Next number by sender.
    next: [u64; 128],
    latencies: Histogram<u64>,
    outcome: Outcome,
    payload: Vec<u8>,
}

impl Round {
    fn new(own: u8, job: Job) -> Result<Self> {
        let window = match job.send {
            Send::Flood => WINDOW_MESSAGES.min(WINDOW_BYTES / u64::from(job.size)).max(2),
            Send::One { .. } | Send::To { .. } => 1,
        };
        Ok(Self {
            own,
            sends: job.senders.contains(&own),
            window,
            own_delivered: 0,
            ended: 0,
            own_ended: false,
            next: [0; 128],
            // From 100 ns to a minute with three digits.
            latencies: Histogram::new_with_bounds(100, 60_000_000_000, 3)?,
            outcome: Outcome::default(),
            payload: vec![0; usize::try_from(job.size)?],
            job,
        })
    }

    fn run(mut self, bus: &mut impl Bus) -> Result<Outcome> {
        bus.begin(self.window > 1, self.sends);
        let mut heard = wait::now();
        let end = heard + Duration::from_millis(self.job.time_ms);
        while self.ended < self.job.senders.len() {
            if self.sends && !self.own_ended {
                self.fill_window(bus, end)?;
            }
            // Room to send again is no event: who has yet to send looks for it himself.
            let has_to_send = self.sends && !self.own_ended;
            let patience = if has_to_send { ROOM_WAIT } else { SILENCE_MAX };
            let before = self.outcome.delivered;
            let any =
                bus.receive(patience, &mut |sender, payload| self.on_delivery(sender, payload))?;
            // One look at the clock for all that was read together: it costs as much as a message.
            let now = wait::now();
            if self.outcome.delivered > before {
                self.outcome.last_delivery_ns = now.as_nanos();
            }
            if any {
                heard = now;
            }
            ensure!(now.since(heard) < SILENCE_MAX, "nothing was delivered for 30 s");
        }
        let latencies = self.latencies.iter_recorded();
        self.outcome.latencies =
            latencies.map(|step| (step.value_iterated_to(), step.count_at_value())).collect();
        Ok(self.outcome)
    }

    /// Sends as long as the window allows; after `end`, the end mark.
    fn fill_window(&mut self, bus: &mut impl Bus, end: Instant) -> Result<()> {
        let now = wait::now();
        let (end, now) = (now >= end, now.as_nanos());
        let safe = matches!(self.job.send, Send::One { safe: true });
        let level = if safe { Level::Safe } else { Level::Agreed };
        while self.outcome.sent - self.own_delivered < self.window || end {
            self.emit(if end { END } else { DATA }, now);
            if !bus.try_broadcast(&self.payload, level, self.window > 1 && !end)? {
                break;
            }
            if end {
                self.own_ended = true;
                break;
            }
            self.outcome.first_send_ns.get_or_insert(now);
            self.outcome.sent += 1;
        }
        bus.flush()
    }

    fn emit(&mut self, kind: u8, now: u64) {
        let payload = &mut self.payload;
        payload[0] = kind;
        payload[1] = self.own;
        payload[4..8].copy_from_slice(&self.job.round.to_be_bytes());
        payload[8..16].copy_from_slice(&self.outcome.sent.to_be_bytes());
        payload[16..24].copy_from_slice(&now.to_be_bytes());
    }

    fn on_delivery(&mut self, sender: u8, payload: &[u8]) -> Result<()> {
        ensure!(payload.len() == self.payload.len() && payload.len() >= HEADER, "wrong length");
        let word = |at: usize| {
            u64::from_be_bytes(payload[at..at + 8].try_into().expect("eight bytes are eight bytes"))
        };
        let round = u32::from_be_bytes(payload[4..8].try_into().expect("four bytes are four"));
        ensure!(payload[1] == sender && round == self.job.round, "a message of another round");
        let number = word(8);
        let next = self.next.get_mut(usize::from(sender)).context("there are 128 nodes at most")?;
        ensure!(number == *next, "message {number} of node {sender}, expected {next}");
        if payload[0] == END {
            self.ended += 1;
            return Ok(());
        }
        *next += 1;
        self.outcome.delivered += 1;
        // FNV-1a over words: one multiplication per message.
        let digest = self.outcome.digest ^ (number << 8 | u64::from(sender));
        self.outcome.digest = digest.wrapping_mul(0x0100_0000_01b3).rotate_left(7);
        if sender == self.own {
            self.own_delivered += 1;
        }
        if self.window == 1 {
            let now = wait::now().as_nanos();
            self.latencies.saturating_record(now.saturating_sub(word(16)));
        }
        Ok(())
    }
}
