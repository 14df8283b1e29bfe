//! What gabd publishes for monitoring, and its text in the exposition format of Prometheus
//! (version 0.0.4). Every metric is listed in `docs/metrics.md`, which a test holds against this.

mod counters;
#[cfg(test)]
mod tests;

use std::fmt::{Display, Write as _};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use llt::Instant;
use llt::limits::Bounded;
use parking_lot::Mutex;

use crate::core::{Delivered, Histogram};
use crate::daemon::housekeeping::Progress;
use crate::snapshot::{GabSnapshot, LltSnapshot, Snapshot};

/// What the reactor tells when it is asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Published {
    /// When.
    pub(super) at: Instant,
    pub(super) snapshot: Snapshot,
    /// Everything that could grow.
    pub(super) bounded: Vec<Bounded>,
    pub(super) delivered: Delivered,
    pub(super) kills: Kills,
    pub(super) watching: Watching,
}

/// Signals sent to processes of clients.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Kills {
    pub(super) abort: u64,
    pub(super) kill: u64,
}

/// Readers of the event stream.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Watching {
    pub(super) readers: usize,
    /// Events that they had no room for.
    pub(super) lost: u64,
}

/// Between the reactor and the exporter. The reactor publishes only when it is asked, so that it
/// pays nothing for monitoring while nobody looks.
#[derive(Debug)]
pub(super) struct Board {
    ask: UnixStream,
    asked: UnixStream,
    latest: Mutex<Option<Arc<Published>>>,
}

impl Board {
    pub(super) fn new() -> io::Result<Self> {
        let (ask, asked) = UnixStream::pair()?;
        ask.set_nonblocking(true)?;
        asked.set_nonblocking(true)?;
        Ok(Self { ask, asked, latest: Mutex::new(None) })
    }

    /// Exporter: wants something newer than now.
    pub(super) fn ask(&self) {
        // A socket that is full has asked already.
        let _ = (&self.ask).write(&[0]);
    }

    /// Exporter: what was published last.
    pub(super) fn latest(&self) -> Option<Arc<Published>> {
        self.latest.lock().clone()
    }

    /// Reactor: readable when something is asked for.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.asked.as_fd()
    }

    /// Reactor: whoever has asked by now is about to be answered.
    pub(super) fn take(&self) {
        let mut buffer = [0; 64];
        while (&self.asked).read(&mut buffer).is_ok_and(|len| len == buffer.len()) {}
    }

    /// Reactor: the answer.
    pub(super) fn publish(&self, published: Published) {
        *self.latest.lock() = Some(Arc::new(published));
    }
}

/// The whole text.
pub(super) fn text(now: Instant, published: &Published, progress: &Progress) -> String {
    let mut out = Text::default();
    let Snapshot { llt, gab } = &published.snapshot;
    out.family("muster_build_info", Kind::Gauge, "Always 1; the version of gabd.");
    out.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    out.family("muster_node_info", Kind::Gauge, "Always 1; which node this is.");
    let (node, cluster) = (llt.node.to_string(), llt.cluster.to_string());
    out.sample(&[("cluster", &cluster), ("node", &node), ("name", &llt.name)], 1);
    let age = now.since(published.at).as_secs_f64();
    let help = "Age of the rest: it grows while the reactor hangs, in seconds.";
    out.gauge("muster_snapshot_age_seconds", help, age);
    links(&mut out, llt);
    peers(&mut out, llt);
    counters::llt(&mut out, &llt.stats);
    group(&mut out, gab);
    ports(&mut out, gab);
    counters::gab(&mut out, &gab.counters);
    latency(&mut out, &published.delivered);
    queues(&mut out, &published.bounded);
    daemon(&mut out, now, published, progress);
    out.out
}

