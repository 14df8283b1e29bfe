//! Scenarios 52 to 56, 60 to 64 and 67: bad frames, storms, slow and deaf members, wraps.

use std::time::Duration;

use bytes::Bytes;
use gab::core::Notice;
use gab::wire::{Body, Head};
use llt::NodeId;
use llt::limits::HEADER_LEN;
use llt::wire::Frame;
use sim::client::Plan;
use sim::input::OpenFlags;
use sim::profile::Profile;
use sim::rng::{Draw, Seed};
use sim::scenario::{Client, Note, Stage, forge, message_of};
use sim::setup::{LinkSetup, Setup};
use sim::world::Verdict;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Broadcasts of all clients in turn; gives their numbers.
fn volley(stage: &mut Stage, clients: &[Client], rounds: usize) -> Vec<u64> {
    (0..rounds)
        .flat_map(|round| clients.iter().map(move |client| (round, *client)).collect::<Vec<_>>())
        .map(|(round, client)| stage.broadcast(client, round % 2 == 0))
        .collect()
}

#[test]
fn s52_every_frame_comes_three_times() {
    let run = |copies: u8| {
        let mut stage = Stage::formed(3);
        let clients = stage.open_all('G');
        stage.filter(move |_| Verdict::Copies(copies));
        for round in 0..30 {
            let uid = stage.broadcast(clients[round % 3], round % 2 == 0);
            let direct = stage.send_to(clients[round % 3], (round + 1) % 3);
            stage.wait_read(&clients, &[uid]);
            stage.wait_read(&[clients[(round + 1) % 3]], &[direct]);
        }
        // Directed messages have no place in the order: they are compared on their own.
        let reads: Vec<_> = [false, true]
            .into_iter()
            .flat_map(|broadcast| clients.iter().map(move |client| (broadcast, *client)))
            .map(|(broadcast, client)| {
                let log = stage.log(client).unwrap();
                let kind = log.reads().filter(|(_, read)| read.broadcast == broadcast);
                kind.map(|(_, read)| read.uid).collect::<Vec<_>>()
            })
            .collect();
        let carried = stage.world.net.stats.carried;
        stage.conclude();
        (reads, carried)
    };
    let ((once, few), (thrice, many)) = (run(1), run(3));
    assert!(many > few * 2, "{many} frames against {few}");
    assert_eq!(once, thrice, "the logs are the same");
}

/// Takes note of each NAK on its way, and lets everything pass.
fn note_naks(stage: &mut Stage) -> Note {
    let naks = Note::default();
    let inner = naks.clone();
    stage.filter(move |gram| {
        if gram.kind() == "NAK" {
            inner.write("nak");
        }
        Verdict::Pass
    });
    naks
}

#[test]
fn s53_frames_overtake_each_other() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    let naks = note_naks(&mut stage);
    stage.faults(|faults| {
        faults.reorder = 0.5;
        faults.delay_mean = ms(1);
    });
    let views = stage.views();
    let sent = volley(&mut stage, &clients, 100);
    stage.wait_read(&clients, &sent);
    let first = stage.reads(clients[0]);
    for client in &clients {
        assert_eq!(stage.reads(*client), first, "one order everywhere");
    }
    let count = naks.count("nak");
    assert!(count < 3 * sent.len(), "{count} requests for {} messages", sent.len());
    assert_eq!(stage.views(), views);
    stage.conclude();
}

#[test]
fn s53_frames_are_overtaken_by_a_thousand_others() {
    let setup = Setup { links: vec![LinkSetup::plain(1500)], ..Setup::fast(2) };
    let mut stage = Stage::formed_with(setup);
    let naks = note_naks(&mut stage);
    stage.faults(|faults| {
        faults.reorder = 0.002;
        faults.delay_mean = ms(30);
    });
    let options = OpenFlags { shared: true, ..OpenFlags::default() };
    for node in [0, 0, 1, 1] {
        stage.add_agent(node, Plan { options, ..storm_plan(400) });
    }
    let views = stage.views();
    stage.world.busy = true;
    let span = ms(6000);
    stage.pass(span);
    stage.world.busy = false;
    let stats = stage.world.net.stats;
    assert!(stats.overtaken >= 1000, "{}", stats.overtaken);
    // One frame in 500 is late, and is asked for a few times at most until it comes.
    let asked = naks.count("nak") as u64;
    assert!(asked < stats.carried / 50, "{asked} requests for {} frames", stats.carried);
    assert_eq!(stage.views(), views);
    stage.conclude();
}

