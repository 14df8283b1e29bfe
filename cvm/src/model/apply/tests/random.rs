//! Random requests on random groups.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::model::change::Change;
use crate::model::finding::Finding;
use crate::model::op::{Attribute, InitVolume, Mend, NewLength};
use crate::model::record::Piece;
use crate::model::sample::LAYOUTS;
use crate::model::states::{KernelState, PlexState};

pub(super) fn groups() -> impl Strategy<Value = Group> {
    prop::collection::vec(0_u64..20_000, 2..8).prop_map(|lens| group_of(&lens))
}

pub(super) fn makes() -> impl Strategy<Value = Make> {
    let shape = (0..LAYOUTS.len(), 0_u16..5, 0_u64..5, 0_u16..4, 0_u16..4, any::<bool>());
    (shape, 1_u64..15_000).prop_map(|((layout, columns, width, mirrors, logs, contiguous), len)| {
        let layout = LAYOUTS[layout];
        let striped = !matches!(layout, VolumeLayout::Concat | VolumeLayout::ConcatMirror);
        Make {
            columns: Some(columns).filter(|columns| striped && *columns > 1),
            width: Some(width * 24).filter(|width| striped && *width > 0),
            mirrors: Some(mirrors).filter(|mirrors| *mirrors > 0),
            logs: Some(logs).filter(|logs| *logs > 0 && mirrors > 1),
            contiguous,
            ..plain("new", len, layout)
        }
    })
}

/// A request, to be made for whatever is in the group when its turn comes.
#[derive(Clone, Debug)]
struct Step {
    kind: u8,
    pick: usize,
    len: Sectors,
    count: u16,
    words: Vec<(usize, bool)>,
    make: Make,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let words = prop::collection::vec((any::<usize>(), any::<bool>()), 0..4);
    let step = (0_u8..26, any::<usize>(), 1_u64..20_000, 1_u16..3, words, makes());
    let step = step.prop_map(|(kind, pick, len, count, words, make)| Step {
        kind,
        pick,
        len,
        count,
        words,
        make,
    });
    prop::collection::vec(step, 1..25)
}

fn pick<T>(from: &[T], number: usize) -> Option<&T> {
    from.get(number.checked_rem(from.len())?)
}

impl Step {
    fn op(&self, group: &Group, turn: usize) -> Option<Op> {
        let volumes: Vec<&Name> = group.volumes.keys().collect();
        let plexes: Vec<&Name> = group.plexes.keys().collect();
        let disks: Vec<&Name> = group.disks.keys().collect();
        let volume = || pick(&volumes, self.pick).map(|name| (*name).clone());
        let plex = || pick(&plexes, self.pick).map(|name| (*name).clone());
        let disk = |number| pick(&disks, number).map(|name| (*name).clone());
        let words = self.words.iter().filter_map(|(number, excluded)| {
            Some(Storage { disk: disk(*number)?, excluded: *excluded, offset: None })
        });
        let storage: Vec<Storage> = words.collect();
        let (count, force) = (self.count, self.pick.is_multiple_of(2));
        let to = match self.pick % 4 {
            0 => NewLength::GrowBy(self.len),
            1 => NewLength::GrowTo(self.len),
            2 => NewLength::ShrinkBy(self.len),
            _ => NewLength::ShrinkTo(self.len),
        };
        Some(match self.kind {
            0..=3 => {
                let name = name(&format!("vol{turn}"));
                make_op(Make { name, storage, ..self.make.clone() })
            }
            4 => Op::AddLog {
                volume: volume()?,
                log_type: LogType::Region,
                count,
                len: None,
                storage,
            },
            5 | 6 => Op::Resize { volume: volume()?, to, storage, force: true },
            7 => Op::Mirror { volume: volume()?, count, layout: None, storage },
            8 => Op::Move { volume: volume()?, storage },
            9 => Op::RemoveLog { volume: volume()?, count, storage },
            10 => Op::RemoveMirror { volume: volume()?, count, storage },
            11 => Op::RemoveVolume { volume: volume()?, force },
            12 => Op::RemoveDisks { names: vec![disk(self.pick)?], keep: force },
            13 => {
                let name = pick(&plexes, self.pick)?;
                let how = [Mend::Off, Mend::On, Mend::Fix(PlexState::Stale)];
                Op::Mend { name: (*name).clone(), how: *pick(&how, usize::from(count))?, force }
            }
            14 => Op::Edit { names: vec![disk(self.pick)?], set: vec![Attribute::Spare(force)] },
            15 => Op::StartVolume { volume: volume()?, force },
            16 => Op::StopVolume(volume()?),
            17 => Op::InitVolume { volume: volume()?, how: InitVolume::Active, plex: None, force },
            18 => Op::DetachPlexes { plexes: vec![plex()?], force },
            19 => Op::DissociatePlexes { plexes: vec![plex()?], remove: count == 1, force },
            20 => self.attach(group)?,
            21 | 22 => Op::Relocate { plex: plex()? },
            23 => Op::Unrelocate { volume: volume()?, from: disk(self.pick)?, to: None, force },
            24 => Op::Edit { names: vec![disk(self.pick)?], set: vec![Attribute::Failing(force)] },
            _ => Op::Rename { from: volume()?, to: name(&format!("renamed{turn}")) },
        })
    }
}

