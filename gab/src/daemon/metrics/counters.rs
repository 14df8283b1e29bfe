//! The counters of LLT and GAB as metrics.

use llt::stats::Stats;

use super::{Kind, Text};

/// A counter of LLT: its name, what it counts, where it is.
type LltCounter = (&'static str, &'static str, fn(&Stats) -> u64);

/// The counters of LLT.
pub(super) fn llt(out: &mut Text, stats: &Stats) {
    for (name, help, of) in LLT {
        out.family(&format!("muster_llt_{name}_total"), Kind::Counter, help);
        out.sample(&[], of(stats));
    }
}

/// The counters of GAB, by their names in the snapshot.
pub(super) fn gab(out: &mut Text, counters: &std::collections::BTreeMap<String, u64>) {
    for (name, help) in GAB {
        out.family(&format!("muster_gab_{name}_total"), Kind::Counter, help);
        out.sample(&[], counters.get(*name).copied().unwrap_or(0));
    }
}

const LLT: &[LltCounter] = &[
    ("snd_data", "Reliable packets sent for the first time.", |s| s.snd_data),
    ("snd_retransmit", "Reliable packets sent again.", |s| s.snd_retransmit),
    ("snd_connect", "Heartbeats sent to peers that are not connected.", |s| s.snd_connect),
    ("snd_ack", "Acknowledgements sent in frames of their own.", |s| s.snd_ack),
    ("snd_piggyback_ack", "Acknowledgements that rode on other frames.", |s| s.snd_piggyback_ack),
    ("snd_nack", "Requests for missing packets sent in frames of their own.", |s| s.snd_nack),
    (
        "snd_piggyback_nack",
        "Requests for missing packets that rode on other frames: always 0, for each takes an acknowledgement of its own.",
        |s| s.snd_piggyback_nack,
    ),
    ("snd_heartbeat", "Heartbeats sent.", |s| s.snd_heartbeat),
    ("snd_request", "Heartbeats asked for.", |s| s.snd_request),
    ("snd_probe", "Frames of the full size sent to see whether they get through.", |s| s.snd_probe),
    (
        "snd_part",
        "Parts of reliable packets that were too long for the path they had to take.",
        |s| s.snd_part,
    ),
    ("snd_datagram", "Unreliable datagrams sent, one per frame on a wire.", |s| s.snd_datagram),
    (
        "snd_datagram_long",
        "Unreliable datagrams that no path to the peer takes, sent as messages.",
        |s| s.snd_datagram_long,
    ),
    ("snd_loopback", "Own frames recognised coming back.", |s| s.snd_loopback),
    ("rcv_data", "Reliable packets received and accepted.", |s| s.rcv_data),
    ("rcv_out_of_window", "Reliable packets beyond the window.", |s| s.rcv_out_of_window),
    (
        "rcv_duplicate",
        "Reliable packets received before, and heartbeats received before or overtaken.",
        |s| s.rcv_duplicate,
    ),
    ("rcv_out_of_sequence", "Reliable packets received ahead of a missing one.", |s| {
        s.rcv_out_of_sequence
    }),
    ("rcv_datagram", "Unreliable datagrams received.", |s| s.rcv_datagram),
    ("rcv_datagram_dropped", "Unreliable datagrams dropped.", |s| s.rcv_datagram_dropped),
    ("rcv_heartbeat", "Heartbeats received.", |s| s.rcv_heartbeat),
    ("rcv_request", "Requests for a heartbeat received.", |s| s.rcv_request),
    ("rcv_probe", "Frames of the full size received that ask whether they get through.", |s| {
        s.rcv_probe
    }),
    ("rcv_part", "Parts of reliable packets received that did not make their packet whole.", |s| {
        s.rcv_part
    }),
    ("rcv_holes", "Frames missing in the per-link sequences.", |s| s.rcv_holes),
    ("rcv_not_connected", "Reliable frames and datagrams of a peer that is not connected.", |s| {
        s.rcv_not_connected
    }),
    ("rcv_unconfigured", "Frames of a node that is excluded or out of range.", |s| {
        s.rcv_unconfigured
    }),
    ("rcv_disabled", "Frames on a link that is disabled or was removed.", |s| s.rcv_disabled),
    ("rcv_bad_dest", "Frames for another node.", |s| s.rcv_bad_dest),
    ("rcv_bad_source", "Frames whose source is impossible.", |s| s.rcv_bad_source),
    ("rcv_bad_generation", "Frames of an earlier incarnation or session, ours or theirs.", |s| {
        s.rcv_bad_generation
    }),
    (
        "rcv_malformed",
        "Frames that are cut short, too long, of no known kind or inconsistent.",
        |s| s.rcv_malformed,
    ),
    ("rcv_bad_checksum", "Frames whose checksum does not match.", |s| s.rcv_bad_checksum),
    ("rcv_bad_cluster", "Frames of another cluster.", |s| s.rcv_bad_cluster),
    ("rcv_bad_version", "Frames of a protocol version that we do not speak.", |s| {
        s.rcv_bad_version
    }),
    ("rcv_not_sealed", "Frames without a seal, while we have keys.", |s| s.rcv_not_sealed),
    ("rcv_unknown_key", "Frames that are sealed with a key that we do not have.", |s| {
        s.rcv_unknown_key
    }),
    (
        "rcv_bad_tag",
        "Frames whose tag does not match: forged, damaged, or sealed with another key.",
        |s| s.rcv_bad_tag,
    ),
    ("rcv_replayed", "Sealed frames that were heard before, or that come too late to tell.", |s| {
        s.rcv_replayed
    }),
    ("rcv_sealed", "Sealed frames, while we have no key.", |s| s.rcv_sealed),
    ("snd_not_connected", "Sends to a peer that is not connected.", |s| s.snd_not_connected),
    ("snd_no_buffer", "Sends refused because a queue is full.", |s| s.snd_no_buffer),
    ("snd_error", "Frames that the link refused.", |s| s.snd_error),
    ("snd_no_links", "Packets that had no usable link.", |s| s.snd_no_links),
    (
        "late_timer",
        "Times that our own timer was late by more than half of the trouble time.",
        |s| s.late_timer,
    ),
    ("alarms", "'Impossible' states of our own making; each is a bug and fails every test.", |s| {
        s.alarms
    }),
];

/// As [`Counters`](crate::core::Counters) has them.
pub(super) const GAB: &[(&str, &str)] = &[
    ("alarms", "'Impossible' states of our own making; each is a bug and fails every test."),
    ("acks_sent", "Acknowledgements sent in messages of their own."),
    ("delivered", "Client messages delivered."),
    ("malformed", "Messages that were not messages of GAB."),
    ("naks_sent", "Requests for missing slots sent."),
    ("other_view", "Messages of a view that is not ours, or from somebody who may not send them."),
    ("ordered", "Entries numbered as sequencer."),
    (
        "p2p_dropped",
        "Point-to-point messages dropped because their generation has passed or their peer has gone.",
    ),
    ("p2p_resent", "Point-to-point messages sent again."),
    ("pieces_dropped", "Payload pieces dropped because they fit nothing that is awaited."),
    ("slots_resent", "Slots sent to those who asked for them."),
    ("slots_outside", "Slots outside the window."),
    ("views", "Views installed."),
    ("view_changes", "View changes started."),
    ("while_frozen", "Messages that arrived while frozen in a view change."),
];