#[test]
fn s54_one_frame_in_a_hundred_is_damaged() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    stage.faults(|faults| faults.corrupt = 0.01);
    let views = stage.views();
    for _ in 0..300 {
        let sent = volley(&mut stage, &clients, 2);
        stage.wait_read(&clients, &sent);
    }
    stage.pass(ms(2000));
    assert!(stage.world.net.stats.damaged > 10);
    let refused: u64 = (0..3)
        .filter_map(|node| stage.world.hosts.stack(node))
        .map(|stack| stack.llt().stats())
        .map(|stats| {
            stats.rcv_bad_checksum
                + stats.rcv_malformed
                + stats.rcv_bad_version
                + stats.rcv_bad_cluster
        })
        .sum();
    assert_eq!(refused, stage.world.net.stats.damaged, "each damaged frame is counted");
    assert_eq!(stage.views(), views);
    stage.conclude();
}

/// Frames as they are on the wire, a few of each kind.
fn specimens(stage: &mut Stage) -> Vec<(usize, usize, usize, Bytes)> {
    let caught = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let inner = caught.clone();
    stage.filter(move |gram| {
        let mut list = inner.borrow_mut();
        if list.len() < 200 {
            let packet = gram.packet;
            list.push((packet.link, packet.from, packet.to, packet.frame.clone()));
        }
        Verdict::Pass
    });
    stage.pass(ms(300));
    stage.unfilter();
    let list = caught.borrow();
    list.clone()
}

#[test]
fn s55_truncated_empty_and_oversized_frames() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    volley(&mut stage, &clients, 5);
    let frames = specimens(&mut stage);
    let views = stage.views();
    let mut draw = Seed(55).draw();
    let before: u64 = dropped(&stage);
    let mut sent = 0;
    for (link, from, to, frame) in &frames {
        for len in [0, 1, 7, 47, 48, 49, frame.len() - 1] {
            if len < frame.len() {
                stage.world.inject(*link, *from, *to, frame.slice(..len));
                sent += 1;
            }
        }
        let mut long = frame.to_vec();
        long.resize(65_507, 0xa5);
        stage.world.inject(*link, *from, *to, Bytes::from(long));
        // Lengths and counts inside the frame that point beyond its end.
        let mut wrong = frame.to_vec();
        let at = draw.pick(wrong.len());
        wrong[at] ^= 0xff;
        stage.world.inject(*link, *from, *to, Bytes::from(wrong));
        sent += 2;
        stage.pass(ms(1));
    }
    stage.pass(ms(100));
    assert!(dropped(&stage) >= before + sent, "each is counted");
    assert_eq!(stage.views(), views);
    stage.conclude();
}

/// Frames that all nodes refused for their form.
fn dropped(stage: &Stage) -> u64 {
    (0..stage.world.nodes())
        .filter_map(|node| stage.world.hosts.stack(node))
        .map(|stack| stack.llt().stats())
        .map(|stats| {
            stats.rcv_malformed
                + stats.rcv_bad_checksum
                + stats.rcv_bad_version
                + stats.rcv_bad_cluster
        })
        .sum()
}

/// Changes up to eight bytes.
fn spoil(bytes: &mut [u8], draw: &mut Draw) {
    for _ in 0..draw.range(1, 8) {
        if !bytes.is_empty() {
            let at = draw.pick(bytes.len());
            bytes[at] = u8::try_from(draw.below(256)).expect("below 256");
        }
    }
}

#[test]
fn s56_frames_with_a_right_checksum_and_wrong_contents() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    volley(&mut stage, &clients, 5);
    let frames = specimens(&mut stage);
    let before = dropped(&stage);
    let views = stage.views();
    let mut draw = Seed(56).draw();
    let mut refused_by_llt = 0;
    for round in 0..20 {
        for (link, from, to, frame) in &frames {
            let Ok(checked) = Frame::check(frame) else { continue };
            let llt::wire::Body::Datagram(datagram) = checked.body else {
                // What is behind the header of the other kinds is LLT's own.
                let bad = forge(frame, |frame| spoil(&mut frame[HEADER_LEN..], &mut draw));
                if Frame::check(&bad).is_err() {
                    stage.world.inject(*link, *from, *to, bad);
                    refused_by_llt += 1;
                }
                continue;
            };
            let mut payload = datagram.payload.to_vec();
            if round % 2 == 0 {
                payload.truncate(draw.pick(payload.len()));
            }
            spoil(&mut payload, &mut draw);
            // What still decodes might say something true of the wrong thing: only what no
            // decoder accepts must be without any effect.
            let bad = llt::wire::emit_datagram(
                &checked.header,
                datagram.port,
                datagram.recipients,
                &payload,
            );
            if message_of(&bad).is_none() {
                stage.world.inject(*link, *from, *to, bad);
            }
        }
        stage.pass(ms(5));
    }
    assert!(refused_by_llt > 100, "{refused_by_llt} frames");
    assert_eq!(dropped(&stage) - before, refused_by_llt, "each is counted");
    let malformed: u64 = (0..3)
        .filter_map(|node| stage.world.hosts.stack(node))
        .map(|stack| stack.gab().counters().malformed)
        .sum();
    assert!(malformed > 100, "{malformed} messages were refused");
    assert_eq!(stage.views(), views);
    stage.conclude();
}

