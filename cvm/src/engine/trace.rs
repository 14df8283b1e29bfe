//! What has happened last in a shard, for `vxtrace`: a ring, which is filled as long as somebody asks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use llt::{Duration, Instant};

use super::{SHARDS_MAX, VolumeNumber};
use crate::model::Sectors;
use crate::stats::{STALL, Stage, TraceEvent, TraceObject, TracedWork, micros};
use crate::volume::{DiskWork, OpId, Placed, Request, RequestId, Volume, VolumeMap, What};

/// The events of a shard.
#[derive(Debug, Default)]
pub(super) struct Trace {
    ring: VecDeque<Event>,
    room: usize,
    /// How many events have come and gone before the first of the ring.
    first: u64,
    /// Nobody has asked since long after that; `None`: nothing is kept.
    until: Option<Instant>,
    /// What has begun and is not over.
    begun: BTreeMap<Key, Begun>,
    /// Numbers of operations: of all shards no two are the same.
    next_op: u64,
}

/// Names something that is under way.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Key {
    /// An operation of a disk for a volume.
    Op(VolumeNumber, OpId),
    /// A request, of whatever volume.
    Request(RequestId),
}

/// What is under way.
#[derive(Clone, Debug)]
struct Begun {
    number: u64,
    since: Instant,
    map: Arc<VolumeMap>,
    about: About,
    pid: Option<u32>,
    /// It was said that it does not come back.
    is_stalled: bool,
}

/// What is done.
#[derive(Clone, Copy, Debug)]
enum About {
    /// By a disk; for this operation of the volume, which begins at this block.
    Disk(Placed, Option<(u64, Sectors)>),
    Volume(Request),
}

#[derive(Clone, Debug)]
struct Event {
    begun: Begun,
    stage: Stage,
    at: Instant,
}

/// Events that somebody has asked for.
#[derive(Debug)]
pub(crate) struct Taken {
    /// In the order in which they happened.
    pub(crate) events: Vec<TraceEvent>,
    /// How many are missing before the first of them.
    pub(crate) lost: u64,
    /// The number of the next one.
    pub(crate) next: u64,
}

impl Trace {
    /// What happens is kept.
    pub(super) const fn is_on(&self) -> bool {
        self.until.is_some()
    }

    /// Whether anybody is still interested.
    pub(super) fn look(&mut self, now: Instant) {
        if self.until.is_some_and(|until| until < now) {
            let (first, next_op) = (self.end(), self.next_op);
            *self = Self { first, next_op, ..Self::default() };
        }
    }

    fn end(&self) -> u64 {
        self.first + self.ring.len() as u64
    }

    /// Somebody has seen what was before `next`, and asks for what is there now; there is to be room for
    /// so many events until the next time. `wall`: microseconds since 1970.
    pub(super) fn take(
        &mut self,
        now: Instant,
        wall: u64,
        next: Option<u64>,
        room: usize,
    ) -> Taken {
        self.until = Some(now + LEASE);
        self.room = room.clamp(self.room, ROOM_MAX).max(ROOM_MIN);
        let end = self.end();
        let from = next.unwrap_or(end).min(end);
        let seen = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let events = self.ring.iter().skip(seen);
        let events =
            events.filter_map(|event| event.told(wall.saturating_sub(micros(now.since(event.at)))));
        Taken { events: events.collect(), lost: self.first.saturating_sub(from), next: end }
    }

    fn push(&mut self, event: Event) {
        if self.ring.len() >= self.room {
            self.ring.pop_front();
            self.first += 1;
        }
        self.ring.push_back(event);
    }

    /// A request has come to a volume. It is not told of before it is known which one that is.
    pub(super) fn request_begins(
        &mut self,
        now: Instant,
        request: Request,
        volume: &Volume,
        pid: Option<u32>,
    ) {
        if request.what == What::Hold || volume.map().home().is_none() {
            return;
        }
        let begun = self.begun(now, volume.map(), About::Volume(request), pid);
        let concurrency = volume.requests() as u64;
        self.push(Event { begun: begun.clone(), stage: Stage::Start { concurrency }, at: now });
        self.begun.insert(Key::Request(request.id), begun);
    }

    /// A disk is told something.
    pub(super) fn op_begins(
        &mut self,
        now: Instant,
        number: VolumeNumber,
        volume: &Volume,
        op: OpId,
    ) {
        let Some(placed) = volume.place(op) else { return };
        let begun = self.begun_op(now, volume, placed);
        let concurrency = volume.in_flight() as u64;
        self.push(Event { begun: begun.clone(), stage: Stage::Start { concurrency }, at: now });
        self.begun.insert(Key::Op(number, op), begun);
    }

    fn begun_op(&mut self, since: Instant, volume: &Volume, placed: Placed) -> Begun {
        let parent = self.begun.get(&Key::Request(placed.op.request));
        let parent = parent.and_then(|parent| match parent.about {
            About::Volume(request) => Some((parent.number, request.at)),
            About::Disk(..) => None,
        });
        self.begun(since, volume.map(), About::Disk(placed, parent), None)
    }

