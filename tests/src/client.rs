//! Agents: programs that register, send, read, stall, come and go.

use core::time::Duration;

use gab::PortName;
use gab::event::PortView;
use gab::limits::PACKED_MAX;
use llt::Instant;

use crate::input::OpenFlags;
use crate::payload;
use crate::rng::Draw;

/// What an agent likes to do.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Its port.
    pub port: PortName,
    /// How it registers.
    pub options: OpenFlags,
    /// Mean time between its acts.
    pub period: Duration,
    /// Messages per act, at most.
    pub burst_max: u64,
    /// Share of SAFE among its broadcasts.
    pub safe: f64,
    /// Share of point-to-point among its messages.
    pub directed: f64,
    /// Probability per message of up to 64 KiB instead of a few hundred bytes.
    pub large: f64,
    /// Probability per act of closing the port.
    pub churn: f64,
    /// Probability per act of not reading for a while.
    pub stall: f64,
    /// How long it does not read, on average.
    pub stall_mean: Duration,
    /// How long it takes to acknowledge a view, on average.
    pub ack_mean: Duration,
}

impl Plan {
    /// A registration that only reads: a view watcher.
    pub fn watcher(port: PortName) -> Self {
        Self {
            port,
            options: OpenFlags::default(),
            period: Duration::from_millis(50),
            burst_max: 0,
            safe: 0.0,
            directed: 0.0,
            large: 0.0,
            churn: 0.0,
            stall: 0.0,
            stall_mean: Duration::ZERO,
            ack_mean: Duration::from_millis(5),
        }
    }
}

/// One program on one node.
#[derive(Debug)]
pub struct Agent {
    /// What it likes to do.
    pub plan: Plan,
    /// Its registration.
    pub client: Option<u32>,
    /// The last membership it read.
    pub view: Option<PortView>,
    /// A view that it will acknowledge, and when.
    pub ack: Option<(u64, Instant)>,
    /// It does not read until then.
    pub stalled_until: Option<Instant>,
    /// Messages it still has to send to prove that all works: (AGREED, SAFE).
    pub probes: (u32, u32),
    /// It may not register any more: a script holds it.
    pub retired: bool,
    /// Its process is stopped, or in an endless loop: it does nothing at all, and SIGABRT waits.
    pub stuck: bool,
    /// Not even SIGKILL ends its process.
    pub unkillable: bool,
    /// Its own draws.
    pub draw: Draw,
}

/// The most messages that an agent packs.
pub const PACKED: usize = 8;

/// One act.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Act {
    /// Acknowledge this view.
    Ack(u64),
    /// Broadcast so many bytes.
    Broadcast {
        /// SAFE, else AGREED.
        safe: bool,
        /// Bytes.
        len: usize,
    },
    /// Broadcast messages of so many bytes each, handed over as one pack; 0: no more of them.
    Pack {
        /// SAFE, else AGREED.
        safe: bool,
        /// Bytes of each.
        lens: [u16; PACKED],
    },
    /// Close the port.
    Close,
    /// Register.
    Open,
    /// Read what is there, after a time without reading.
    Read,
    /// Send to the member with this rank among the members of the port.
    SendTo {
        /// Position among the members.
        rank: usize,
        /// Bytes.
        len: usize,
    },
    /// Stop reading until then.
    Stall(Instant),
}

impl Agent {
    /// An agent that has not registered yet.
    pub fn new(plan: Plan, draw: Draw) -> Self {
        Self {
            plan,
            client: None,
            view: None,
            ack: None,
            stalled_until: None,
            probes: (0, 0),
            retired: false,
            stuck: false,
            unkillable: false,
            draw,
        }
    }

    /// Does it read?
    pub fn is_reading(&self) -> bool {
        self.stalled_until.is_none() && !self.stuck
    }

    /// The registration is gone.
    pub fn closed(&mut self) {
        self.client = None;
        self.view = None;
        self.ack = None;
        self.stalled_until = None;
    }

