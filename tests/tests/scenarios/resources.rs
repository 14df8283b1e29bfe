//! Scenarios 51, 57, 59, 65, 66, 68, 72 to 74: foreign frames, long lists, many nodes, long uptime,
//! full queues, and clients that come and go at the wrong moment.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use gab::PortName;
use gab::limits::{SEND_QUEUE_BYTES, SEND_QUEUE_MESSAGES};
use gab::snapshot::NodeNote;
use gab::wire::{Body, NAK_RANGES_MAX};
use llt::wire::Frame;
use llt::{ClusterId, Incarnation};
use sim::client::{Act, Plan};
use sim::history::What;
use sim::node::Clock;
use sim::profile::Profile;
use sim::scenario::{Catch, Client, Note, Stage, forge, link_of, log_of, members_at, message_of};
use sim::setup::{LinkSetup, Setup};
use sim::world::Verdict;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Everything that is sent in 300 ms, some of it by clients.
fn traffic(stage: &mut Stage, clients: &[Client]) -> Catch {
    let catch = Catch::default();
    let inner = catch.clone();
    stage.filter(move |gram| {
        inner.keep(gram);
        Verdict::Pass
    });
    let sent: Vec<_> = clients.iter().map(|client| stage.broadcast(*client, true)).collect();
    stage.send_to(clients[0], 1);
    stage.pass(ms(300));
    stage.wait_read(clients, &sent);
    stage.unfilter();
    catch
}

/// A counter of LLT, summed over all nodes.
fn total(stage: &Stage, of: impl Fn(&llt::stats::Stats) -> u64) -> u64 {
    let stacks = (0..stage.world.nodes()).filter_map(|node| stage.world.hosts.stack(node));
    stacks.map(|stack| of(stack.llt().stats())).sum()
}

#[test]
fn s51_a_younger_node_with_the_id_of_a_member_is_told_to_stop() {
    // Nobody is at the address of node 3 but the younger node 2.
    let setup = Setup { seed_count: Some(3), ..Setup::fast(4) };
    let mut stage = Stage::new(Profile::quiet(setup));
    for node in 0..3 {
        stage.world.boot(node);
    }
    stage.wait_view(&[0, 1, 2]);
    let clients: Vec<Client> = (0..3).map(|node| stage.open(node, 'G')).collect();
    let (older, views) = (stage.life(2).id, stage.views());
    let (catch, note) = (Catch::default(), Note::default());
    let (inner, told) = (catch.clone(), note.clone());
    stage.filter(move |gram| {
        let Ok(frame) = Frame::check(gram.packet.frame) else { return Verdict::Pass };
        match frame.body {
            llt::wire::Body::Heartbeat(_) if gram.packet.from == 2 => inner.keep(gram),
            llt::wire::Body::Duplicate(notice) if gram.packet.to == 3 => {
                told.write(format!("{} tells of {}", gram.packet.from, notice.older.0));
            }
            _ => {}
        }
        Verdict::Pass
    });
    // It talks as long as the older one does, and in the same way.
    let younger = older.incarnation.0 + 1_000_000;
    let told = |node: usize| note.says(&format!("{node} tells of {}", older.incarnation.0));
    for _ in 0..1000 {
        for caught in catch.take().iter().filter(|caught| caught.to < 2) {
            let frame = forge(&caught.frame, |frame| {
                frame[16..24].copy_from_slice(&younger.to_be_bytes());
            });
            stage.world.inject(caught.link, 3, caught.to, frame);
        }
        if told(0) && told(1) {
            break;
        }
        stage.pass(ms(1));
    }
    assert!(told(0) && told(1), "both others tell it whose id it has");
    for node in 0..2 {
        let nodes = stage.world.hosts.stack(node).expect("it runs").snapshot().llt.nodes;
        let notes = nodes.into_iter().flat_map(|other| other.notes).collect::<Vec<_>>();
        assert!(notes.contains(&NodeNote::Duplicate { node: 2 }), "{notes:?}");
    }
    let uid = stage.broadcast(clients[2], true);
    stage.wait_read(&clients, &[uid]);
    assert_eq!(stage.views(), views, "the older one lives and nobody else is concerned");
    assert_eq!(stage.life(2).id, older);
    stage.conclude();
}

