//! Command lines, and listings of a sample.

use std::time::Duration;

use clap::FromArgMatches;
use cvm::request::ClusterRequest;
use cvm::snapshot::Snapshot;

use super::cli::{Action, Cli, action};
use super::listing::{Preference, nidmap, nodes, nodestate};
use super::{command, node_named};
use crate::common::Failure;
use crate::golden;
use crate::vx::sample_disks::snapshot;

fn read(line: &str) -> Result<Action, String> {
    let words = line.split(' ').filter(|word| !word.is_empty());
    let matches = command().try_get_matches_from(std::iter::once("vxclustadm").chain(words));
    let matches = matches.map_err(|error| error.to_string())?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.to_string())?;
    action(&cli).map_err(|failure| failure.to_string())
}

#[test]
fn lines_are_understood() {
    command().debug_assert();
    let limit = |seconds| Action::Start(Some(Duration::from_secs(seconds)));
    for (line, expected) in [
        ("nidmap", Action::NidMap),
        ("nodestate", Action::NodeState),
        ("-v nodestate", Action::NodeState),
        ("nodestate --json", Action::NodeState),
        ("startnode", Action::Start(None)),
        ("-m vcs -t gab startnode", Action::Start(None)),
        ("-m vcs -C clus1 -t gab -j 60 startnode", limit(60)),
        ("-m hpsg -C clus1 -t hpsg -j 5 startnode", limit(5)),
        ("-m hpsg startnode", Action::Start(None)),
        ("stopnode", Action::Ask(ClusterRequest::Stop)),
        ("abortnode", Action::Ask(ClusterRequest::Abort)),
        ("setmaster serverB", Action::SetMaster("serverB".to_owned())),
        ("setprimary serverB", Action::SetMaster("serverB".to_owned())),
        ("getpreference", Action::Preference),
        ("setpreference 10", Action::Ask(ClusterRequest::SetPreference(10))),
        ("setpreference -10", Action::Ask(ClusterRequest::SetPreference(-10))),
        ("reinit", Action::Ask(ClusterRequest::Reinit)),
        ("-m hpsg reinit", Action::Ask(ClusterRequest::Reinit)),
    ] {
        assert_eq!(read(line), Ok(expected), "{line}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (line, expected) in [
        ("", "required"),
        ("frobnicate", "possible values"),
        ("-m sun startnode", "possible values"),
        ("-m vcs -t hpsg startnode", "-m vcs goes with -t gab"),
        ("-m hpsg -t gab startnode", "-m hpsg goes with -t hpsg"),
        ("-j 0 startnode", "1..=86400"),
        ("-j soon startnode", "invalid"),
        ("-j 5 stopnode", "-j does not go with stopnode"),
        ("-t gab stopnode", "-t does not go with stopnode"),
        ("-v nidmap", "-v does not go with nidmap, which takes --json"),
        ("stopnode --json", "which takes none"),
        ("setmaster", "expected the name of a node"),
        ("setmaster a b", "unexpected argument"),
        ("setpreference", "expected a preference"),
        ("setpreference high", "expected a number"),
        ("setpreference 4294967296", "expected a number"),
        ("nodestate x", "nothing was expected"),
    ] {
        let error = read(line).expect_err(line);
        assert!(error.contains(expected), "{line}: {error}");
    }
}

#[test]
fn a_node_is_named() {
    let mut shown = snapshot();
    assert_eq!(node_named(&shown, "serverB").unwrap().get(), 1);
    let failure = node_named(&shown, "serverX").unwrap_err();
    assert!(matches!(failure, Failure::Usage(_)));
    let expected = "no node is called \"serverX\": known nodes are serverA, serverB, serverC";
    assert_eq!(failure.to_string(), expected);
    shown.cluster.nodes.clear();
    assert!(node_named(&shown, "a").unwrap_err().to_string().ends_with("known nodes are none"));
}

#[test]
fn nodes_are_listed() {
    let mut shown = snapshot();
    shown.cluster.nodes[2].is_joiner = true;
    shown.cluster.nodes.push(cvm::snapshot::NodeSnapshot { node: 12, ..Default::default() });
    golden::check("vxclustadm-nidmap", &nidmap(&nodes(&shown)));
    golden::check_json("vxclustadm-nidmap-json", &nodes(&shown));
    "out of cluster".clone_into(&mut shown.cluster.state);
    let out = nidmap(&nodes(&shown));
    assert_eq!(out, "Out of cluster: No mapping information available\n");
}

#[test]
fn the_state_has_the_forms_of_the_original() {
    let text = |verbose, change: fn(&mut Snapshot)| {
        let mut shown = snapshot();
        change(&mut shown);
        nodestate(&shown.cluster, verbose)
    };
    let out = |shown: &mut Snapshot| {
        "out of cluster".clone_into(&mut shown.cluster.state);
        "user initiated stop".clone_into(&mut shown.cluster.reason);
    };
    let forms = [
        text(false, |_| ()),
        text(true, |_| ()),
        text(true, |shown| shown.cluster.node = 1),
        text(true, |shown| {
            (shown.cluster.is_suspended, shown.cluster.nodes[2].is_joiner) = (true, true);
        }),
        text(false, |shown| shown.cluster.is_suspended = true),
        text(true, |shown| {
            "joining".clone_into(&mut shown.cluster.state);
            (shown.cluster.node, shown.cluster.master) = (7, None);
        }),
        text(false, out),
        text(true, out),
        text(false, |shown| "out of cluster".clone_into(&mut shown.cluster.state)),
    ];
    golden::check("vxclustadm-nodestate", &forms.join("\n"));
    golden::check_json("vxclustadm-nodestate-json", &snapshot().cluster);
}

#[test]
fn the_preference_is_shown() {
    let preference = Preference::of(&snapshot().cluster);
    assert_eq!(preference.text(), "preference: 5\npreference delta: 0\n");
    golden::check_json("vxclustadm-preference-json", &preference);
}
