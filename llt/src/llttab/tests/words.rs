//! Lines that are not whole, words that do not belong there, values out of range.

use super::*;

pub(super) const CASES: &[Case] = &[
    case(
        "words that are missing",
        "set-node\nset-cluster\nlink\nlink a\nlink a eth1\nlink a eth1 -\nlink a udp - udp\n\
         link a udp - udp 50000\nlink a udp - udp 50000 -\nlink a udp - udp 50000 - 10.0.0.1\n",
    ),
    case(
        "more words that are missing",
        "set-addr\nset-addr 1\nset-addr 1 a\nset-arp\nset-bcasthb\nset-checksum\n\
         set-dbg-minlinks\nset-flow\nset-timer\nset-verbose\nexclude\ninclude\n",
    ),
    case(
        "words that are too many",
        "set-node 0 1\nset-cluster 1 2\nlink a eth1 - ether - - - - -\n\
         link b udp - udp 50000 - 10.0.0.1 - -\nset-addr 1 b 10.0.0.2 50000\nset-arp 1 1\n\
         set-bcasthb 1 1\nset-checksum 10 2\nset-dbg-minlinks 1 2\nset-verbose 1 2\n\
         start again\n",
    ),
    case(
        "values that are not possible",
        "set-node 0\nset-cluster 70000\nset-cluster x\nlnk a udp\nLINK a\nset-arp on\n\
         set-bcasthb yes\nset-checksum 5\nset-checksum high\nset-dbg-minlinks 0\n\
         set-dbg-minlinks 9\nset-verbose 2\nexclude 9-2 all\ninclude 4-128\n\
         link a eth1 - ether - -\nset-addr 1 a here\n",
    ),
    case("a line after the last", "set-node 0\nlink a eth1 - ether - -\nstart\nset-cluster 1\n"),
    case(
        "what is accepted with a word about it",
        "set-node 0\nlink a eth1 - ether - -\nset-checksum 0\nset-checksum 10\nset-arp 0\n\
         set-arp 1\nset-verbose 1\nset-verbose 1\nset-timer oos:10\nset-timer oos:20 oos:30\n\
         set-timer rpeerinact:700 service:50\nset-dbg-minlinks 1\nset-dbg-minlinks 1\n",
    ),
];

#[test]
fn words_are_judged_at_their_place() {
    insta::assert_snapshot!(transcript(CASES));
}

/// Bytes that are no text, in both files.
pub(super) fn not_text() -> ConfigErrors {
    let tab = Source::new("etc/llttab", b"set-node 0\n\xff\xfe\n");
    let hosts = Source::new("etc/llthosts", b"0 north\n1 \xc3");
    LltTab::parse(&tab, &hosts, &|_| Ok(Vec::new())).unwrap_err()
}

#[test]
fn bytes_that_are_no_text_are_an_error_with_a_place() {
    let errors = not_text();
    let told: Vec<_> =
        errors.problems().iter().map(|one| (one.to_string(), one.position())).collect();
    let text = "the file is not text";
    assert!(told.contains(&(text.to_owned(), (2, 1))), "{told:?}");
    assert!(told.contains(&(text.to_owned(), (2, 3))), "{told:?}");
}

#[test]
fn a_rule_is_broken_in_all_places_at_once() {
    let errors = parse("set-node 7\nset-cluster x\nexclude y\nset-timer z\nlink\n").unwrap_err();
    let lines: Vec<usize> = errors.problems().iter().map(|one| one.position().0).collect();
    assert_eq!(lines, [1, 2, 3, 4, 5]);
}

