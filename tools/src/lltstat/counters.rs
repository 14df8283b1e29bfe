//! `lltstat`: the counters.

use std::fmt::Write as _;

use gab::snapshot::{LltSnapshot, NodeNote};
use llt::stats::Stats;

use super::notes;

/// Plain `lltstat` (facts 1.11). NACKs ride on no other frame in this version. The last two errors
/// of the right column are ours.
pub fn statistics(s: &Stats) -> String {
    let traffic = [
        (s.snd_data, "Snd data packets", s.rcv_data, "Rcv data packets"),
        (s.snd_retransmit, "Snd retransmit data", s.rcv_out_of_window, "Rcv out of window"),
        (s.snd_connect, "Snd connect packets", s.rcv_duplicate, "Rcv duplicates"),
        (s.snd_ack, "Snd independent ACKs", s.rcv_out_of_sequence, "Rcv out of sequence"),
        (
            s.snd_piggyback_ack,
            "Snd piggyback ACKs",
            s.rcv_datagram_dropped,
            "Rcv datagrams dropped",
        ),
        (s.snd_nack, "Snd independent NACKs", s.snd_loopback, "Snd loopback packets"),
    ];
    let errors = [
        (s.rcv_not_connected, "Rcv not connected", s.snd_not_connected, "Snd not connected"),
        (s.rcv_unconfigured, "Rcv unconfigured", s.snd_no_buffer, "Snd no buffer"),
        (s.rcv_bad_dest, "Rcv bad dest address", s.snd_error, "Snd error drops"),
        (s.rcv_bad_source, "Rcv bad source address", s.snd_no_links, "Snd no links up"),
        (s.rcv_bad_generation, "Rcv bad generation", s.rcv_bad_checksum, "Rcv bad checksum"),
        (s.rcv_malformed, "Rcv malformed packet", s.rcv_bad_cluster, "Rcv bad cluster"),
    ];
    let mut out = table("LLT statistics:", &traffic);
    let _ = writeln!(out, "    {:<10} Snd piggyback NACKs", 0);
    out + &table("LLT errors:", &errors)
}

/// What a key keeps out, as further lines of the errors: nothing unless there is something to
/// tell, so that the rest keeps its bytes, or `all` is asked for.
pub fn refusals(llt: &LltSnapshot, all: bool) -> String {
    let s = &llt.stats;
    let rows = [
        (s.rcv_not_sealed, "Rcv not sealed", s.rcv_unknown_key, "Rcv unknown key"),
        (s.rcv_bad_tag, "Rcv bad tag", s.rcv_replayed, "Rcv replayed"),
    ];
    if !all && s.rcv_sealed == 0 && rows.iter().all(|row| row.0 == 0 && row.2 == 0) {
        return String::new();
    }
    let mut out = lines(&rows);
    let _ = writeln!(out, "    {:<10} Rcv sealed, without a key", s.rcv_sealed);
    let own = llt.nodes.iter().find(|node| node.own);
    for note in own.map_or(&[][..], |own| &own.notes) {
        if let NodeNote::Refused { .. } = note {
            let _ = writeln!(out, "    {}", notes::refused(llt, note));
        }
    }
    out
}

/// `lltstat -v`: what the original does not count.
pub fn further(s: &Stats) -> String {
    let rows = [
        (s.snd_heartbeat, "Snd heartbeats", s.rcv_heartbeat, "Rcv heartbeats"),
        (s.snd_datagram, "Snd datagrams", s.rcv_datagram, "Rcv datagrams"),
        (s.rcv_holes, "Rcv holes", s.rcv_bad_version, "Rcv bad version"),
        (s.late_timer, "Late timers", s.alarms, "Alarms"),
    ];
    let mut out = table("LLT further counters:", &rows);
    let _ = writeln!(out, "    {:<10} Rcv on disabled link", s.rcv_disabled);
    out
}

/// A title and two counters a line.
fn table(title: &str, rows: &[(u64, &str, u64, &str)]) -> String {
    format!("{title}\n{}", lines(rows))
}

fn lines(rows: &[(u64, &str, u64, &str)]) -> String {
    let mut out = String::new();
    for (left, left_name, right, right_name) in rows {
        let _ = writeln!(out, "    {left:<10} {left_name:<24} {right:<10} {right_name}");
    }
    out
}

#[cfg(test)]
mod tests {
    use gab::snapshot::{LinkSnapshot, NodeSnapshot};

    use super::*;
    use crate::golden;

    #[test]
    fn statistics_look_as_in_the_original() {
        let stats = Stats {
            snd_data: 988_803,
            rcv_data: 495_884,
            snd_retransmit: 11_400,
            rcv_out_of_window: 687,
            snd_connect: 28_824_991,
            snd_ack: 1651,
            rcv_out_of_sequence: 104,
            snd_piggyback_ack: 494_559,
            snd_loopback: 1_481_482,
            snd_not_connected: 4,
            snd_no_links: 625,
            ..Stats::default()
        };
        golden::check("lltstat", &statistics(&stats));
        golden::check_json("lltstat-json", &stats);
    }

    #[test]
    fn what_a_key_keeps_out_shows_once_there_is_something() {
        let mut llt = LltSnapshot::default();
        assert_eq!(refusals(&llt, false), "");
        golden::check("lltstat-v-refusals", &refusals(&llt, true));
        llt.stats.rcv_replayed = 2;
        llt.links = vec![LinkSnapshot { tag: "eth1".into(), ..LinkSnapshot::default() }];
        let refused = NodeNote::Refused {
            cause: "replayed".into(),
            link: 0,
            from: "00:50:56:00:00:AA".into(),
            count: 2,
        };
        let notes = vec![NodeNote::Duplicate { node: 0 }, refused];
        llt.nodes = vec![NodeSnapshot { own: true, notes, ..NodeSnapshot::default() }];
        golden::check("lltstat-refusals", &refusals(&llt, false));
    }

    #[test]
    fn counters_longer_than_their_column_push_it_aside() {
        let stats = Stats { late_timer: 12_345_678_901_234, alarms: 1, ..Stats::default() };
        let text = further(&stats);
        golden::check("lltstat-v-further", &text);
        assert!(text.contains("\n    12345678901234 Late timers              1          Alarms\n"));
    }
}