fn links(out: &mut Text, llt: &LltSnapshot) {
    type Of = fn(&crate::snapshot::LinkSnapshot) -> f64;
    let rows: [(&str, &str, Of); 3] = [
        ("muster_link_carrier", "1 if the link is open and its device carries.", |link| {
            flag(link.carrier)
        }),
        ("muster_link_enabled", "0 after lltconfig -L disable.", |link| flag(link.enabled)),
        (
            "muster_link_latency_seconds",
            "Mean smoothed round trip to the nodes that the link is up to; 0 if unknown.",
            |link| seconds(link.latency_ns),
        ),
    ];
    let all = || llt.links.iter().map(|link| (link.link.to_string(), link));
    for (name, help, of) in rows {
        out.family(name, Kind::Gauge, help);
        all().for_each(|(id, link)| out.sample(&[("link", &id), ("tag", &link.tag)], of(link)));
    }
    type Count = fn(&crate::snapshot::LinkSnapshot) -> u64;
    let rows: [(&str, &str, Count); 5] = [
        ("muster_link_tx_packets_total", "Frames sent.", |link| link.tx_packets),
        ("muster_link_tx_bytes_total", "Bytes of frames sent.", |link| link.tx_bytes),
        ("muster_link_rx_packets_total", "Frames received.", |link| link.rx_packets),
        ("muster_link_rx_bytes_total", "Bytes of frames received.", |link| link.rx_bytes),
        (
            "muster_link_tx_dropped_total",
            "Frames lost here: the queue was full, or the system refused them.",
            |link| link.tx_dropped,
        ),
    ];
    for (name, help, of) in rows {
        out.family(name, Kind::Counter, help);
        all().for_each(|(id, link)| out.sample(&[("link", &id), ("tag", &link.tag)], of(link)));
    }
}

fn peers(out: &mut Text, llt: &LltSnapshot) {
    let all = || {
        let others = llt.nodes.iter().filter(|node| !node.own);
        others.map(|node| (node.node.to_string(), node))
    };
    let help = "1 for each link over which this node and the peer hear each other.";
    out.family("muster_link_up", Kind::Gauge, help);
    for (peer, node) in all() {
        for link in &node.links {
            let labels = [("link", &*link.link.to_string()), ("peer", &peer)];
            out.sample(&labels, u8::from(link.status == "UP"));
        }
    }
    let help = "Since the peer was heard on the link, in seconds; absent if it never was.";
    out.family("muster_link_silence_seconds", Kind::Gauge, help);
    for (peer, node) in all() {
        for link in &node.links {
            if let Some(ms) = link.silent_ms {
                let labels = [("link", &*link.link.to_string()), ("peer", &peer)];
                out.sample(&labels, seconds(ms.saturating_mul(1_000_000)));
            }
        }
    }
    type Of = fn(&crate::snapshot::NodeSnapshot) -> f64;
    let rows: [(&str, &str, Of); 2] = [
        ("muster_peer_connected", "1 if the peer is connected.", |node| flag(node.state == "OPEN")),
        (
            "muster_peer_round_trip_seconds",
            "Smoothed round trip to the peer; 0 if unknown.",
            |node| seconds(node.srtt_ns),
        ),
    ];
    for (name, help, of) in rows {
        out.family(name, Kind::Gauge, help);
        all().for_each(|(id, node)| out.sample(&[("peer", &id), ("name", &node.name)], of(node)));
    }
    let help = "Packets queued or in flight to the peer.";
    out.family("muster_peer_queue_packets", Kind::Gauge, help);
    all().for_each(|(id, node)| out.sample(&[("peer", &id), ("name", &node.name)], node.queued));
}

fn group(out: &mut Text, gab: &GabSnapshot) {
    let configured = "1 after gabconfig -c.";
    out.gauge("muster_gab_configured", configured, u8::from(gab.configured));
    out.gauge("muster_gab_seeded", "1 if port a has a membership.", u8::from(gab.seeded));
    out.gauge("muster_gab_changing", "1 while a view change is under way.", u8::from(gab.changing));
    let round = gab.view.split('.').next().and_then(|round| round.parse::<u64>().ok());
    let help = "Round of the view, rising with each; 0 without one.";
    out.gauge("muster_gab_view_round", help, round.unwrap_or(0));
    out.family("muster_gab_sequencer", Kind::Gauge, "Node id of the sequencer; absent without.");
    if let Some(sequencer) = gab.sequencer {
        out.sample(&[], sequencer);
    }
    out.gauge("muster_gab_last_slot", "Slots ordered in this view.", gab.last_slot);
    out.gauge("muster_gab_stable_slot", "Slots that every member holds.", gab.stable_slot);
    let unstable = gab.last_slot.saturating_sub(gab.stable_slot);
    let help = "Slots that exist and that not every member holds.";
    out.gauge("muster_gab_unstable_slots", help, unstable);
}