#[test]
fn s57_frames_of_another_cluster_and_of_another_version() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    let frames = traffic(&mut stage, &clients).take();
    let views = stage.views();
    let cluster = stage.world.hosts.setup().cluster + 1;
    for other in [ClusterId(cluster).0.to_be_bytes(), [9, 9]] {
        let version = other == [9, 9];
        let count = |stage: &Stage| {
            total(stage, |s| if version { s.rcv_bad_version } else { s.rcv_bad_cluster })
        };
        let before = count(&stage);
        for caught in frames.iter().filter(|caught| caught.to != caught.from).cycle().take(1000) {
            let at = if version { 2..4 } else { 4..6 };
            let frame = forge(&caught.frame, |frame| frame[at].copy_from_slice(&other));
            stage.world.inject(caught.link, caught.from, caught.to, frame);
        }
        stage.pass(ms(50));
        assert_eq!(count(&stage) - before, 1000, "each is counted");
    }
    for node in 0..3 {
        let ignored = stage.world.hosts.stack(node).expect("it runs").snapshot().llt.ignored;
        assert!(!ignored.is_empty() && ignored.iter().all(|other| other.cluster == cluster));
        assert!(ignored.len() <= 3, "once each: {ignored:?}");
    }
    let uid = stage.broadcast(clients[0], true);
    stage.wait_read(&clients, &[uid]);
    assert_eq!(stage.views(), views);
    stage.conclude();
}

/// An acknowledgement of GAB in a packet of LLT, as a machine of whatever make sends it.
const FRAME: &str = "4c4c010101020b000304003405060708\
                     11121314151617182122232425262728\
                     313233344142434445464748bc94aec0\
                     00000000000001020000002400030000\
                     03000001020304050607080911121314\
                     15161718212223242526272831323334\
                     35363738";

fn bytes(hex: &str) -> Bytes {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).expect("a digit");
    let pairs = hex.as_bytes().chunks(2);
    let byte = |pair: &[u8]| pair.iter().fold(0, |byte, other| byte * 16 + digit(other));
    pairs.map(|pair| u8::try_from(byte(pair)).expect("two digits")).collect()
}

#[test]
fn s59_the_order_of_bytes_on_the_wire_is_not_that_of_a_machine() {
    let literal = bytes(FRAME);
    let frame = Frame::check(&literal).expect("a frame");
    let header = frame.header;
    assert_eq!((header.cluster, header.sequence), (ClusterId(0x0102), 0x0506_0708));
    assert_eq!(header.src_incarnation, Incarnation(0x1112_1314_1516_1718));
    assert_eq!(header.dst_incarnation, Incarnation(0x2122_2324_2526_2728));
    assert_eq!((header.src_session, header.dst_session), (0x3132, 0x3334));
    assert_eq!(header.ack, 0x4142_4344_4546_4748);
    let llt::wire::Body::Data(data) = frame.body else { panic!("a packet") };
    assert_eq!((data.number, data.message_len, data.first, data.last), (0x0102, 36, true, true));
    let message = message_of(&literal).expect("a message");
    let head = message.head;
    assert_eq!((message.body, head.vid.round), (Body::Ack, 0x0102_0304_0506_0708));
    let proposer = head.vid.proposer;
    assert_eq!((proposer.node.get(), proposer.incarnation.0), (9, 0x1112_1314_1516_1718));
    assert_eq!((head.ack, head.busy), (0x2122_2324_2526_2728, 0x3132_3334_3536_3738));
    // The same frames from a machine that forgot to turn its numbers round: none is heeded.
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    let frames = traffic(&mut stage, &clients).take();
    let (views, reads) = (stage.views(), stage.reads(clients[0]));
    let count = |stage: &Stage| total(stage, |s| s.rcv_malformed + s.rcv_bad_cluster);
    let before = count(&stage);
    let foreign = frames.iter().filter(|caught| caught.to != caught.from);
    for caught in foreign.clone() {
        let turned = forge(&caught.frame, |frame| {
            // Cluster, length, sequence, incarnations, sessions, acknowledgement.
            for (at, len) in [(4, 2), (10, 2), (12, 4), (16, 8), (24, 8), (32, 2), (34, 2), (36, 8)]
            {
                frame[at..at + len].reverse();
            }
        });
        stage.world.inject(caught.link, caught.from, caught.to, turned);
    }
    stage.pass(ms(50));
    assert_eq!(count(&stage) - before, foreign.count() as u64);
    assert_eq!((stage.views(), stage.reads(clients[0])), (views, reads));
    stage.conclude();
}

