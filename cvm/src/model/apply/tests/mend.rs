//! `vxmend`

use super::*;
use crate::model::op::{Attribute, Mend};
use crate::model::states::{KernelState, PlexState, VolumeState};

fn mend(name: &str, how: Mend, force: bool) -> Op {
    Op::Mend { name: sample::name(name), how, force }
}

fn fix(name: &str, state: PlexState) -> Op {
    mend(name, Mend::Fix(state), false)
}

fn started() -> Group {
    let make = Make { logs: Some(1), ..plain("vol1", 2048, VolumeLayout::Mirror) };
    with(&group_of(&[10_000; 3]), make)
}

/// The same volume, stopped, with both plexes in the given state.
fn stopped(state: PlexState) -> Group {
    let mut group = started();
    let volume = group.volumes.get_mut("vol1").unwrap();
    (volume.kernel, volume.state) = (KernelState::Disabled, VolumeState::Clean);
    for plex in ["vol1-01", "vol1-02"] {
        let plex = group.plexes.get_mut(plex).unwrap();
        (plex.kernel, plex.state) = (KernelState::Disabled, state);
    }
    group
}

fn states(group: &Group) -> String {
    let plex = |name: &str| group.plexes[name].state;
    format!("{} {} {}", group.volumes["vol1"].state, plex("vol1-01"), plex("vol1-02"))
}

#[test]
fn a_stale_plex_is_declared_good_when_no_other_is() {
    let stale = stopped(PlexState::Stale);
    let one = done(&stale, &fix("vol1-02", PlexState::Clean));
    assert_eq!(states(&one), "CLEAN STALE CLEAN");
    assert_eq!(
        refused(&one, &fix("vol1-01", PlexState::Clean)),
        "Plex vol1-02 of volume vol1 is CLEAN (-o force does it)"
    );
    let both = done(&one, &mend("vol1-01", Mend::Fix(PlexState::Clean), true));
    assert_eq!(states(&both), "CLEAN CLEAN CLEAN");
    let one = done(&both, &fix("vol1-01", PlexState::Stale));
    assert_eq!(states(&one), "CLEAN STALE CLEAN");
    assert_eq!(
        refused(&one, &fix("vol1-02", PlexState::Clean)),
        "Plex vol1-02 is CLEAN, not STALE (-o force does it)"
    );
    assert_eq!(
        refused(&stale, &fix("vol1", PlexState::Clean)),
        "Plexes of volume vol1 are perhaps not equal (-o force does it)"
    );
    // They are made equal when the volume is started.
    assert_eq!(states(&done(&stale, &fix("vol1", PlexState::Active))), "ACTIVE ACTIVE ACTIVE");
}

#[test]
fn a_running_volume_is_not_fixed() {
    let expected = "Volume vol1 is enabled: it must be stopped first";
    for state in [PlexState::Active, PlexState::Clean, PlexState::Stale] {
        assert_eq!(refused(&started(), &fix("vol1-01", state)), expected);
    }
    assert_eq!(refused(&started(), &fix("vol1", PlexState::Empty)), expected);
}

#[test]
fn a_volume_is_emptied() {
    let active = stopped(PlexState::Active);
    assert_eq!(
        refused(&active, &fix("vol1", PlexState::Empty)),
        "Volume vol1 has active plexes: its data count (-o force empties it)"
    );
    let emptied = done(&active, &mend("vol1", Mend::Fix(PlexState::Empty), true));
    assert_eq!(states(&emptied), "EMPTY EMPTY EMPTY");
    assert_eq!(emptied.plexes["vol1-03"].state, PlexState::Log);
    let emptied = done(&stopped(PlexState::Clean), &fix("vol1", PlexState::Empty));
    assert_eq!(states(&emptied), "EMPTY EMPTY EMPTY");
    assert_eq!(
        refused(&active, &fix("vol1-01", PlexState::Empty)),
        "vol1-01 is a plex, not a volume"
    );
}

#[test]
fn a_plex_is_put_aside_and_comes_back_stale() {
    let off = done(&started(), &mend("vol1-01", Mend::Off, false));
    assert_eq!(states(&off), "ACTIVE OFFLINE ACTIVE");
    assert_eq!(off.plexes["vol1-01"].kernel, KernelState::Detached);
    for force in [false, true] {
        assert_eq!(
            refused(&off, &mend("vol1-02", Mend::Off, force)),
            "Volume vol1 would be left without a complete copy of its data"
        );
    }
    let on = done(&off, &mend("vol1-01", Mend::On, false));
    assert_eq!(states(&on), "ACTIVE STALE ACTIVE");
    assert_eq!(refused(&on, &mend("vol1-01", Mend::On, false)), "vol1-01 is not OFFLINE");

    let clean = stopped(PlexState::Clean);
    assert!(apply(&clean, &mend("vol1", Mend::Off, false), &ENV).is_err());
    let off = done(&clean, &mend("vol1", Mend::Off, true));
    assert_eq!(states(&off), "CLEAN OFFLINE OFFLINE");
    let on = done(&off, &mend("vol1", Mend::On, false));
    assert_eq!(states(&on), "CLEAN STALE STALE");
}

#[test]
fn what_cannot_be_mended_is_refused() {
    let group = stopped(PlexState::Clean);
    let cases = [
        (fix("vol1-03", PlexState::Stale), "Plex vol1-03 is a log: its state is always LOG"),
        (mend("vol1-03", Mend::Off, true), "Plex vol1-03 is a log: its state is always LOG"),
        (fix("mydg01", PlexState::Stale), "mydg01 is a disk, not a volume or plex"),
        (fix("vol9", PlexState::Stale), "volume or plex vol9 does not exist"),
        (fix("vol1", PlexState::Temp), "vxmend fix sets clean, active, stale or empty, not TEMP"),
    ];
    for (op, expected) in cases {
        assert_eq!(refused(&group, &op), expected);
    }
}

#[test]
fn locks_are_cleared() {
    let set = |text: &str| {
        (0..3)
            .flat_map(|n| [Attribute::Tutil(n, text.into()), Attribute::Putil(n, text.into())])
            .collect()
    };
    let locked = done(&started(), &Op::Edit { names: vec![name("vol1")], set: set("ATT") });
    let clear = |tutil, putil, number| mend("vol1", Mend::Clear { tutil, putil, number }, false);
    let one = done(&locked, &clear(true, false, Some(1)));
    assert_eq!(one.volumes["vol1"].common.tutil, ["ATT", "", "ATT"]);
    let some = done(&locked, &clear(false, true, None));
    assert_eq!(some.volumes["vol1"].common.putil, ["", "", ""]);
    assert_eq!(some.volumes["vol1"].common.tutil, ["ATT", "ATT", "ATT"]);
    assert_eq!(done(&locked, &clear(true, true, None)), started());
    assert!(apply(&locked, &clear(true, true, Some(3)), &ENV).is_err());
}