fn ports(out: &mut Text, gab: &GabSnapshot) {
    type Of = fn(&crate::snapshot::PortSnapshot) -> u64;
    let rows: [(&str, &str, Of); 5] = [
        ("muster_gab_generation", "Generation of the port's membership.", |p| p.generation),
        ("muster_gab_members", "Members of the port.", |p| number(p.members.len())),
        ("muster_gab_jeopardy_members", "Members of the port with one link left.", |p| {
            number(p.jeopardy.len())
        }),
        ("muster_gab_visible_nodes", "Nodes of the cluster without a client on the port.", |p| {
            number(p.visible.len())
        }),
        ("muster_gab_clients", "Clients of this node on the port.", |p| p.clients.into()),
    ];
    for (name, help, of) in rows {
        out.family(name, Kind::Gauge, help);
        gab.ports.iter().for_each(|port| out.sample(&[("port", &port.port)], of(port)));
    }
}

fn latency(out: &mut Text, delivered: &Delivered) {
    let help = "From the acceptance of own messages to their delivery at this node.";
    out.family("muster_gab_delivery_seconds", Kind::Histogram, help);
    for (level, histogram) in [("agreed", &delivered.agreed), ("safe", &delivered.safe)] {
        out.histogram(level, histogram);
    }
}

fn queues(out: &mut Text, bounded: &[Bounded]) {
    let help = "What is kept for later; of what each port, client or node has for itself the most.";
    out.family("muster_queue_depth", Kind::Gauge, help);
    bounded.iter().for_each(|one| out.sample(&[("queue", one.name)], one.size));
    out.family("muster_queue_limit", Kind::Gauge, "The most that may be kept.");
    bounded.iter().for_each(|one| out.sample(&[("queue", one.name)], one.limit));
}

fn daemon(out: &mut Text, now: Instant, published: &Published, progress: &Progress) {
    let Kills { abort, kill } = published.kills;
    let help = "Signals sent to processes of supervised clients.";
    out.family("muster_client_kills_total", Kind::Counter, help);
    out.sample(&[("signal", "ABRT")], abort);
    out.sample(&[("signal", "KILL")], kill);
    let Watching { readers, lost } = published.watching;
    out.gauge("muster_event_readers", "Connections that read the event stream.", readers);
    let help = "Events that a slow reader of the event stream had no room for.";
    out.family("muster_events_lost_total", Kind::Counter, help);
    out.sample(&[], lost);
    out.family("muster_reactor_turns_total", Kind::Counter, "Turns of the reactor.");
    out.sample(&[], progress.turns);
    let help = "Turns of the reactor that took longer than 100 ms.";
    out.family("muster_reactor_stalls_total", Kind::Counter, help);
    out.sample(&[], progress.stalls);
    let longest = progress.longest.as_secs_f64();
    out.gauge("muster_reactor_turn_seconds_max", "The longest turn since gabd started.", longest);
    let busy = progress.busy_since.map_or(0.0, |since| now.since(since).as_secs_f64());
    out.gauge("muster_reactor_busy_seconds", "How long the present turn has taken.", busy);
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn number(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}

fn seconds(nanos: u64) -> f64 {
    llt::Duration::from_nanos(nanos).as_secs_f64()
}

/// What a family of samples is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Text under way. The samples of a family follow each other, as the format wants it.
#[derive(Debug, Default)]
struct Text {
    out: String,
    family: String,
}

impl Text {
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        name.clone_into(&mut self.family);
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, Kind::Gauge, help);
        self.sample(&[], value);
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.suffixed("", labels, value);
    }

    fn suffixed(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.out, "{}{suffix}", self.family);
        for (at, (name, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(self.out, "{before}{name}=\"{text}\"");
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.out, "{after} {value}");
    }

    fn histogram(&mut self, level: &str, histogram: &Histogram) {
        for (bound, count) in histogram.cumulative() {
            let bound = bound.as_secs_f64().to_string();
            self.suffixed("_bucket", &[("level", level), ("le", &bound)], count);
        }
        self.suffixed("_bucket", &[("level", level), ("le", "+Inf")], histogram.count());
        self.suffixed("_sum", &[("level", level)], histogram.sum().as_secs_f64());
        self.suffixed("_count", &[("level", level)], histogram.count());
    }
}