    fn begun(
        &mut self,
        since: Instant,
        map: &Arc<VolumeMap>,
        about: About,
        pid: Option<u32>,
    ) -> Begun {
        let number = self.next_op;
        self.next_op += SHARDS_MAX as u64;
        Begun { number, since, map: Arc::clone(map), about, pid, is_stalled: false }
    }

    /// It is over. Of what has begun before anybody looked it is not told, unless it stalled.
    pub(super) fn ends(&mut self, now: Instant, key: Key, is_done: bool) {
        let Some(begun) = self.begun.remove(&key) else { return };
        let stage = Stage::End { micros: micros(now.since(begun.since)), is_done };
        self.push(Event { begun, stage, at: now });
    }

    /// What does not come back for long is told once.
    pub(super) fn look_for_stalls(&mut self, now: Instant, number: VolumeNumber, volume: &Volume) {
        let is_late = |since: Instant| now.since(since) >= STALL;
        for (request, since) in volume.under_way().filter(|(_, since)| is_late(*since)) {
            let key = Key::Request(request.id);
            if request.what != What::Hold && !self.begun.contains_key(&key) {
                let begun = self.begun(since, volume.map(), About::Volume(request), None);
                self.begun.insert(key, begun);
            }
            self.stalls(now, key);
        }
        for placed in volume.outstanding().filter(|placed| is_late(placed.since)) {
            let key = Key::Op(number, placed.op.id);
            if !self.begun.contains_key(&key) {
                let begun = self.begun_op(placed.since, volume, placed);
                self.begun.insert(key, begun);
            }
            self.stalls(now, key);
        }
    }

    fn stalls(&mut self, now: Instant, key: Key) {
        let Some(begun) = self.begun.get_mut(&key).filter(|begun| !begun.is_stalled) else {
            return;
        };
        begun.is_stalled = true;
        let stage = Stage::Stall { micros: micros(now.since(begun.since)) };
        let begun = begun.clone();
        self.push(Event { begun, stage, at: now });
    }

    /// Operations of this shard are numbered from here on, in steps of [`SHARDS_MAX`].
    pub(super) fn of_shard(number: usize) -> Self {
        Self { next_op: number as u64 + 1, ..Self::default() }
    }
}

impl Event {
    /// As it is told; nothing of a volume of which nothing is known yet.
    fn told(&self, time: u64) -> Option<TraceEvent> {
        let Self { begun: Begun { number, map, about, pid, .. }, stage, .. } = self;
        let (home, volume) = (map.home()?, map.mirrors().first()?);
        let mut event = TraceEvent {
            op: *number,
            parent: None,
            stage: *stage,
            work: TracedWork::Flush,
            group: home.id.clone(),
            group_name: home.name.to_string(),
            volume: TraceObject { name: volume.name.to_string(), block: 0 },
            minor: home.minor,
            plex: None,
            subdisk: None,
            disk: None,
            len: 0,
            pid: *pid,
            time,
        };
        match about {
            About::Volume(request) => {
                event.volume.block = request.at;
                (event.work, event.len) = (word_of(request.what), request.len);
            }
            About::Disk(Placed { op, plex, subdisk, .. }, parent) => {
                let block = parent.map_or(0, |(_, at)| at) + op.offset;
                event.parent = parent.map(|(number, _)| number);
                event.volume.block = block;
                (event.work, event.len) = (work_of(op.work), op.len);
                let object = |name: &crate::model::Name, block| {
                    Some(TraceObject { name: name.to_string(), block })
                };
                event.plex = plex.and_then(|plex| object(&map.plex(plex).name, block));
                let subdisk = subdisk.and_then(|index| map.subdisks().get(index.0));
                event.subdisk = subdisk.and_then(|subdisk| {
                    let begin = subdisk.place.map_or(0, |(_, at)| at);
                    object(&subdisk.name, op.at.saturating_sub(begin))
                });
                let member = map.members().get(op.disk.0);
                event.disk = member.and_then(|member| object(&member.name, op.at));
            }
        }
        Some(event)
    }
}

const fn word_of(what: What) -> TracedWork {
    match what {
        What::Copy | What::Fill { .. } | What::Hold => TracedWork::Copy,
        What::Flush => TracedWork::Flush,
        What::Read => TracedWork::Read,
        What::Write { .. } => TracedWork::Write,
        What::Zero { .. } => TracedWork::Zero,
    }
}

const fn work_of(work: DiskWork) -> TracedWork {
    match work {
        DiskWork::Flush => TracedWork::Flush,
        DiskWork::Read => TracedWork::Read,
        DiskWork::Write { .. } => TracedWork::Write,
        DiskWork::Zero { .. } => TracedWork::Zero,
    }
}

