//! Which disks the lanes of a volume get, and which ranges of them.
//!
//! A lane is what must not share a disk with another lane: a mirror, or a column of a mirror. A
//! request that fits is laid out with the fewest ranges, first disks first ([`fewest`]). Near the
//! end of the space that is not the way to make everything fit: then whole disks are dealt to
//! lanes ([`deal`]). How much fits ([`largest`]) is asked of the latter alone.

use std::collections::BTreeSet;

use super::space::{Extent, Space};
use crate::model::ids::Name;
use crate::model::size::Sectors;

/// What a mirror or column needs.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    /// So much more, a multiple of the alignment.
    pub(super) need: Sectors,
    /// Disks that it lies on already; others lanes do not get them.
    pub(super) own: BTreeSet<Name>,
    /// Where its last subdisk ends: going on from there needs no new one.
    pub(super) after: Option<(Name, Sectors)>,
}

/// The rooms of each lane, as indices.
pub(super) type Deal = Vec<Vec<usize>>;

/// The ranges of each lane.
pub(super) type Lanes = Vec<Vec<Extent>>;

/// Places all lanes, with few ranges if that works.
pub(super) fn place(space: &Space, lanes: &[Lane], contiguous: bool) -> Option<Lanes> {
    fewest(space, lanes, contiguous)
        .or_else(|| fill_all(space, lanes, &deal(space, lanes, contiguous)?, contiguous))
}

/// Each lane in turn gets what needs the fewest ranges, of the first disks where that is so.
pub(super) fn fewest(space: &Space, lanes: &[Lane], contiguous: bool) -> Option<Lanes> {
    let own = own_rooms(space, lanes);
    let mut free = pool(space, &own);
    let mut placed = Vec::new();
    for (lane, own) in lanes.iter().zip(&own) {
        let rooms = fewest_rooms(space, lane, own, &free, contiguous);
        free.retain(|room| !rooms.contains(room));
        placed.push(fill(space, &rooms, lane, contiguous)?);
    }
    Some(placed)
}

fn fewest_rooms(
    space: &Space,
    lane: &Lane,
    own: &[usize],
    free: &[usize],
    contiguous: bool,
) -> Vec<usize> {
    let total = |room: usize| space.rooms[room].total();
    let whole = |room: &&usize| space.rooms[**room].longest() >= lane.need;
    if lane.need == 0 || own.iter().any(|room| whole(&room)) {
        return own.to_vec();
    }
    if let Some(room) = free.iter().find(whole) {
        return vec![*room];
    }
    if contiguous || own.iter().map(|room| total(*room)).sum::<Sectors>() >= lane.need {
        return own.to_vec();
    }
    if let Some(room) = free.iter().find(|room| total(**room) >= lane.need) {
        return vec![*room];
    }
    // Several disks: the largest first, so that they are few.
    let mut by_size = free.to_vec();
    by_size.sort_by_key(|room| std::cmp::Reverse(total(*room)));
    let mut rooms = own.to_vec();
    let mut have: Sectors = own.iter().map(|room| total(*room)).sum();
    for room in by_size {
        if have >= lane.need {
            break;
        }
        have += total(room);
        rooms.push(room);
    }
    rooms
}

/// Deals whole disks to lanes so that each has enough: the largest disk to the lane that lacks most
/// and, if few disks are left over for that to be good enough, every way there is.
pub(super) fn deal(space: &Space, lanes: &[Lane], contiguous: bool) -> Option<Deal> {
    let own = own_rooms(space, lanes);
    let size = |room: usize| {
        if contiguous { space.rooms[room].longest() } else { space.rooms[room].total() }
    };
    let mut rooms: Vec<(Sectors, usize)> =
        pool(space, &own).into_iter().map(|room| (size(room), room)).collect();
    rooms.retain(|(size, _)| *size > 0);
    rooms.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    let have = |own: &Vec<usize>| own.iter().map(|room| size(*room)).sum::<Sectors>();
    let lacks: Vec<Sectors> =
        lanes.iter().zip(&own).map(|(lane, own)| lane.need.saturating_sub(have(own))).collect();
    let dealt = if contiguous {
        one_each(&rooms, &lacks)
    } else {
        let all = rooms.len() <= SEARCHED_MAX;
        greedy(&rooms, &lacks).or_else(|| all.then(|| search(&rooms, &lacks)).flatten())
    };
    let mut dealt = dealt?;
    for (dealt, own) in dealt.iter_mut().zip(own) {
        dealt.splice(0..0, own);
    }
    Some(dealt)
}

/// The ranges that all lanes get of the rooms that were dealt to them.
pub(super) fn fill_all(
    space: &Space,
    lanes: &[Lane],
    deal: &Deal,
    contiguous: bool,
) -> Option<Lanes> {
    lanes.iter().zip(deal).map(|(lane, rooms)| fill(space, rooms, lane, contiguous)).collect()
}

