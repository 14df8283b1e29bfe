//! What goes into the cores of a node, and what comes out, as the daemons do it
//! (`cvm/src/iod/reactor.rs`, `cvm/src/configd/reactor.rs`).
//!
//! A core that wants to send and finds no room waits, as a daemon that blocks does: it takes nothing
//! in before that is out.

use core::time::Duration;

use cvm::core::configd::ConfigdOutput;
use cvm::core::iod::{
    Command, DiskError, IodOutput, LogIo, Owes, RangeNumber, Upcall, VolumeIo, VolumeName,
};
use cvm::core::wire::parcel::Way;
use cvm::model::UniqueId;
use cvm::request::Reply;
use cvm::sim::{Answer, Job};
use gab::core::Mutant;
use llt::Instant;

use super::driver::Driver;
use super::node::{Answered, Heard, Node};
use super::port::Event;

/// What a process may do next, in no order.
const KINDS: usize = 11;
/// As much as a process does in one turn.
const ROUNDS_MAX: usize = 400;
/// Between two tries of vxconfigd to open its ports.
const PORT_RETRY: Duration = Duration::from_secs(1);

impl Driver {
    /// The processes of a node run, if they may.
    pub(super) fn turn(&mut self, node: usize) {
        let now = self.world.now();
        if self.is_stopped(node) || self.nodes[node].turn_at > now {
            return;
        }
        let latency = self.nodes[node].latency;
        self.nodes[node].turn_at = now + self.draw.exponential(latency);
        self.timers(node);
        for _ in 0..ROUNDS_MAX {
            let first = self.draw.pick(KINDS);
            if !(0..KINDS).any(|offset| self.act(node, (first + offset) % KINDS)) {
                break;
            }
        }
    }

    /// One thing of this kind, if there is one.
    fn act(&mut self, node: usize, kind: usize) -> bool {
        let state = &self.nodes[node];
        let iod = state.iod.is_some();
        let configd = state.configd.is_some() && state.hangs_until <= self.world.now();
        let iod_free = iod && state.iod_out.is_empty();
        let configd_free = configd && state.configd_out.is_empty();
        match kind {
            0 => iod && self.iod_output(node),
            1 => configd && self.configd_output(node),
            2 => iod_free && self.hear_disk(node),
            3 => iod_free && self.hear_configd(node),
            4 => iod_free && self.hear_v(node),
            5 => configd_free && self.hear_iod(node),
            6 => configd_free && self.hear_w(node),
            7 => configd_free && self.hear_u(node),
            8 => configd_free && self.scanned(node),
            9 => iod_free && self.plane_step(node),
            _ => configd_free && self.hear_utility(node),
        }
    }