impl Step {
    /// Now and then a plex fails, or what was copied is current.
    fn finding(&self, group: &Group) -> Option<Finding> {
        let plexes: Vec<&Name> = group.plexes.keys().collect();
        let plex = *pick(&plexes, self.pick)?;
        match (self.kind, self.len % 3) {
            (21, _) => {
                let disks = tree::disks_of_pieces(group, &group.plexes[plex].pieces);
                let disk = disks.first().and_then(|disk| group.disks[disk].disk.clone());
                Some(Finding::PlexFailed(plex.clone(), disk))
            }
            (_, 0) => {
                let (volume, _) = group.volume_of(plex)?;
                let volume = group.volumes.get_key_value(volume)?.0.clone();
                Some(Finding::Equal(volume, BTreeSet::from([plex.clone()])))
            }
            _ => None,
        }
    }

    /// Of what no volume has nobody knows where it lies: two mirrors could come to lie on one disk.
    fn attach(&self, group: &Group) -> Option<Op> {
        let of_volumes: Vec<(&Name, &Name)> = group
            .volumes
            .iter()
            .flat_map(|(name, volume)| volume.plexes.iter().map(move |plex| (name, plex)))
            .collect();
        let (volume, plex) = *pick(&of_volumes, self.pick)?;
        let (volume, plexes) = (volume.clone(), vec![plex.clone()]);
        Some(Op::AttachPlexes { volume, plexes, force: false })
    }
}

/// A volume that runs can be read, and so can its layers.
pub(super) fn check_served(group: &Group) {
    for (name, volume) in &group.volumes {
        let mut plexes = tree::data_plexes(group, volume);
        let is_read = plexes.any(|(_, plex)| {
            let is_on = plex.kernel == KernelState::Enabled;
            is_on
                && tree::is_current(group, volume, plex)
                && tree::is_there(group, plex, tree::is_good)
        });
        assert!(is_read || volume.kernel != KernelState::Enabled, "{name}: {:#?}", show(group));
        let is_on = |plex: &Name| group.plexes[plex].kernel == KernelState::Enabled;
        let any_on = volume.plexes.iter().any(is_on);
        assert!(!any_on || volume.kernel == KernelState::Enabled, "{name}: {:#?}", show(group));
    }
}

/// Mirrors of a volume, columns of a plex, and logs of a volume lie on disks of their own.
pub(super) fn check_disks(group: &Group) {
    for (name, volume) in &group.volumes {
        let mut seen = BTreeSet::new();
        for (plex_name, plex) in tree::data_plexes(group, volume) {
            for column in 0..plex.layout.columns() {
                let pieces: Vec<&Piece> =
                    plex.pieces.iter().filter(|piece| piece.column == column).collect();
                for disk in tree::disks_of_pieces(group, pieces) {
                    assert!(seen.insert(disk.clone()), "{name} {plex_name} {disk}");
                }
            }
            assert!(group.plex_len(plex) >= volume.len, "{plex_name} is shorter than {name}");
        }
        let mut logs = BTreeSet::new();
        for (_, plex) in tree::log_plexes(group, volume) {
            assert!(logs.insert(tree::disk_of_log(group, plex)), "logs of {name}");
        }
    }
}

fn free_of(group: &Group) -> Sectors {
    free_space(group).iter().map(|extent| extent.len).sum()
}

