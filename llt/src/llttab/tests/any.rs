//! Any file at all.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn no_bytes_make_it_panic(tab: Vec<u8>, hosts: Vec<u8>) {
        let (tab, hosts) = (Source::new("a", &tab), Source::new("b", &hosts));
        let _ = LltTab::parse(&tab, &hosts, &|_| Ok(vec![0xff]));
    }

    #[test]
    fn no_words_make_it_panic(lines in proptest::collection::vec(line(), 0..20)) {
        let text = lines.join("\n");
        let mut warnings = Vec::new();
        let hosts = Hosts::default();
        let added = TabLink::parse_line(&text, NodeId::ZERO, &hosts, &[], &mut warnings);
        for errors in [parse(&text).err(), added.err()].into_iter().flatten() {
            // Every complaint can be shown.
            let mut out = String::new();
            GraphicalReportHandler::new_themed(GraphicalTheme::none())
                .render_report(&mut out, &errors)
                .unwrap();
            prop_assert!(!errors.problems().is_empty());
        }
    }

    #[test]
    fn what_is_accepted_agrees_with_itself(lines in proptest::collection::vec(line(), 0..8)) {
        let text = format!("set-node 0\nlink z eth9 - ether\n{}", lines.join("\n"));
        if let Ok(tab) = parse(&text) {
            prop_assert_eq!(check_timers(&tab.timers), Ok(()));
            prop_assert_eq!(check_flow(&tab.flow), Ok(()));
            prop_assert!((1..=8).contains(&tab.links.len()));
            prop_assert!(!tab.excluded.contains(tab.node));
        }
    }
}

/// A line that begins well and goes on with likely words, so that more than the first check is
/// reached.
fn line() -> impl Strategy<Value = String> {
    let begin = prop_oneof![
        Just("set-node 0"),
        Just("link"),
        Just("link-lowpri"),
        Just("link a eth1 - ether"),
        Just("link b udp - udp 50000 - 127.0.0.1"),
        Just("link c udp - udp6 50000 - ::1"),
        Just("set-addr 1"),
        Just("set-timer"),
        Just("set-flow"),
        Just("exclude"),
        Just("include"),
        Just("set-bcasthb"),
        Just("set-arp"),
        Just("set-dbg-minlinks"),
        Just("start"),
    ];
    let word = prop_oneof![
        Just("udp"),
        Just("udp6"),
        Just("ether"),
        Just("-"),
        Just("0"),
        Just("1"),
        Just("8"),
        Just("50000"),
        Just("0xCAFE"),
        Just("9000"),
        Just("eth1"),
        Just("eth-00:15:17:48:b5:80"),
        Just("00:15:17:48:b5:81"),
        Just("lan:1"),
        Just("127.0.0.1"),
        Just("fe80::1%lo"),
        Just("peerinact:1"),
        Just("peerinact:9s"),
        Just("heartbeat:3ms"),
        Just("timetoreqhb:0"),
        Just("lowwater:999"),
        Just("window:2"),
        Just("sws:9"),
        Just("0-127"),
        Just("a"),
        Just("b"),
        Just("é#"),
        Just("239.1.1.1"),
    ];
    (begin, proptest::collection::vec(word, 0..6))
        .prop_map(|(begin, words)| format!("{begin} {}", words.join(" ")))
}