fn storm_plan(burst: u64) -> Plan {
    let port = gab::PortName::new('G').expect("a letter");
    Plan { burst_max: burst, safe: 0.1, period: ms(2), ..Plan::watcher(port) }
}

#[test]
fn s60_small_receive_buffers_and_many_senders_at_full_rate() {
    let mut profile = Profile::quiet(Setup::fast(8));
    profile.inbox_bytes_max = 64 << 10;
    let mut stage = Stage::new(profile);
    stage.world.boot_all();
    stage.wait_view(&[0, 1, 2, 3, 4, 5, 6, 7]);
    let options = OpenFlags { shared: true, ..OpenFlags::default() };
    let senders: Vec<Client> =
        (0..16).map(|n| stage.add_agent(n % 8, Plan { options, ..storm_plan(400) })).collect();
    let views = stage.views();
    stage.world.busy = true;
    // Longer by hand: SIM_STORM_MS.
    let length = std::env::var("SIM_STORM_MS").ok().and_then(|text| text.parse().ok());
    stage.pass(ms(length.unwrap_or(1000)));
    stage.world.busy = false;
    let overruns: u64 = (0..8).map(|node| stage.world.process(node).overruns).sum();
    assert!(overruns > 0, "the buffers were too small");
    assert_eq!(stage.views(), views, "no member is removed");
    // Turns are taken between nodes; what two programs of one node do to each other is theirs.
    let mut shares = [0; 8];
    for client in &senders {
        shares[client.node] += stage.log(*client).map_or(0, |log| log.own_read);
    }
    let (least, most) = (*shares.iter().min().unwrap(), *shares.iter().max().unwrap());
    let mean = shares.iter().sum::<usize>() / shares.len();

    assert!(most - least <= mean / 5, "fair within ten percent of the mean each way: {shares:?}");
    stage.conclude();
}

/// Turns are taken between the programs of a node, too, on whatever ports they are: in the original
/// each port has one.
#[test]
fn programs_and_ports_of_a_node_share_what_it_may_send() {
    let mut stage = Stage::formed(3);
    let options = OpenFlags { shared: true, ..OpenFlags::default() };
    let plan = |name: char, burst: u64| {
        let port = gab::PortName::new(name).expect("a letter");
        Plan { options, port, ..storm_plan(burst) }
    };
    let senders: Vec<Client> =
        ['G', 'H', 'I', 'I'].into_iter().map(|name| stage.add_agent(0, plan(name, 400))).collect();
    for node in 1..3 {
        for name in ['G', 'H', 'I'] {
            stage.add_agent(node, plan(name, 0));
        }
    }
    stage.world.busy = true;
    stage.pass(ms(1000));
    stage.world.busy = false;
    let share = |client: &Client| stage.log(*client).map_or(0, |log| log.own_read);
    let shares: Vec<usize> = senders.iter().map(share).collect();
    let mean = shares.iter().sum::<usize>() / shares.len();
    assert!(mean > 1000, "{shares:?}");
    assert!(shares.iter().all(|share| share.abs_diff(mean) <= mean / 10), "fair: {shares:?}");
    stage.conclude();
}

#[test]
fn s61_one_receiver_is_ten_times_slower() {
    let mut profile = Profile::quiet(Setup::fast(3));
    for pace in &mut profile.paces {
        pace.per_frame = Duration::from_micros(100);
    }
    profile.paces[2].per_frame = Duration::from_micros(1000);
    let mut stage = Stage::new(profile);
    stage.world.boot_all();
    stage.wait_view(&[0, 1, 2]);
    for node in 0..3 {
        stage.add_agent(node, storm_plan(if node == 2 { 0 } else { 200 }));
    }
    let views = stage.views();
    stage.world.busy = true;
    for _ in 0..40 {
        stage.pass(ms(100));
        let gab = stage.world.hosts.stack(0).unwrap().snapshot().gab;
        assert!(gab.last_slot - gab.stable_slot <= gab::limits::WINDOW_SLOTS);
    }
    stage.world.busy = false;
    assert_eq!(stage.views(), views, "no member is removed");
    let slow = NodeId::new(2).unwrap();
    let named =
        |notice: &Notice| matches!(notice, Notice::SlowMember { node, .. } if *node == slow);
    assert!(stage.noticed(0, named), "the slow one is told of");
    let others =
        |notice: &Notice| matches!(notice, Notice::SlowMember { node, .. } if *node != slow);
    assert!(!stage.noticed(0, others), "and nobody else");
    stage.conclude();
}