fn remove_all(group: &Group) -> Group {
    let names = group.volumes.keys().chain(group.plexes.keys()).chain(group.subdisks.keys());
    let names = names.cloned().collect();
    done(group, &Op::RemoveRecords { names, recursive: true, force: true })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_group_stays_whole_whatever_is_asked_of_it(group in groups(), steps in steps()) {
        let mut group = group;
        for (turn, step) in steps.iter().enumerate() {
            if let Some(finding) = step.finding(&group) {
                group = Finding::apply(&group, [&finding]).group;
                prop_assert_eq!(check(&group), Ok(()));
                check_disks(&group);
                check_served(&group);
            }
            let Some(op) = step.op(&group, turn) else { continue };
            // A refusal changes nothing: there is no way to see a half of a change.
            if let Ok(new) = apply(&group, &op, &ENV) {
                prop_assert_eq!(check(&new), Ok(()));
                // It reaches other nodes as a text.
                let change = Change::between(Some(&group), &new);
                prop_assert_eq!(change.apply(Some(&group)), Ok(new.clone()));
                group = new;
                check_disks(&group);
                check_served(&group);
            }
        }
        let whole: Sectors = group.disks.values().map(|disk| disk.public_len).sum();
        prop_assert_eq!(free_of(&remove_all(&group)), whole);
    }

    #[test]
    fn a_volume_that_grew_shrinks_back(
        group in groups(), make in makes(), old in makes(), by in 1_u64..9000,
    ) {
        let old = Make { name: name("old"), len: Some(old.len.unwrap() / 4 + 1), ..old };
        let group = apply(&group, &make_op(old), &ENV).unwrap_or(group);
        let Ok(before) = apply(&group, &make_op(make), &ENV) else { return Ok(()) };
        let len = before.volumes["new"].len;
        let resize = |to| Op::Resize { volume: name("new"), to, storage: Vec::new(), force: true };
        let Ok(grown) = apply(&before, &resize(NewLength::GrowBy(by)), &ENV) else { return Ok(()) };
        check_disks(&grown);
        prop_assert!(grown.volumes["new"].len >= len + by);
        let back = done(&grown, &resize(NewLength::ShrinkTo(len)));
        prop_assert_eq!(show(&back), show(&before));
    }

    #[test]
    fn maxsize_is_the_largest_that_make_accepts(
        group in groups(), old in makes(), make in makes(), part in 0.0_f64..1.0,
    ) {
        let old = Make { name: name("old"), len: Some(old.len.unwrap() / 4 + 1), ..old };
        let group = apply(&group, &make_op(old), &ENV).unwrap_or(group);
        let with_len = |len| make_op(Make { len, ..make.clone() });
        let Ok(most) = maxsize(&group, &make, &ENV) else {
            prop_assert!(apply(&group, &with_len(Some(1)), &ENV).is_err());
            return Ok(());
        };
        prop_assert_eq!(done(&group, &with_len(None)).volumes["new"].len, most);
        let longest = done(&group, &with_len(Some(most)));
        prop_assert_eq!(longest.volumes["new"].len, most);
        check_disks(&longest);
        prop_assert!(apply(&group, &with_len(Some(most + 1)), &ENV).is_err());
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "any length will do")]
        let len = ((most as f64) * part) as u64 + 1;
        check_disks(&done(&group, &with_len(Some(len.min(most)))));
    }

    #[test]
    fn maxgrow_is_the_largest_that_grow_accepts(group in groups(), old in makes(), make in makes()) {
        let make = Make { len: Some(make.len.unwrap() / 4 + 1), ..make };
        let old = Make { name: name("old"), len: Some(old.len.unwrap() / 4 + 1), ..old };
        let Ok(group) = apply(&group, &make_op(make), &ENV) else { return Ok(()) };
        let group = apply(&group, &make_op(old), &ENV).unwrap_or(group);
        let most = maxgrow(&group, &name("new"), &[]).unwrap();
        let grow = |to| Op::Resize {
            volume: name("new"), to: NewLength::GrowTo(to), storage: Vec::new(), force: false,
        };
        let grown = done(&group, &grow(most));
        prop_assert_eq!(grown.volumes["new"].len, most);
        check_disks(&grown);
        prop_assert!(apply(&group, &grow(most + 1), &ENV).is_err());
    }

    #[test]
    fn what_vxmake_reads_is_never_a_panic(text in "((sd|plex|vol|dm) [a-c]( (dm|sd|plex|len|dmoffset|volume|layer|layout|ncolumn|log|minor|state|kstate)=([a-d]|mydg01|on|stripe|[0-9]{1,20}|a:1/2|a,b|EMPTY|LOG|ENABLED)){0,5}\n){1,6}") {
        let group = group_of(&[10_000]);
        if let Ok(new) = apply(&group, &Op::MakeRecords { descriptions: text }, &ENV) {
            prop_assert_eq!(check(&new), Ok(()));
        }
    }
}