/// Every second one of 400 slots is lost to node 2, and it is told only then; gives the lengths of
/// its requests.
fn every_second_slot_is_lost(mtu: usize) -> Vec<usize> {
    let setup = Setup { links: vec![LinkSetup::plain(mtu); 2], ..Setup::fast(3) };
    let mut stage = Stage::formed_with(setup);
    let clients = stage.open_all('G');
    let requests = Rc::new(RefCell::new(Vec::new()));
    let note = Note::default();
    let (inner, asked) = (note.clone(), requests.clone());
    stage.filter(move |gram| {
        if let (2, Some(Body::Nak(ranges))) =
            (gram.packet.from, gram.message.as_ref().map(|message| &message.body))
        {
            asked.borrow_mut().push(ranges.len());
        }
        if gram.packet.to != 2 || inner.says("enough") {
            return Verdict::Pass;
        }
        match gram.kind() {
            "ORD" if gram.slots().iter().any(|slot| slot % 2 == 0) => {
                inner.write("lost");
                Verdict::Drop
            }
            "RETR" => Verdict::Drop,
            _ => Verdict::Pass,
        }
    });
    let views = stage.views();
    let mut sent = Vec::new();
    for _ in 0..400 {
        let uid = stage.broadcast(clients[0], false);
        stage.wait_read(&clients[..1], &[uid]);
        sent.push(uid);
    }
    assert!(note.count("lost") >= 150, "{} lost", note.count("lost"));
    assert!(!stage.has_read(clients[2], sent[399]));
    note.write("enough");
    stage.wait_read(&clients, &sent);
    assert_eq!(stage.views(), views);
    stage.conclude();
    requests.take()
}

#[test]
fn s65_a_request_for_more_slots_than_one_names() {
    let requests = every_second_slot_is_lost(8192);
    assert!(requests.iter().all(|ranges| *ranges <= NAK_RANGES_MAX));
    let full = requests.iter().filter(|ranges| **ranges == NAK_RANGES_MAX).count();
    assert!(full >= 2, "there is more than one names: {requests:?}");
}

#[test]
fn s65_a_request_that_is_longer_than_a_frame() {
    let requests = every_second_slot_is_lost(576);
    let most = requests.iter().max().copied().unwrap_or(0);
    // As many as a frame of this size has room for.
    assert!((20..35).contains(&most), "{requests:?}");
    let full = requests.iter().filter(|ranges| **ranges == most).count();
    assert!(full >= 4, "there is more than one names: {requests:?}");
}

#[test]
fn s66_more_than_a_hundred_nodes_in_one_view() {
    const NODES: u8 = 110;
    let link = LinkSetup { broadcast: true, ..LinkSetup::plain(8192) };
    let mut stage = Stage::formed_with(Setup { links: vec![link], ..Setup::fast(NODES) });
    let first = stage.open(0, 'G');
    let last = stage.open(usize::from(NODES) - 1, 'G');
    let changes = |world: &sim::world::World| {
        world.hosts.stack(0).map_or(0, |stack| stack.gab().counters().view_changes)
    };
    let before = changes(&stage.world);
    stage.world.crash(5);
    stage.wait("the change begins", |world| changes(world) > before);
    let start = stage.now();
    let rest: Vec<usize> = (0..usize::from(NODES)).filter(|node| *node != 5).collect();
    stage.wait_view(&rest);
    let took = stage.now().since(start);
    assert!(took < ms(50), "{took:?}");
    assert_eq!(changes(&stage.world), before + 1, "in one go");
    let uid = stage.broadcast(last, true);
    stage.wait_read(&[first, last], &[uid]);
    stage.conclude();
}