#[test]
fn s62_a_member_whose_acknowledgement_never_moves() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    // Heartbeats pass; nothing of the stream does.
    stage.filter(|gram| match gram.kind() {
        "ORD" | "RETR" | "DATA" if gram.packet.to == 2 => Verdict::Drop,
        _ => Verdict::Pass,
    });
    let start = stage.now();
    let uid = stage.broadcast(clients[0], true);
    stage.wait_view(&[0, 1]);
    let took = stage.now().since(start);
    assert!(took >= stage.world.hosts.setup().stuck, "not before its time: {took:?}");
    assert!(took < ms(6000), "{took:?}");
    let stuck = |notice: &Notice| matches!(notice, Notice::StuckMember { node } if node.get() == 2);
    assert!(stage.noticed(0, stuck), "the reason is told");
    let dump = |notice: &Notice| match notice {
        Notice::Dump(dump) => dump.answered.iter().all(|node| node.get() != 2),
        _ => false,
    };
    assert!(stage.noticed(0, dump), "and where everybody stood: only node 2 is behind");
    stage.wait_read(&clients[..2], &[uid]);
    stage.conclude();
}

#[test]
fn s63_one_slot_never_reaches_one_member_from_the_sequencer() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    let note = Note::default();
    let inner = note.clone();
    let lost = stage.world.hosts.history.sent.len() as u64;
    // The main path: the link on which the slot was sent first.
    let mut path = None;
    stage.filter(move |gram| {
        if gram.packet.to != 2 || !gram.carries(lost) {
            return Verdict::Pass;
        }
        let here = (gram.packet.from, gram.packet.link);
        if gram.packet.from == 0 && *path.get_or_insert(here) == here {
            inner.write("lost");
            return Verdict::Drop;
        }
        inner.write("repaired");
        Verdict::Pass
    });
    let views = stage.views();
    let uid = stage.broadcast(clients[0], true);
    let after = stage.broadcast(clients[0], false);
    assert_eq!(uid, lost);
    stage.wait_read(&clients, &[uid, after]);
    assert!(note.says("lost") && note.says("repaired"), "over another path");
    assert_eq!(stage.views(), views, "nobody is removed for it");
    stage.conclude();
}

#[test]
fn s64_one_slot_never_reaches_one_member_from_anybody() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    let note = Note::default();
    let inner = note.clone();
    let lost = stage.world.hosts.history.sent.len() as u64;
    stage.filter(move |gram| {
        if gram.kind() == "NAK" && gram.packet.from == 2 {
            inner.write("nak");
        }
        if gram.packet.to == 2 && gram.carries(lost) {
            inner.write("lost");
            return Verdict::Drop;
        }
        Verdict::Pass
    });
    let uid = stage.broadcast(clients[0], true);
    let after = stage.broadcast(clients[1], true);
    stage.wait_view(&[0, 1]);
    let (naks, copies) = (note.count("nak"), note.count("lost"));
    assert!(naks < 1000 && copies < 1000, "{naks} requests, {copies} answers: no storm");
    stage.wait_read(&clients[..2], &[uid, after]);
    stage.conclude();
}

#[test]
fn s67_sequences_of_links_wrap_and_rounds_are_huge() {
    let setup = Setup { first_sequence: u32::MAX - 999, ..Setup::fast(3) };
    let mut stage = Stage::formed_with(setup);
    let clients = stage.open_all('G');
    for _ in 0..40 {
        let sent = volley(&mut stage, &clients, 20);
        stage.wait_read(&clients, &sent);
    }
    // A refusal that names a round near the end of 63 bits: the next view goes beyond it.
    let note = Note::default();
    let inner = note.clone();
    stage.filter(move |gram| {
        if gram.kind() != "STATE" || inner.says("huge") {
            return Verdict::Pass;
        }
        let frame = gram.packet.frame;
        let Ok(checked) = Frame::check(frame) else { return Verdict::Pass };
        let llt::wire::Body::Data(mut data) = checked.body else { return Verdict::Pass };
        inner.write("huge");
        let mut vid = gram.vid();
        vid.round = (1 << 63) - 10;
        data.payload = Body::Refuse.encode(Head { vid, ack: 0, busy: 0 });
        data.message_len = u32::try_from(data.payload.len()).unwrap();
        Verdict::Replace(llt::wire::emit_data(&checked.header, &data))
    });
    stage.world.crash(2);
    stage.wait_view(&[0, 1]);
    assert!(note.says("huge"));
    assert!(stage.vid(0).round >= (1 << 63) - 10, "{}", stage.vid(0));
    let uid = stage.broadcast(clients[1], true);
    stage.wait_read(&clients[..2], &[uid]);
    stage.conclude();
}