    fn timers(&mut self, node: usize) {
        let local = self.local(node);
        let due = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= local);
        let hangs = self.nodes[node].hangs_until > self.world.now();
        let state = &mut self.nodes[node];
        if let Some(iod) = &mut state.iod
            && due(iod.deadline())
        {
            iod.handle_timer(local);
        }
        if let Some(configd) = state.configd.as_mut().filter(|_| !hangs) {
            configd.set_wall_time(1_283_432_300 + local.as_nanos() / 1_000_000_000);
            if due(configd.next_deadline()) {
                configd.handle_timer(local);
            }
        }
        self.collected(node);
        if !hangs {
            self.retry_ports(node);
        }
    }

    /// After every input.
    pub(super) fn collected(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        state.collect();
        if let Some(iod) = state.iod.as_ref().filter(|iod| iod.changes() != state.watched) {
            state.watched = iod.changes();
            for image in self.watch.tables(iod) {
                self.data.in_force(&image.group);
            }
        }
    }

    pub(super) fn note(&mut self, node: usize, kind: u64, about: u64) {
        self.digest.word(self.world.now().as_nanos() ^ (node as u64) << 56 ^ kind << 48);
        self.digest.word(about);
    }

    fn iod_output(&mut self, node: usize) -> bool {
        let state = &mut self.nodes[node];
        // A port is opened when the vxiod before has let go of it.
        let is_leaving = state.is_leaving || state.is_closing;
        let may = |output: &mut IodOutput| !matches!(output, IodOutput::OpenPort if is_leaving);
        let Some(output) = state.iod_out.pop_front_if(may) else { return false };
        let (world, said) = (&mut self.world, &mut self.said);
        match output {
            IodOutput::Broadcast(payload) => {
                if !state.v.send(world, said, None, true, &payload) {
                    state.iod_out.push_front(IodOutput::Broadcast(payload));
                    return false;
                }
            }
            IodOutput::SendTo(to, payload) => {
                if !state.v.send(world, said, Some(to), false, &payload) {
                    state.iod_out.push_front(IodOutput::SendTo(to, payload));
                    return false;
                }
            }
            IodOutput::ClosePort => self.close_port(node),
            IodOutput::CopyRange { volume, number } => self.copy_range(node, &volume, number),
            IodOutput::FillRange { volume, number, id, at, len } => {
                state.plane.fill(&volume, number, id, (at, len));
                self.check_still(node, &volume, number);
            }
            IodOutput::Filled { volume, id, at, len } => state.plane.filled(&volume, id, (at, len)),
            IodOutput::HoldRange { volume, number, at, len } => {
                state.plane.hold(&volume, number, (at, len));
                self.check_copies();
            }
            IodOutput::ReleaseRange { volume } => {
                let iod = self.nodes[node].iod.as_ref();
                if iod.is_some_and(|iod| !matches!(iod.io_of(&volume), VolumeIo::Runs { .. })) {
                    self.tell_io(node);
                }
                self.nodes[node].plane.release(&volume);
                self.check_copies();
            }
            IodOutput::Drain(ticket, group) => state.plane.drain(ticket, group),
            IodOutput::Log(token, io) => {
                let is_shared = is_shared(&io);
                self.begin(node, Job::Log(token, io), is_shared);
            }
            IodOutput::Look(disk) => self.begin(node, Job::Look(disk), false),
            // Nobody asks what volumes have done.
            IodOutput::Observe(..) | IodOutput::Prepare(_) => {}
            IodOutput::OpenPort => self.open_port(node),
            IodOutput::Notice(notice) => self.say(|| format!("node {node}: vxiod: {notice:?}")),
            IodOutput::Opened(ticket, result) => self.opened(node, ticket, result.is_ok()),
            IodOutput::Tell(upcall) => {
                let id = state.id;
                if state.iod_hears {
                    self.watch.upcall(id, &upcall);
                    self.nodes[node].to_configd.push_back(Heard::Said(upcall));
                }
            }
            IodOutput::Write(token, write, is_shared) => {
                self.watch.submitted(state.id, &write);
                self.begin(node, Job::Write(token, write), is_shared);
            }
        }
        true
    }

    fn copy_range(&mut self, node: usize, volume: &VolumeName, number: RangeNumber) {
        self.check_still(node, volume, number);
        let local = self.local(node);
        let state = &mut self.nodes[node];
        let of = state.iod.as_ref().and_then(|iod| iod.resyncs().find(|of| of.0 == volume));
        let aim = of.map(|(_, resync)| resync.clone());
        if !state.plane.copy(volume, number, aim)
            && let Some(iod) = &mut state.iod
        {
            iod.handle_copied(local, volume, number, false);
        }
        self.collected(node);
        self.check_copies();
    }

    /// vxiod wants something of a disk, which is told nothing while it owes answers.
    fn begin(&mut self, node: usize, job: Job, is_shared: bool) {
        let state = &mut self.nodes[node];
        if !state.debts.has(job.disk()) || matches!(job, Job::Look(_)) {
            self.storage.submit(state.id, job, is_shared);
            return;
        }
        let (local, lost) = (self.local(node), Err(DiskError::NoPath));
        if let Some(iod) = &mut self.nodes[node].iod {
            match job {
                Job::Log(token, _) => iod.handle_log(local, token, Err(DiskError::NoPath)),
                Job::Look(_) => {}
                Job::Write(token, _) => iod.handle_write(local, token, lost),
            }
        }
        self.collected(node);
    }

    fn open_port(&mut self, node: usize) {
        if !self.nodes[node].v.open(&mut self.world) {
            let local = self.local(node);
            if let Some(iod) = &mut self.nodes[node].iod {
                iod.handle_closed(local, "cluster device open failed");
            }
            self.collected(node);
        }
    }

    fn configd_output(&mut self, node: usize) -> bool {
        let Some(output) = self.nodes[node].configd_out.pop_front() else { return false };
        let local = self.local(node);
        let state = &mut self.nodes[node];
        let (world, said) = (&mut self.world, &mut self.said);
        let again = match output {
            ConfigdOutput::Broadcast(payload) => {
                (!state.w.send(world, said, None, false, &payload))
                    .then_some(ConfigdOutput::Broadcast(payload))
            }
            ConfigdOutput::SendTo(to, payload) if to == state.id => {
                if let Some(configd) = &mut state.configd {
                    configd.handle_message(local, to, Way::Direct, &payload);
                }
                None
            }
            ConfigdOutput::SendTo(to, payload) => {
                (!state.w.send(world, said, Some(to), false, &payload))
                    .then_some(ConfigdOutput::SendTo(to, payload))
            }
            ConfigdOutput::Ship(to, payload) => {
                (!state.u.send(world, said, Some(to), false, &payload))
                    .then_some(ConfigdOutput::Ship(to, payload))
            }
            ConfigdOutput::Command(command) => {
                self.command(node, command);
                None
            }
            ConfigdOutput::Notice(notice) => {
                self.say(|| format!("node {node}: vxconfigd: {notice:?}"));
                None
            }
            ConfigdOutput::Reply(session, reply) => {
                self.replied(node, session, reply);
                None
            }
            ConfigdOutput::Scan => {
                let takes = self.draw.between(Duration::ZERO, Duration::from_millis(6));
                self.nodes[node].scans.push_back(self.world.now() + takes);
                None
            }
            ConfigdOutput::KeepPreference(session, _) | ConfigdOutput::Reinit(session) => {
                if let Some(configd) = &mut state.configd {
                    configd.handle_kept(session, Ok(()));
                }
                None
            }
            ConfigdOutput::Disk(..) | ConfigdOutput::Snapshot(_) => {
                self.fault("cvm-output", || format!("node {node}: nobody asked for that"));
                None
            }
        };
        let is_done = again.is_none();
        self.nodes[node].configd_out.extend(again);
        // It was the first, and is again.
        self.nodes[node].configd_out.rotate_right(usize::from(!is_done));
        self.collected(node);
        is_done
    }

    fn command(&mut self, node: usize, command: Command) {
        if matches!(command, Command::StartNode) {
            self.nodes[node].is_joining = true;
            self.open_ports(node);
        }
        if matches!(command, Command::Drop { .. }) {
            self.watch.drop_asked();
        }
        let local = self.local(node);
        let state = &mut self.nodes[node];
        if state.configd_hears {
            state.to_iod.push_back(Heard::Said(command));
        } else if let Some(configd) = &mut state.configd {
            state.is_joining = false;
            configd.handle_iod_gone(local);
        }
    }

    fn replied(&mut self, node: usize, session: u64, reply: Reply) {
        let place = usize::try_from(session).unwrap_or(usize::MAX);
        let Some(asked) = self.asked.get_mut(place) else { return };
        match reply {
            Reply::Named(id) => asked.id = Some(id),
            reply if asked.reply.is_some() => {
                let text = format!("node {node}: a second answer to {session}: {reply:?}");
                self.fault("cvm-two-answers", || text);
            }
            reply => {
                self.watch.told(asked.id, &reply);
                asked.reply = Some(reply.clone());
                self.say(|| format!("node {node}: {session} is told {reply:?}"));
                self.digest.bytes(format!("{reply:?}").as_bytes());
            }
        }
    }

    /// What a disk owes has changed.
    pub(super) fn hangs(&mut self, node: usize, disk: &UniqueId, owes: Option<Owes>) {
        let is_minded = self.broken != Some(Mutant::DebtsUnminded);
        let (Some(owes), Some(iod)) = (owes, &mut self.nodes[node].iod) else { return };
        if is_minded {
            iod.handle_hangs(disk.clone(), owes);
        }
        self.say(|| format!("node {node}: disk {disk} hangs: {owes}"));
    }

    /// A disk has answered, or nobody waits for that any more.
    fn hear_disk(&mut self, node: usize) -> bool {
        let Some(answered) = self.nodes[node].ended.pop_front() else { return false };
        let local = self.local(node);
        let state = &mut self.nodes[node];
        let Some(iod) = &mut state.iod else { return true };
        let about = match answered {
            Answered::Hangs(disk) => {
                let owes = state.debts.owes(&disk);
                self.hangs(node, &disk, Some(owes));
                0
            }
            Answered::Job(Answer::Log(token, done)) => {
                iod.handle_log(local, token, done);
                token.0
            }
            Answered::Job(Answer::Look(disk, sees)) => {
                iod.handle_looked(local, &disk, sees);
                0
            }
            Answered::Job(Answer::Write(token, done)) => {
                iod.handle_write(local, token, done);
                token.0
            }
        };
        self.note(node, 1, about);
        self.collected(node);
        true
    }

    fn hear_configd(&mut self, node: usize) -> bool {
        let Some(heard) = self.nodes[node].to_iod.pop_front() else { return false };
        let local = self.local(node);
        let state = &mut self.nodes[node];
        let Some(iod) = &mut state.iod else { return false };
        match heard {
            Heard::Gone => {
                state.iod_hears = false;
                iod.handle_configd(local, false);
            }
            Heard::Here => {
                state.iod_hears = true;
                iod.handle_configd(local, true);
            }
            Heard::Said(command) => iod.handle_command(local, command),
        }
        self.note(node, 2, 0);
        self.collected(node);
        true
    }

    fn hear_v(&mut self, node: usize) -> bool {
        let Some(event) = self.nodes[node].v.next(&self.world) else { return false };
        if self.nodes[node].is_closing {
            // Nothing of it is for this stay any more, and a closed port holds up nothing.
            if matches!(event, Event::Closed(_)) {
                self.nodes[node].is_closing = false;
                self.give_up_lease(node);
            }
            return true;
        }
        let local = self.local(node);
        let state = &mut self.nodes[node];
        let Some(iod) = &mut state.iod else { return false };
        let is_closed = matches!(event, Event::Closed(_));
        let about = match event {
            Event::Closed(reason) => {
                iod.handle_closed(local, &reason);
                0
            }
            Event::Message(read) => {
                let payload = self.said.get(&read.uid).cloned().unwrap_or_default();
                iod.handle_message(local, read.sender, payload);
                if read.broadcast {
                    self.watch.stands(read.uid, state.generation, iod);
                }
                read.uid
            }
            Event::View(view) => {
                state.generation = view.generation;
                iod.handle_view(local, &view);
                view.generation
            }
        };
        if is_closed {
            self.give_up_lease(node);
        }
        self.note(node, 3, about);
        self.collected(node);
        true
    }

    fn hear_iod(&mut self, node: usize) -> bool {
        let Some(heard) = self.nodes[node].to_configd.pop_front() else { return false };
        let local = self.local(node);
        match &heard {
            Heard::Gone => self.lose_ports(node),
            Heard::Here => self.nodes[node].configd_hears = true,
            Heard::Said(Upcall::Out { .. }) => self.lose_ports(node),
            Heard::Said(Upcall::Role(role)) => {
                if role.is_member {
                    self.nodes[node].is_joining = false;
                }
                if role.is_member || role.master.is_some() || !role.joiners.is_empty() {
                    self.open_ports(node);
                }
            }
            Heard::Said(_) => {}
        }
        let state = &mut self.nodes[node];
        let Some(configd) = &mut state.configd else { return false };
        match heard {
            Heard::Gone => configd.handle_iod_gone(local),
            Heard::Here => configd.handle_iod_here(),
            Heard::Said(upcall) => configd.handle_upcall(local, upcall),
        }
        self.note(node, 4, 0);
        self.collected(node);
        true
    }

    fn hear_w(&mut self, node: usize) -> bool {
        let Some(event) = self.nodes[node].w.next(&self.world) else { return false };
        let local = self.local(node);
        let state = &mut self.nodes[node];
        let Some(configd) = &mut state.configd else { return false };
        let about = match event {
            Event::Closed(_) => {
                state.u.close(&mut self.world);
                configd.handle_ports_closed();
                0
            }
            Event::Message(read) => {
                let payload = self.said.get(&read.uid).cloned().unwrap_or_default();
                let way = if read.broadcast { Way::Broadcast } else { Way::Direct };
                configd.handle_message(local, read.sender, way, &payload);
                read.uid
            }
            Event::View(view) => {
                configd.handle_view(local, &view);
                view.generation
            }
        };
        self.note(node, 5, about);
        self.collected(node);
        true
    }

    fn hear_u(&mut self, node: usize) -> bool {
        let Some(event) = self.nodes[node].u.next(&self.world) else { return false };
        let local = self.local(node);
        let state = &mut self.nodes[node];
        let Some(configd) = &mut state.configd else { return false };
        let about = match event {
            Event::Closed(_) => {
                state.w.close(&mut self.world);
                configd.handle_ports_closed();
                0
            }
            Event::Message(read) => {
                let payload = self.said.get(&read.uid).cloned().unwrap_or_default();
                configd.handle_shipped(local, read.sender, &payload);
                read.uid
            }
            Event::View(view) => {
                configd.handle_shipping_view(local, &view);
                view.generation
            }
        };
        self.note(node, 6, about);
        self.collected(node);
        true
    }

    /// Port v is closed: what waits for the lease of that stay is not done any more.
    pub(super) fn give_up_lease(&mut self, node: usize) {
        for refused in self.storage.jobs.refuse(self.nodes[node].id) {
            self.answered(refused);
        }
    }

    /// What disks copy nobody changes who may change anything. A node that is about to be thrown out
    /// is kept from it by its lease.
    fn check_copies(&mut self) {
        let members = || self.nodes.iter().filter(|node| node.member().is_some());
        let reconfig = |node: &Node| node.member().map(|iod| iod.role().reconfig);
        // Reconfigurations are counted anew when all have left, whom one that stands still does not miss.
        let counts = |node: &&Node| self.has_lease(node.id.index());
        let mut wrong = None;
        for copier in members().filter(counts) {
            let same = |node: &&Node| reconfig(node) == reconfig(copier);
            for copy in copier.plane.copies() {
                let volume = copy.volume;
                let runs = |node: &Node| {
                    let iod = node.iod.as_ref();
                    iod.is_some_and(|iod| matches!(iod.io_of(volume), VolumeIo::Runs { .. }))
                };
                // What stands still has given nothing to disks, nor what is about to be told more.
                if !runs(copier) || !copier.iod_out.is_empty() {
                    continue;
                }
                for node in
                    members().filter(|node| node.iod_out.is_empty()).filter(same).filter(counts)
                {
                    let is_done_anew = node.member().is_some_and(|iod| copy.is_done_anew(iod));
                    let is_held = node.plane.held(volume) == Some(copy.number);
                    if runs(node) && !is_held && !is_done_anew {
                        wrong = Some((copier.id, node.id, volume.clone()));
                    }
                }
            }
        }
        if let Some((copier, node, volume)) = wrong {
            self.fault("cvm-copied", || {
                format!("node {node} may change what node {copier} copies of {volume:?}")
            });
        }
    }

    fn scanned(&mut self, node: usize) -> bool {
        if self.nodes[node].scans.front().is_none_or(|at| *at > self.world.now()) {
            return false;
        }
        let local = self.local(node);
        let state = &mut self.nodes[node];
        state.scans.pop_front();
        let devices = self.storage.disks.devices(state.id);
        if let Some(configd) = &mut state.configd {
            configd.handle_scan(local, devices);
        }
        self.note(node, 7, 0);
        self.collected(node);
        true
    }

    fn hear_utility(&mut self, node: usize) -> bool {
        let Some(place) = self.nodes[node].to_ask.pop_front() else { return false };
        let local = self.local(node);
        let state = &mut self.nodes[node];
        let request = self.asked[place].request.clone();
        if let Some(configd) = &mut state.configd {
            configd.handle_request(local, place as u64, request);
        }
        self.note(node, 8, place as u64);
        self.collected(node);
        true
    }

    fn lose_ports(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        state.is_joining = false;
        if state.w.is_open() || state.u.is_open() {
            state.w.close(&mut self.world);
            state.u.close(&mut self.world);
            if let Some(configd) = &mut state.configd {
                configd.handle_ports_closed();
            }
        }
    }

    /// Both, or none.
    fn open_ports(&mut self, node: usize) {
        let now = self.world.now();
        let state = &mut self.nodes[node];
        if state.w.is_open() {
            return;
        }
        state.port_retry = now + PORT_RETRY;
        if !state.w.open(&mut self.world) || !state.u.open(&mut self.world) {
            state.w.close(&mut self.world);
            state.u.close(&mut self.world);
        }
    }

    fn retry_ports(&mut self, node: usize) {
        let state = &self.nodes[node];
        let is_member = state.configd.as_ref().is_some_and(|configd| configd.role().is_member);
        let needs = state.configd_hears && (is_member || state.is_joining);
        if needs && !state.w.is_open() && state.port_retry <= self.world.now() {
            self.open_ports(node);
        }
    }
}

/// It changes what other nodes use.
const fn is_shared(io: &LogIo) -> bool {
    matches!(io, LogIo::Write { is_shared: true, .. })
}
