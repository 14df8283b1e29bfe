//! Who this node is, who the others are.

use super::*;

pub(super) const CASES: &[Case] = &[
    Case { name: "nothing at all", tab: "# nothing\n", hosts: "\n" },
    case(
        "twice",
        "set-node 0\nset-cluster 1\nlink a eth1 - ether - -\nset-node 1\nset-cluster 1\n",
    ),
    case("a node that is not there", "set-node west\nlink a eth1 - ether - -\n"),
    case("an id that is not there", "set-node 9\nlink a eth1 - ether - -\n"),
    case("a file that is not there", "set-node /etc/nowhere\nlink a eth1 - ether - -\n"),
    case("a file without a name", "set-node /etc/empty\nlink a eth1 - ether - -\n"),
    case(
        "a node that excludes itself",
        "set-node south\nlink a eth1 - ether - -\nexclude 2 0-3\ninclude 0\n",
    ),
    Case {
        name: "llthosts",
        tab: "set-node west\nlink a eth1 - ether - -\nset-addr 7 a 00:15:17:48:b5:80\n",
        hosts: "0 north\n1\n0 again\n2 north\n200 far\nthree x\n4 four too\n5 5\n-1 minus\n",
    },
];

#[test]
fn nodes_are_known_by_id_and_name() {
    insta::assert_snapshot!(transcript(CASES));
}

#[test]
fn the_own_node_is_an_id_a_name_or_a_file() {
    for (given, id, name) in [
        ("2", 2, "east"),
        ("north", 0, "north"),
        // Cut at the first dot (facts 1.3); only in a file.
        ("/etc/nodename", 1, "south"),
        ("/etc/nodeid", 2, "east"),
    ] {
        let tab = parse(&format!("set-node {given}\nlink a eth1 - ether - -\n")).unwrap();
        assert_eq!((tab.node, tab.name()), (node(id), name), "{given}");
    }
    assert!(parse("set-node south.example.org\nlink a eth1 - ether - -\n").is_err());
}

#[test]
fn include_takes_back_what_exclude_said_before() {
    let tab = "set-node 0\nlink a eth1 - ether - -\nexclude 4-31 40\ninclude 31 5-6\nexclude 6\n";
    let tab = parse(tab).unwrap();
    assert_eq!(tab.excluded.len(), 27);
    assert!(!tab.excluded.contains(node(5)) && tab.excluded.contains(node(6)));
    let back = "set-node 0\nlink a eth1 - ether - -\nexclude 0-3\ninclude 0\n";
    assert!(!parse(back).unwrap().excluded.contains(node(0)));
}

#[test]
fn the_file_of_the_own_node_lies_below_the_root() {
    let root = tempfile::tempdir().unwrap();
    let at = root.path().join("etc/nodename");
    let error = read_below(root.path(), "/etc/nodename").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().ends_with(&format!("; looked for {}", at.display())), "{error}");
    std::fs::create_dir(root.path().join("etc")).unwrap();
    std::fs::write(&at, "north").unwrap();
    assert_eq!(read_below(root.path(), "/etc/nodename").unwrap(), b"north");
    let error = read_below(Path::new("/"), "/no/such/file").unwrap_err();
    assert!(!error.to_string().contains("looked for"), "{error}");
}