#[test]
fn s68_clocks_pass_fifty_days_of_milliseconds() {
    let run = |uptime_ms: u64| {
        let mut profile = Profile::quiet(Setup::fast(3));
        for clock in &mut profile.clocks {
            *clock = Clock { offset_ns: uptime_ms * 1_000_000, ..Clock::default() };
        }
        let mut stage = Stage::new(profile);
        let plan = Plan {
            burst_max: 3,
            safe: 0.5,
            directed: 0.2,
            ..Plan::watcher(PortName::new('G').unwrap())
        };
        let clients: Vec<_> = (0..3).map(|node| stage.add_agent(node, plan)).collect();
        stage.world.boot_all();
        stage.wait_view(&[0, 1, 2]);
        stage.world.busy = true;
        // The milliseconds of these clocks leave 32 bits after ten seconds.
        stage.pass(ms(15_000));
        stage.world.crash(2);
        stage.wait_view(&[0, 1]);
        stage.world.boot(2);
        stage.wait_view(&[0, 1, 2]);
        stage.pass(ms(10_000));
        stage.world.busy = false;
        let seen = (stage.views_at(0), stage.reads(clients[0]), stage.now());
        stage.conclude();
        seen
    };
    let (young, old) = (run(1000), run((1 << 32) - 10_000));
    assert!(young.1.len() > 1000, "{} messages", young.1.len());
    assert_eq!(young, old, "no timer is affected");
}

/// What stands for memory pressure, since no allocation may fail softly: nothing is kept beyond the
/// queues' limits, the client is told to wait, and the heartbeats of its node go on.
#[test]
fn s72_a_client_sends_more_than_there_is_room_for() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    let views = stage.views();
    for (len, room) in [(64, SEND_QUEUE_MESSAGES), (65_536, SEND_QUEUE_BYTES / 65_536)] {
        let first = stage.world.hosts.history.sent.len() as u64;
        let act = Act::Broadcast { safe: true, len };
        let mut accepted = 0;
        while accepted <= 2 * room && stage.world.act(1, clients[1].agent, act) {
            accepted += 1;
        }
        assert_eq!(accepted, room, "of {len} bytes");
        let sizes = stage.world.hosts.stack(1).expect("it runs").gab().sizes();
        assert!(sizes.pending <= room, "{sizes:?}");
        stage.world.kick(1);
        let sent: Vec<u64> = (first..first + room as u64).collect();
        let mut slow = 0;
        stage.wait("all of it is delivered", |world| {
            let links = [0, 2].into_iter().flat_map(|node| [0, 1].map(|link| (node, link)));
            let up = |(node, link)| link_of(world, node, 1, link).status == "UP";
            slow += usize::from(!links.into_iter().all(up));
            let read = log_of(world, clients[1]).map_or(0, |log| log.own_read);
            read as u64 == first + sent.len() as u64
        });
        assert_eq!(slow, 0, "heartbeats are on time");
        stage.wait_read(&clients, &sent[sent.len() - 1..]);
    }
    assert_eq!(total(&stage, |stats| stats.late_timer), 0);
    assert_eq!(stage.views(), views);
    let uid = stage.broadcast(clients[1], true);
    stage.wait_read(&clients, &[uid]);
    stage.conclude();
}

/// Two long frames of node 1 pass, the rest is held until the note says "released".
fn hold_the_rest(stage: &mut Stage) -> Note {
    let note = Note::default();
    let inner = note.clone();
    stage.filter(move |gram| {
        if gram.packet.from != 1 || gram.packet.frame.len() < 2000 || inner.says("released") {
            return Verdict::Pass;
        }
        let to = format!("to {}", gram.packet.to);
        inner.write(to.clone());
        if inner.count(&to) > 2 { Verdict::Hold } else { Verdict::Pass }
    });
    note
}

/// Positions in what a client has read: of a message, and of the first membership without node 1
/// after there was one with it.
fn places(stage: &Stage, client: Client, uid: u64) -> (Option<usize>, Option<usize>) {
    let entries = &stage.log(client).expect("it is registered").entries;
    let message = |what: &What| matches!(what, What::Deliver(read) if read.uid == uid);
    let without =
        |what: &What| matches!(what, What::View(view) if view.left.iter().any(|n| n.get() == 1));
    let place = |is: &dyn Fn(&What) -> bool| entries.iter().position(|entry| is(&entry.what));
    (place(&message), place(&without))
}

#[test]
fn s73_a_client_ends_between_the_pieces_of_its_message() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    let note = hold_the_rest(&mut stage);
    let large = stage.broadcast_len(clients[1], false, 60_000);
    stage.wait("two pieces have left", |_| note.count("to 0") > 2 && note.count("to 2") > 2);
    stage.world.agents[1][clients[1].agent].retired = true;
    assert!(stage.world.act(1, clients[1].agent, Act::Close));
    stage.world.kick(1);
    stage.pass(ms(20));
    for client in [clients[0], clients[2]] {
        assert_eq!(places(&stage, client, large), (None, None), "no part of it, and no end");
    }
    note.write("released");
    stage.world.release_held();
    stage.wait("everybody learns that it is gone", |world| {
        [clients[0], clients[2]].iter().all(|client| {
            let view = log_of(world, *client).and_then(|log| log.view);
            view.is_some_and(|view| view.members.len() == 2)
        })
    });
    for client in [clients[0], clients[2]] {
        let (message, gone) = places(&stage, client, large);
        assert!(message.is_some() && message < gone, "{message:?}, {gone:?}");
    }
    stage.conclude();
}