/// Control characters, which a terminal would obey.
pub(super) fn control() -> ConfigErrors {
    parse("set-node 0\nset-\x1b[31mcluster 1\n").unwrap_err()
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let errors = control();
    let told = errors.problems().iter().find(|one| one.to_string() == "the file is not text");
    assert_eq!(told.unwrap().position(), (2, 5));
    assert!(!render(&errors).contains('\x1b'), "{}", render(&errors));
    // Also in comments, in llthosts, alone, after bytes that are no text, and in the file of set-node.
    for (tab, hosts) in [
        ("set-node 0\nlink a eth1 - ether # \x1b]0;title\x07\n", HOSTS),
        ("set-node 0\nlink a eth1 - ether\n", "0 no\x08rth\n1 south\n2 east\n"),
        ("set-node 0\rlink a eth1 - ether\n", HOSTS),
    ] {
        let text = render(&parse_with(tab, hosts).unwrap_err());
        assert!(text.contains("the file is not text"), "{text}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
    let source = Source::new("a", b"\xff\x1b\n\x1b\xff");
    assert_eq!(source.text(), "\u{fffd}\u{fffd}\n\u{fffd}\u{fffd}\n");
    assert_eq!(source.encoding_problem().unwrap().position(), (1, 1));
    let tab = Source::new("a", b"set-node /etc/nodename\nlink a eth1 - ether\n");
    let hosts = Source::new("b", HOSTS.as_bytes());
    let errors = LltTab::parse(&tab, &hosts, &|_| Ok(b"no\x1b[7mrth".to_vec())).unwrap_err();
    assert!(!render(&errors).contains('\x1b'));
    // Line ends of other systems are none.
    parse("set-node 0\r\nlink\ta eth1 - ether\r\n").unwrap();
}

/// A line, and files, that are longer than anybody writes.
pub(super) fn too_long() -> Vec<ConfigErrors> {
    let word = format!("set-node 0\nlink {} eth1 - ether\n", "x".repeat(70_000));
    let far = format!("set-node 0\n{}x\nlink a eth1 - ether\n", " ".repeat(80_000));
    let file = "set-node 0\n".repeat(100_000);
    [word, far, file].map(|text| parse(&text).unwrap_err()).into()
}

#[test]
fn what_is_too_long_is_refused_and_can_be_shown() {
    let told = too_long().into_iter().map(|errors| {
        let (text, problems) = (render(&errors), errors.problems());
        assert!(text.len() < 1000, "{text}");
        assert_eq!(problems.len(), 1, "nothing else is judged: {text}");
        (problems[0].to_string(), problems[0].position())
    });
    let line = || "the line is longer than 4096 bytes".to_owned();
    let file = "the file is longer than 1048576 bytes".to_owned();
    let expected = [(line(), (2, 1)), (line(), (2, 1)), (file, (1, 1))];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    let hosts = format!("0 north\n1 {}\n", "ü".repeat(2100));
    let errors = parse_with("set-node 0\n", &hosts).unwrap_err();
    assert_eq!(errors.problems()[0].position(), (2, 1));
    // The longest line that there may be is shown at its end.
    let text = format!("{}x\n", " ".repeat(4094));
    assert!(render(&parse(&text).unwrap_err()).contains("`x` is no directive"));
}

#[test]
fn a_report_shows_twenty_problems_and_counts_the_rest() {
    let lines = |count: usize| parse(&"set-node 0 1\n".repeat(count)).unwrap_err();
    assert!(!render(&lines(8)).contains("more"));
    // As much as a file can hold: places must not be counted from its beginning each time.
    let errors = lines(80_000);
    let text = render(&errors);
    assert_eq!(text.matches("Error:").count(), 20 + 1, "{text}");
    assert!(
        text.trim_end().ends_with(&format!("and {} more", errors.problems().len() - 20)),
        "{text}"
    );
}

#[test]
fn a_file_of_links_only_is_refused_in_time() {
    let errors = parse(&"link a udp - udp 50000 - 10.0.0.1 -\n".repeat(29_000)).unwrap_err();
    let told: Vec<String> = errors.problems().iter().map(ToString::to_string).collect();
    assert!(told.contains(&"29000 links are configured".to_owned()), "{}", told.len());
    assert!(told.len() < 100, "{}", told.len());
}
