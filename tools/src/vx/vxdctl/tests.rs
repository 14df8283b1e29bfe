//! Command lines, and listings of a sample.

use clap::FromArgMatches;
use cvm::disk::Decision;
use cvm::model::Name;
use cvm::snapshot::Snapshot;

use super::cli::{Action, Cli, action};
use super::listing::{Listed, Range, Support, protocol};
use super::mode::Mode;
use super::{command, decided};
use crate::common::NotYet;
use crate::golden;
use crate::vx::sample_disks::snapshot;
use crate::vx::volboot::Volboot;

fn read(line: &str) -> Result<Action, String> {
    let words = std::iter::once("vxdctl").chain(line.split(' ').filter(|word| !word.is_empty()));
    let matches = command().try_get_matches_from(words).map_err(|error| error.to_string())?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.to_string())?;
    action(&cli).map_err(|failure| failure.to_string())
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

#[test]
fn lines_are_understood() {
    NotYet::recognise(&super::REFUSED, command()).debug_assert();
    for (line, expected) in [
        ("mode", Action::Mode),
        ("-c mode", Action::Mode),
        ("mode --json", Action::Mode),
        ("list", Action::List),
        ("support", Action::Support),
        ("protocolversion", Action::ProtocolVersion),
        ("protocolrange", Action::ProtocolRange),
        ("init", Action::Init(None)),
        ("init host1", Action::Init(Some(name("host1")))),
        ("hostid host1", Action::HostId(name("host1"))),
        ("defaultdg", Action::DefaultGroup),
        ("defaultdg mydg", Action::SetDefaultGroup(Some(name("mydg")))),
        ("defaultdg nodg", Action::SetDefaultGroup(None)),
        ("bootdg", Action::BootGroup),
        ("disable", Action::Disable),
        ("enable", Action::Enable),
        ("license", Action::License),
        ("license init", Action::License),
        ("transstate 3.5f2a.17", Action::TransState("3.5f2a.17".parse().unwrap())),
        ("stop", Action::Stop { kill: false }),
        ("-k stop", Action::Stop { kill: true }),
    ] {
        assert_eq!(read(line), Ok(expected), "{line}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (line, expected) in [
        ("", "required"),
        ("frobnicate", "possible values"),
        ("upgrade", "one version of the protocol"),
        ("add disk c1t1d0", "dev/vx/dmp"),
        ("initdmp", "one path"),
        ("-k mode", "-k does not go with mode, which takes -c, --json"),
        ("-c list", "-c does not go with list"),
        ("enable --json", "--json does not go with enable, which takes none"),
        ("mode x", "nothing was expected"),
        ("hostid", "expected hostid HOST"),
        ("hostid a/b", "is not a name"),
        ("defaultdg a/b", "is not a name"),
        ("defaultdg bootdg", "reserved"),
        ("bootdg mydg", "does not start from a disk group"),
        ("transstate", "expected transstate ID"),
        ("transstate 17", "a request id like"),
        ("license reload", "nothing was expected"),
        ("list a b", "unexpected argument"),
    ] {
        let error = read(line).expect_err(line);
        assert!(error.contains(expected), "{line}: {error}");
    }
}

/// Facts 3.12, one after the other.
#[test]
fn the_mode_has_the_forms_of_the_original() {
    let text = |change: fn(&mut Snapshot)| {
        let mut shown = snapshot();
        change(&mut shown);
        Mode::of(&shown).text(true)
    };
    let forms = [
        text(|_| ()),
        text(|shown| shown.cluster.node = 1),
        text(|shown| {
            "joining".clone_into(&mut shown.cluster.state);
            shown.cluster.is_suspended = true;
        }),
        text(|shown| {
            "joining".clone_into(&mut shown.cluster.state);
            (shown.cluster.node, shown.cluster.nodes[2].is_joiner) = (7, true);
        }),
        text(|shown| {
            "joining".clone_into(&mut shown.cluster.state);
            shown.cluster.master = None;
        }),
        text(|shown| "out of cluster".clone_into(&mut shown.cluster.state)),
        text(|shown| "cluster aborting".clone_into(&mut shown.cluster.state)),
        text(|shown| shown.cluster.has_iod = false),
        Mode::not_running().text(true),
        Mode::of(&snapshot()).text(false),
    ];
    golden::check("vxdctl-c-mode", &forms.join("\n"));
    golden::check_json("vxdctl-mode-json", &[Mode::of(&snapshot()), Mode::not_running()]);
}

#[test]
fn versions_and_volboot_are_shown() {
    let mut shown = snapshot();
    let mut volboot = Volboot { seqno: 19, host: None, default_group: None };
    let list = Listed::of(&volboot, &name("giga"));
    golden::check("vxdctl-list", &list.text());
    volboot.default_group = Some(name("mydg"));
    let list = Listed::of(&volboot, &name("giga"));
    golden::check_json("vxdctl-list-json", &list);
    golden::check("vxdctl-support", &Support::of(&shown.cluster).text());
    golden::check_json("vxdctl-support-json", &Support::of(&shown.cluster));
    let range = Range::of(&shown.cluster);
    assert_eq!(range.text(), "minprotoversion: 1, maxprotoversion: 1\n");
    golden::check_json("vxdctl-protocolrange-json", &range);
    assert_eq!(protocol(&shown.cluster).unwrap(), "Cluster running at protocol 1\n");
    "out of cluster".clone_into(&mut shown.cluster.state);
    assert_eq!(protocol(&shown.cluster).unwrap_err().to_string(), "Not in cluster");
    assert_eq!(decided(Some(Decision::Committed)), "committed");
    assert_eq!(decided(None), "unknown");
}
