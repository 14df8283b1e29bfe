//! Timers and limits that contradict each other.

use super::*;

pub(super) const CASES: &[Case] = &[
    case(
        "names and values",
        "set-node 0\nlink a eth1 - ether - -\nset-timer heartbeat=5 peerinact:soon nosuch:5\n\
         set-timer heartbeat:0 timetoreqhb:-1 rpeerinact:0 arp:86401s :5 oos:\n\
         set-flow window:1 nosuch:5 highwater linkburst:4097 rporthighwater:0 largepktlen:66561\n\
         set-flow ackval:257 sws:0 lowwater:-1\n",
    ),
    case(
        "both were set",
        "set-node 0\nlink a eth1 - ether - -\nset-timer peerinact:1s peertrouble:2s\n\
         set-timer heartbeatlo:900 peertroublelo:9s heartbeat:250\n\
         set-flow highwater:50 lowwater:50\nset-flow rportlowwater:30 sws:9 window:9\n\
         set-flow rporthighwater:20\n",
    ),
    case(
        "one was set",
        "set-node 0\nlink a eth1 - ether - -\nset-timer peerinact:300 heartbeat:2s\n\
         set-flow highwater:50 rportlowwater:200 sws:256\n",
    ),
    case(
        "requests that would come too late",
        "set-node 0\nlink a eth1 - ether - -\nset-timer timetoreqhb:14s peerinact:15s\n",
    ),
    case(
        "requests that would take too long",
        "set-node 0\nlink a eth1 - ether - -\nset-timer reqhbtime:500ms\n",
    ),
];

#[test]
fn timers_and_limits_agree_with_each_other() {
    insta::assert_snapshot!(transcript(CASES));
}

#[test]
fn every_timer_and_limit_is_read() {
    let mut tab = String::from("set-node 0\nlink a eth1 - ether - -\n");
    for (name, value) in [
        ("heartbeat", "40"),
        ("heartbeatlo", "90"),
        ("peertrouble", "210"),
        ("peertroublelo", "410"),
        ("peerinact", "1700"),
        ("oos", "5ms"),
        ("retrans", "20"),
        ("service", "1s"),
        ("arp", "30000"),
        ("arpreq", "0"),
        ("timetoreqhb", "1500"),
        ("reqhbtime", "30"),
        ("timetosendhb", "0"),
        ("sendhbcap", "9000"),
    ] {
        writeln!(tab, "set-timer {name}:{value}").unwrap();
    }
    tab.push_str("set-flow highwater:300 lowwater:150 rporthighwater:30 rportlowwater:15\n");
    tab.push_str("set-flow window:50 linkburst:0 ackval:5 sws:30 largepktlen:2048\n");
    let tab = parse(&tab).unwrap();
    let warned: Vec<&str> = tab.warnings.iter().map(|warning| &warning.text[..9]).collect();
    assert_eq!(warned, ["`service`"], "which has no effect");
    let rows: Vec<String> =
        timer_rows(&tab.timers).iter().map(|(name, value)| format!("{name}:{value}")).collect();
    assert_eq!(
        rows.join(" "),
        "heartbeat:40 heartbeatlo:90 peertrouble:210 peertroublelo:410 peerinact:1700 oos:5ms \
         retrans:20 service:100 arp:30000 arpreq:0 timetoreqhb:1500 reqhbtime:30 timetosendhb:0 \
         sendhbcap:9000"
    );
    let rows: Vec<String> =
        flow_rows(&tab.flow).iter().map(|(name, value)| format!("{name}:{value}")).collect();
    assert_eq!(
        rows.join(" "),
        "highwater:300 lowwater:150 rporthighwater:30 rportlowwater:15 window:50 linkburst:0 \
         ackval:5 sws:30 largepktlen:2048"
    );
}

/// The original's own figures, but for the window (facts 1.5, 1.6).
#[test]
fn the_defaults_are_the_originals() {
    let tab = parse("set-node 0\nlink a eth1 - ether - -\n").unwrap();
    let rows: Vec<String> =
        timer_rows(&tab.timers).iter().map(|(name, value)| format!("{name}:{value}")).collect();
    assert_eq!(
        rows.join(" "),
        "heartbeat:50 heartbeatlo:100 peertrouble:200 peertroublelo:400 peerinact:1600 oos:10 \
         retrans:10 service:100 arp:0 arpreq:3000 timetoreqhb:1400 reqhbtime:40 timetosendhb:200 \
         sendhbcap:18000"
    );
    let rows: Vec<String> =
        flow_rows(&tab.flow).iter().map(|(name, value)| format!("{name}:{value}")).collect();
    assert_eq!(
        rows.join(" "),
        "highwater:200 lowwater:100 rporthighwater:200 rportlowwater:100 window:256 linkburst:32 \
         ackval:10 sws:204 largepktlen:1024"
    );
}

/// The order of lines makes no difference to what follows from what.
#[test]
fn a_lower_peerinact_needs_no_other_line() {
    for tab in [
        "set-timer peerinact:1000ms peertrouble:300ms peertroublelo:600ms\n\
         set-timer heartbeat:50ms heartbeatlo:100ms\nset-node 0\nlink a eth1 - ether - -\n",
        "set-node 0\nlink a eth1 - ether - -\nset-timer heartbeatlo:10 heartbeat:5\n\
         set-timer peertroublelo:60 peertrouble:30 peerinact:100\n",
    ] {
        let timers = parse(tab).unwrap().timers;
        check_timers(&timers).unwrap();
        let asked = (timers.request_after, timers.request_gap, timers.starved_after);
        let millis = core::time::Duration::from_millis;
        assert_eq!(asked, (millis(875), millis(25), millis(300)));
    }
    let tab = parse("set-node 0\nlink a eth1 - ether - -\nset-flow window:50\n").unwrap();
    assert_eq!(tab.flow.sws, 40);
}