/// The largest multiple of `unit`, above `from` and up to `to`, that `fits`, with what `fits` says of
/// it. What fits must fit with every lower length too.
pub(super) fn largest<T>(
    unit: Sectors,
    from: Sectors,
    to: Sectors,
    fits: impl Fn(Sectors) -> Option<T>,
) -> Option<(Sectors, T)> {
    let (mut low, mut high) = (from / unit, to / unit);
    let mut best = None;
    while low < high {
        let middle = high - (high - low) / 2;
        if let Some(how) = fits(middle * unit) {
            best = Some((middle * unit, how));
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    best
}

/// The ranges that a lane gets of some rooms: what needs no new subdisk, then a single range if one
/// is long enough, else the longest ones.
fn fill(space: &Space, rooms: &[usize], lane: &Lane, contiguous: bool) -> Option<Vec<Extent>> {
    let holes = || rooms.iter().flat_map(|room| &space.rooms[*room].holes);
    let mut holes: Vec<&Extent> = holes().collect();
    let mut left = lane.need;
    let mut taken = Vec::new();
    let goes_on = |hole: &&Extent| {
        lane.after.as_ref().is_some_and(|(disk, end)| hole.disk == *disk && hole.offset == *end)
    };
    if let Some(place) = holes.iter().position(goes_on) {
        take(&mut taken, holes.remove(place), &mut left);
    }
    while left > 0 {
        let whole = holes.iter().position(|hole| hole.len >= left);
        let longest = || {
            let by_len = holes.iter().enumerate().rev().max_by_key(|(_, hole)| hole.len);
            by_len.map(|(place, _)| place).filter(|_| !contiguous)
        };
        let place = whole.or_else(longest)?;
        take(&mut taken, holes.remove(place), &mut left);
    }
    Some(taken)
}

fn take(taken: &mut Vec<Extent>, hole: &Extent, left: &mut Sectors) {
    let len = hole.len.min(*left);
    if len > 0 {
        taken.push(Extent { len, ..hole.clone() });
        *left -= len;
    }
}

/// The rooms that lanes have already. One that two have (such mirrors can be made by hand) is the
/// first one's.
fn own_rooms(space: &Space, lanes: &[Lane]) -> Vec<Vec<usize>> {
    let mut seen = BTreeSet::new();
    let mut own = Vec::new();
    for lane in lanes {
        let rooms = space.rooms.iter().enumerate();
        let rooms = rooms.filter(|(_, room)| lane.own.contains(&room.disk));
        let rooms: Vec<usize> =
            rooms.map(|(room, _)| room).filter(|room| seen.insert(*room)).collect();
        own.push(rooms);
    }
    own
}

/// The rooms that no lane has.
fn pool(space: &Space, own: &[Vec<usize>]) -> Vec<usize> {
    let owned: BTreeSet<usize> = own.iter().flatten().copied().collect();
    (0..space.rooms.len()).filter(|room| !owned.contains(room)).collect()
}

/// One room for each lane that lacks something.
fn one_each(rooms: &[(Sectors, usize)], lacks: &[Sectors]) -> Option<Deal> {
    let mut order: Vec<usize> = (0..lacks.len()).filter(|lane| lacks[*lane] > 0).collect();
    order.sort_by_key(|lane| std::cmp::Reverse(lacks[*lane]));
    let mut deal = vec![Vec::new(); lacks.len()];
    let mut rooms = rooms.iter();
    for lane in order {
        let (_, room) = rooms.next().filter(|(size, _)| *size >= lacks[lane])?;
        deal[lane].push(*room);
    }
    Some(deal)
}

fn greedy(rooms: &[(Sectors, usize)], lacks: &[Sectors]) -> Option<Deal> {
    let mut lacks = lacks.to_vec();
    let mut deal = vec![Vec::new(); lacks.len()];
    for (size, room) in rooms {
        let most = (0..lacks.len()).rev().max_by_key(|lane| lacks[*lane])?;
        lacks[most] = lacks[most].saturating_sub(*size);
        deal[most].push(*room);
        if lacks.iter().all(|lack| *lack == 0) {
            return Some(deal);
        }
    }
    lacks.iter().all(|lack| *lack == 0).then_some(deal)
}

/// Above so many disks only the greedy way is tried: they leave little over there.
const SEARCHED_MAX: usize = 12;

/// How many steps a search takes at most.
const STEPS_MAX: u32 = 20_000;

fn search(rooms: &[(Sectors, usize)], lacks: &[Sectors]) -> Option<Deal> {
    let mut search =
        Search { rooms, lacks: lacks.to_vec(), deal: vec![Vec::new(); lacks.len()], steps: 0 };
    let left = rooms.iter().map(|(size, _)| size).sum();
    search.step(0, left).then_some(search.deal)
}

struct Search<'a> {
    rooms: &'a [(Sectors, usize)],
    lacks: Vec<Sectors>,
    deal: Deal,
    steps: u32,
}

impl Search<'_> {
    /// Gives the rooms from `next` on, which have `left` in all, to lanes.
    fn step(&mut self, next: usize, left: Sectors) -> bool {
        let lack: Sectors = self.lacks.iter().sum();
        if lack == 0 {
            return true;
        }
        self.steps += 1;
        if lack > left || self.steps > STEPS_MAX {
            return false;
        }
        let Some(&(size, room)) = self.rooms.get(next) else { return false };
        // Lanes that lack the same are the same from here on: one of them is tried.
        let mut tried = BTreeSet::new();
        for lane in 0..self.lacks.len() {
            let before = self.lacks[lane];
            if before == 0 || !tried.insert(before) {
                continue;
            }
            self.lacks[lane] = before.saturating_sub(size);
            self.deal[lane].push(room);
            if self.step(next + 1, left - size) {
                return true;
            }
            self.deal[lane].pop();
            self.lacks[lane] = before;
        }
        false
    }
}