#[test]
fn s73_a_node_dies_between_the_pieces_of_a_message() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    let note = hold_the_rest(&mut stage);
    let large = stage.broadcast_len(clients[1], false, 60_000);
    stage.wait("two pieces have left", |_| note.count("to 0") > 2 && note.count("to 2") > 2);
    stage.world.crash(1);
    stage.unfilter();
    stage.wait_view(&[0, 2]);
    let after = stage.broadcast(clients[2], true);
    stage.wait_read(&[clients[0], clients[2]], &[after]);
    for client in [clients[0], clients[2]] {
        let (message, gone) = places(&stage, client, large);
        assert!(message.is_none() && gone.is_some(), "no part of it: {message:?}, {gone:?}");
    }
    stage.conclude();
}

#[test]
fn s74_a_client_comes_sends_and_goes_within_one_view_change() {
    let mut stage = Stage::formed(4);
    let clients = stage.open_all('G');
    let watchers = [stage.open(0, 'H'), stage.open(2, 'H')];
    let note = Note::default();
    let inner = note.clone();
    stage.filter(move |gram| {
        if gram.kind() == "READY" && gram.is_from_to(1, 0) {
            inner.write("ready");
        }
        let wait = gram.kind() == "READY" && gram.is_from_to(2, 0) && !inner.says("done");
        if wait { Verdict::Drop } else { Verdict::Pass }
    });
    let old = stage.vid(0);
    stage.world.crash(3);
    stage.wait("node 1 is frozen and ready", |_| note.says("ready"));
    // One client sends and goes, another comes and goes, a third comes, sends as soon as it may,
    // and stays.
    let uid = stage.broadcast(clients[1], false);
    stage.world.agents[1][clients[1].agent].retired = true;
    assert!(stage.world.act(1, clients[1].agent, Act::Close));
    let brief = stage.add(1, 'H', sim::input::OpenFlags::default());
    assert!(stage.world.act(1, brief.agent, Act::Open));
    assert!(stage.world.act(1, brief.agent, Act::Close));
    stage.world.agents[1][brief.agent].retired = true;
    assert_eq!(stage.vid(1), old, "all of it within the change");
    note.write("done");
    stage.wait_view(&[0, 1, 2]);
    let third = stage.open(1, 'K');
    stage.wait("the change of the port is known", |world| {
        [clients[0], clients[2]].iter().all(|client| {
            let view = log_of(world, *client).and_then(|log| log.view);
            view.is_some_and(|view| view.members.len() == 2)
        })
    });
    let log = |client: Client| {
        let log = stage.log(client).expect("it is registered");
        log.entries
            .iter()
            .filter_map(|entry| match &entry.what {
                What::View(view) => Some((view.generation, view.members.bits())),
                What::Deliver(read) => Some((read.generation, u128::from(read.uid) << 64)),
                What::Closed(_) | What::Status(_) => None,
            })
            .collect::<Vec<_>>()
    };
    // From the view change on: the port without node 3, the message, the port without node 1.
    let seen = log(clients[0]);
    let [.., lost, message, gone] = seen[..] else { panic!("{seen:?}") };
    assert_eq!([lost.1, message.1, gone.1], [0b111, u128::from(uid) << 64, 0b101]);
    assert_eq!(message.0, lost.0, "after the view");
    let tail = log(clients[2]);
    assert_eq!(tail[tail.len() - 3..], seen[seen.len() - 3..], "at everybody alike");
    // Who came and went was there, or was not, at both alike, and is there no more.
    assert_eq!(log(watchers[0])[1..], log(watchers[1]), "the second came later");
    assert_eq!(log(watchers[0]).last().map(|(_, members)| *members), Some(0b101));
    assert!(stage.log(third).is_some_and(|log| log.view.is_some()));
    assert!(members_at(&stage.world, 0) == [0, 1, 2]);
    stage.conclude();
}
