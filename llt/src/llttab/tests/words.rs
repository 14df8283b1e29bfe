//! Lines that are not whole, words that do not belong there, values out of range.

use super::*;

pub(super) const CASES: &[Case] = &[
    case(
        "words that are missing",
        "set-node\nset-cluster\nlink\nlink a\nlink a eth1\nlink a eth1 -\nlink a udp - udp\n\
         link a udp - udp 50000\nlink a udp - udp 50000 -\nlink a udp - udp 50000 - 10.0.0.1\n\
         set-addr\nset-addr 1\nset-addr 1 a\nset-arp\nset-bcasthb\nset-checksum\n\
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
         set-timer rpeerinact:700\nset-dbg-minlinks 1\nset-dbg-minlinks 1\n",
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
