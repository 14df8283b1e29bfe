//! Counters, as `lltstat` prints them.

/// Counters of one LLT (facts 1.11), and ours: every dropped frame by its cause.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct Stats {
    /// Reliable packets sent for the first time.
    pub snd_data: u64,
    /// Reliable packets sent again.
    pub snd_retransmit: u64,
    /// Heartbeats sent to peers that are not connected.
    pub snd_connect: u64,
    /// Acknowledgements sent in frames of their own.
    pub snd_ack: u64,
    /// Acknowledgements that rode on other frames.
    pub snd_piggyback_ack: u64,
    /// Requests for missing packets sent in frames of their own.
    pub snd_nack: u64,
    /// Requests for missing packets that rode on other frames: always 0, for each takes an
    /// acknowledgement of its own.
    pub snd_piggyback_nack: u64,
    /// Heartbeats sent.
    pub snd_heartbeat: u64,
    /// Heartbeats asked for.
    pub snd_request: u64,
    /// Frames of the full size sent to see whether they get through.
    pub snd_probe: u64,
    /// Parts of reliable packets that were too long for the path they had to take.
    pub snd_part: u64,
    /// Unreliable datagrams sent, one per frame on a wire.
    pub snd_datagram: u64,
    /// Unreliable datagrams that no path to the peer takes, sent as messages.
    pub snd_datagram_long: u64,
    /// Own frames recognised coming back.
    pub snd_loopback: u64,
    /// Reliable packets received and accepted.
    pub rcv_data: u64,
    /// Reliable packets beyond the window.
    pub rcv_out_of_window: u64,
    /// Reliable packets received before, and heartbeats received before or overtaken.
    pub rcv_duplicate: u64,
    /// Reliable packets received ahead of a missing one.
    pub rcv_out_of_sequence: u64,
    /// Unreliable datagrams received.
    pub rcv_datagram: u64,
    /// Unreliable datagrams dropped.
    pub rcv_datagram_dropped: u64,
    /// Heartbeats received.
    pub rcv_heartbeat: u64,
    /// Requests for a heartbeat received.
    pub rcv_request: u64,
    /// Frames of the full size received that ask whether they get through.
    pub rcv_probe: u64,
    /// Parts of reliable packets received that did not make their packet whole.
    pub rcv_part: u64,
    /// Frames missing in the per-link sequences.
    pub rcv_holes: u64,
    /// Reliable frames and datagrams of a peer that is not connected.
    pub rcv_not_connected: u64,
    /// Frames of a node that is excluded or out of range.
    pub rcv_unconfigured: u64,
    /// Frames on a link that is disabled or was removed.
    pub rcv_disabled: u64,
    /// Frames for another node.
    pub rcv_bad_dest: u64,
    /// Frames whose source is impossible.
    pub rcv_bad_source: u64,
    /// Frames of an earlier incarnation or session, ours or theirs.
    pub rcv_bad_generation: u64,
    /// Frames that are cut short, too long, of no known kind or inconsistent.
    pub rcv_malformed: u64,
    /// Frames whose checksum does not match.
    pub rcv_bad_checksum: u64,
    /// Frames of another cluster.
    pub rcv_bad_cluster: u64,
    /// Frames of a protocol version that we do not speak.
    pub rcv_bad_version: u64,
    /// Frames without a seal, while we have keys.
    pub rcv_not_sealed: u64,
    /// Frames that are sealed with a key that we do not have.
    pub rcv_unknown_key: u64,
    /// Frames whose tag does not match: forged, damaged, or sealed with another key.
    pub rcv_bad_tag: u64,
    /// Sealed frames that were heard before, or that come too late to tell.
    pub rcv_replayed: u64,
    /// Sealed frames, while we have no key.
    pub rcv_sealed: u64,
    /// Sends to a peer that is not connected.
    pub snd_not_connected: u64,
    /// Sends refused because a queue is full.
    pub snd_no_buffer: u64,
    /// Frames that the link refused.
    pub snd_error: u64,
    /// Packets that had no usable link.
    pub snd_no_links: u64,
    /// Times that our own timer was late by more than half of the trouble time.
    pub late_timer: u64,
    /// "Impossible" states of our own making; each is a bug and fails every test.
    pub alarms: u64,
}