/// Nobody asks any more if nobody has asked for so long.
const LEASE: Duration = Duration::from_secs(2);
/// Events that are kept: a few, and no more than an answer of all shards has room for.
const ROOM_MIN: usize = 64;
const ROOM_MAX: usize = 1 << 13;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::Rules;

    const NUMBER: VolumeNumber = VolumeNumber(3);

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn volume() -> Volume {
        let map = VolumeMap::new(&crate::model::sample::group(), "vol1").unwrap();
        let rules = Rules { is_alone: true, is_marked: true, ..Rules::default() };
        Volume::new(Arc::new(map), rules)
    }

    fn read(id: u64) -> Request {
        Request { id: RequestId(id), what: What::Read, at: 8, len: 16 }
    }

    /// A trace that somebody looks at, from its beginning.
    fn looked_at() -> Trace {
        let mut trace = Trace::of_shard(0);
        assert_eq!(trace.take(at(0), 0, None, 0).next, 0);
        trace
    }

    fn stages(taken: &Taken) -> Vec<(u64, Option<u64>, Stage)> {
        taken.events.iter().map(|event| (event.op, event.parent, event.stage)).collect()
    }

    #[test]
    fn a_request_and_what_its_disk_does_are_told_with_their_times() {
        let (mut trace, mut volume) = (looked_at(), volume());
        volume.set_time(at(5));
        volume.submit(read(7));
        trace.request_begins(at(5), read(7), &volume, Some(42));
        let op = volume.outstanding().next().unwrap().op;
        trace.op_begins(at(6), NUMBER, &volume, op.id);
        trace.ends(at(8), Key::Op(NUMBER, op.id), true);
        trace.ends(at(9), Key::Request(RequestId(7)), true);
        let taken = trace.take(at(10), 1_000_000, Some(0), 0);
        let start = Stage::Start { concurrency: 1 };
        let expected = [
            (1, None, start),
            (5, Some(1), start),
            (5, Some(1), Stage::End { micros: 2000, is_done: true }),
            (1, None, Stage::End { micros: 4000, is_done: true }),
        ];
        assert_eq!(stages(&taken), expected);
        let [request, disk, ..] = &taken.events[..] else { panic!("{taken:?}") };
        assert_eq!((request.pid, request.volume.block, request.len), (Some(42), 8, 16));
        assert_eq!((request.time, &request.disk), (995_000, &None));
        assert_eq!(disk.volume, request.volume);
        assert!(disk.plex.is_some() && disk.subdisk.is_some() && disk.disk.is_some());
        assert_eq!((taken.lost, taken.next), (0, 4));
    }

    #[test]
    fn a_request_is_told_of_once_it_is_known_to_which_volume_it_came() {
        let (mut trace, mut volume) = (looked_at(), super::super::shard::waiting());
        volume.submit(read(7));
        trace.request_begins(at(5), read(7), &volume, None);
        let next = trace.take(at(6), 0, Some(0), 0).next;
        volume.go_on(Arc::clone(self::volume().map()), Rules::default());
        let (request, since) = volume.under_way().next().expect("a read is under way");
        trace.request_begins(since, request, &volume, None);
        trace.ends(at(9), Key::Request(RequestId(7)), true);
        let ends = Stage::End { micros: micros(at(9).since(since)), is_done: true };
        let expected = [(1, None, Stage::Start { concurrency: 1 }), (1, None, ends)];
        assert_eq!(stages(&trace.take(at(10), 0, Some(next), 0)), expected);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_the_newest_is_kept() {
        let (mut trace, volume) = (looked_at(), volume());
        for id in 0..100 {
            trace.request_begins(at(id), read(id), &volume, None);
        }
        let taken = trace.take(at(200), 0, Some(0), 0);
        assert_eq!((taken.events.len(), taken.lost, taken.next), (ROOM_MIN, 36, 100));
        assert_eq!(trace.take(at(200), 0, Some(100), 0).events, []);
        assert_eq!(trace.take(at(200), 0, None, 0).events, [], "from now on");
    }

    #[test]
    fn nothing_is_kept_when_nobody_has_asked_for_long() {
        let (mut trace, volume) = (looked_at(), volume());
        trace.request_begins(at(1), read(1), &volume, None);
        trace.look(at(1000));
        assert!(trace.is_on());
        trace.look(at(2001));
        assert!(!trace.is_on() && trace.begun.is_empty() && trace.ring.is_empty());
        let taken = trace.take(at(3000), 0, Some(0), 0);
        assert_eq!((taken.lost, taken.next), (1, 1), "it says that something is missing");
    }

    /// Also what has begun before anybody looked.
    #[test]
    fn what_does_not_come_back_is_told_once_and_its_end_too() {
        let (mut trace, mut volume) = (looked_at(), volume());
        volume.set_time(at(100));
        volume.submit(read(7));
        trace.look_for_stalls(at(1000), NUMBER, &volume);
        assert!(trace.ring.is_empty());
        trace.look_for_stalls(at(1200), NUMBER, &volume);
        trace.look_for_stalls(at(2200), NUMBER, &volume);
        let op = volume.outstanding().next().unwrap().op;
        trace.ends(at(3000), Key::Op(NUMBER, op.id), false);
        let taken = trace.take(at(3000), 0, Some(0), 0);
        let stall = Stage::Stall { micros: 1_100_000 };
        let end = Stage::End { micros: 2_900_000, is_done: false };
        assert_eq!(stages(&taken), [(1, None, stall), (5, Some(1), stall), (5, Some(1), end)]);
    }
}