    /// When it wants to act again.
    pub fn next_wake(&mut self, now: Instant) -> Instant {
        let mean = self.plan.period;
        let wake = now + Duration::from_micros(10) + self.draw.exponential(mean);
        let due = [self.stalled_until, self.ack.map(|(_, at)| at)];
        due.into_iter().flatten().fold(wake, Instant::min).max(now + Duration::from_micros(10))
    }

    /// It read a membership.
    pub fn read_view(&mut self, now: Instant, view: PortView) {
        self.view = Some(view);
        if self.plan.options.ack {
            self.ack = Some((view.generation, now + self.draw.exponential(self.plan.ack_mean)));
        }
    }

    /// What it does now. With `busy` unset it only keeps itself alive: registers, reads,
    /// acknowledges and sends its probes.
    pub fn act(&mut self, now: Instant, busy: bool, acts: &mut Vec<Act>) {
        if self.stuck {
            return;
        }
        if self.client.is_none() {
            if !self.retired {
                acts.push(Act::Open);
            }
            return;
        }
        if self.stalled_until.is_some_and(|until| until <= now || !busy) {
            self.stalled_until = None;
            acts.push(Act::Read);
        }
        if let Some((generation, at)) = self.ack
            && at <= now
        {
            self.ack = None;
            acts.push(Act::Ack(generation));
        }
        let Some(view) = self.view else { return };
        self.probe(acts);
        if busy {
            self.work(now, view, acts);
        }
    }

    fn probe(&mut self, acts: &mut Vec<Act>) {
        if self.probes.0 > 0 {
            acts.push(Act::Broadcast { safe: false, len: payload::LEN_MIN });
        }
        if self.probes.1 > 0 {
            acts.push(Act::Broadcast { safe: true, len: payload::LEN_MIN });
        }
    }

    fn work(&mut self, now: Instant, view: PortView, acts: &mut Vec<Act>) {
        let plan = self.plan;
        if self.draw.chance(plan.churn) {
            acts.push(Act::Close);
            return;
        }
        if self.is_reading() && self.draw.chance(plan.stall) {
            acts.push(Act::Stall(now + self.draw.exponential(plan.stall_mean)));
        }
        for _ in 0..self.draw.below(plan.burst_max + 1) {
            let len = self.len();
            if self.draw.chance(plan.directed) {
                let rank = self.draw.pick(view.members.len().max(1));
                acts.push(Act::SendTo { rank, len });
            } else {
                acts.push(Act::Broadcast { safe: self.draw.chance(plan.safe), len });
            }
        }
        pack(acts);
    }

    fn len(&mut self) -> usize {
        let max = if self.draw.chance(self.plan.large) {
            gab::limits::MESSAGE_MAX
        } else if self.draw.chance(0.1) {
            4096
        } else {
            200
        };
        payload::LEN_MIN + self.draw.pick(max - payload::LEN_MIN + 1)
    }
}

/// Packs short broadcasts that follow each other, as a program does that hands over many at once.
/// Whether is decided by the length of the first, without a draw: seeds keep their runs.
fn pack(acts: &mut Vec<Act>) {
    let mut packed: Vec<Act> = Vec::new();
    for act in acts.drain(..) {
        let Act::Broadcast { safe, len } = act else {
            packed.push(act);
            continue;
        };
        let short = u16::try_from(len).ok().filter(|&len| usize::from(len) <= PACKED_MAX);
        match (packed.last_mut(), short) {
            (Some(Act::Pack { safe: first, lens }), Some(len))
                if *first == safe && lens.contains(&0) =>
            {
                let at = lens.iter().position(|&len| len == 0).unwrap_or(0);
                lens[at] = len;
            }
            (_, Some(len)) if len % 2 == 0 => {
                let mut lens = [0; PACKED];
                lens[0] = len;
                packed.push(Act::Pack { safe, lens });
            }
            _ => packed.push(act),
        }
    }
    *acts = packed;
}
