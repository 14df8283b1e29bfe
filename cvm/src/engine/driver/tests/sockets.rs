//! Watching descriptors.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use rustix::event::{EventfdFlags, eventfd};

use super::*;

fn pair() -> (UnixStream, UnixStream) {
    let (here, there) = UnixStream::pair().unwrap();
    here.set_nonblocking(true).unwrap();
    there.set_nonblocking(true).unwrap();
    (here, there)
}

const READY: Event = Event::Ready { key: 5 };

/// What is there already.
fn told(driver: &mut Driver) -> Vec<Event> {
    let mut events = Vec::new();
    // What was called off may end a wait, too.
    for _ in 0..3 {
        driver.wait(Some(Duration::from_millis(1)), &mut events).unwrap();
    }
    events
}

#[test]
fn nothing_happens_and_the_time_is_over() {
    for mut driver in drivers() {
        for timeout in [Duration::ZERO, Duration::from_micros(100), Duration::from_millis(20)] {
            let mut events = Vec::new();
            driver.wait(Some(timeout), &mut events).unwrap();
            assert_eq!(events, []);
        }
        let begin = now();
        driver.wait(Some(Duration::from_millis(20)), &mut Vec::new()).unwrap();
        assert!(now() - begin >= Duration::from_millis(20));
    }
}

#[test]
fn readiness_is_told_once_and_again_when_asked_again() {
    for mut driver in drivers() {
        let (here, mut there) = pair();
        driver.watch(&here, 5, false);
        assert_eq!(told(&mut driver), []);
        there.write_all(b"x").unwrap();
        assert_eq!(wait_until(&mut driver, |events| !events.is_empty()), [READY]);
        there.write_all(b"y").unwrap();
        assert_eq!(told(&mut driver), []);
        // What was there before is told, too.
        driver.watch(&here, 5, false);
        assert_eq!(wait_until(&mut driver, |events| !events.is_empty()), [READY]);
        assert_eq!((&here).read(&mut [0; 10]).unwrap(), 2);
        driver.watch(&here, 5, false);
        assert_eq!(told(&mut driver), []);
    }
}

#[test]
fn a_peer_that_is_gone_is_told() {
    for mut driver in drivers() {
        for for_write in [false, true] {
            let (here, there) = pair();
            drop(there);
            driver.watch(&here, 5, for_write);
            assert_eq!(wait_until(&mut driver, |events| !events.is_empty()), [READY]);
        }
        let (here, there) = pair();
        driver.watch(&here, 5, false);
        assert_eq!(told(&mut driver), []);
        drop(there);
        assert_eq!(wait_until(&mut driver, |events| !events.is_empty()), [READY]);
    }
}

#[test]
fn room_to_write_is_told_when_there_is_some() {
    for mut driver in drivers() {
        let (here, mut there) = pair();
        driver.watch(&here, 5, true);
        assert_eq!(wait_until(&mut driver, |events| !events.is_empty()), [READY]);
        while (&here).write(&[0; 4096]).is_ok() {}
        driver.watch(&here, 5, true);
        driver.watch(&here, 6, false);
        assert_eq!(told(&mut driver), []);
        while there.read(&mut [0; 4096]).is_ok() {}
        assert_eq!(wait_until(&mut driver, |events| !events.is_empty()), [READY]);
        there.write_all(b"x").unwrap();
        let read = Event::Ready { key: 6 };
        assert_eq!(wait_until(&mut driver, |events| !events.is_empty()), [read]);
    }
}

#[test]
fn what_is_not_watched_is_not_told() {
    for mut driver in drivers() {
        let (here, mut there) = pair();
        let (other, mut beyond) = pair();
        driver.unwatch(5);
        driver.watch(&here, 5, false);
        driver.unwatch(5);
        there.write_all(b"x").unwrap();
        assert_eq!(told(&mut driver), []);
        // Also after the system knows of it, and though it is ready by then.
        driver.watch(&other, 5, false);
        driver.flush();
        beyond.write_all(b"x").unwrap();
        driver.unwatch(5);
        assert_eq!(told(&mut driver), []);
        // A new one takes the place of an old one.
        (&other).read_exact(&mut [0]).unwrap();
        driver.watch(&here, 5, false);
        driver.watch(&other, 5, false);
        assert_eq!(told(&mut driver), []);
        beyond.write_all(b"x").unwrap();
        assert_eq!(wait_until(&mut driver, |events| !events.is_empty()), [READY]);
    }
}

#[test]
fn a_peer_learns_of_the_end_of_what_is_watched_no_more() {
    for mut driver in drivers() {
        let (here, mut there) = pair();
        driver.watch(&here, 5, false);
        assert_eq!(told(&mut driver), []);
        driver.unwatch(5);
        drop(here);
        wait_until(&mut driver, |_| matches!(there.read(&mut [0]), Ok(0)));
    }
}

/// A wake-up of the watch may be under way that will find nothing, for it was read already. While it is,
/// the system does not remove the poll, which would go on and hold the socket for ever.
#[test]
fn a_peer_that_has_just_written_learns_of_the_end_too() {
    for mut driver in drivers() {
        for _ in 0..20 {
            let (here, mut there) = pair();
            driver.watch(&here, 5, false);
            assert_eq!(told(&mut driver), []);
            there.write_all(b"x").unwrap();
            assert_eq!((&here).read(&mut [0; 10]).unwrap(), 1);
            driver.unwatch(5);
            drop(here);
            wait_until(&mut driver, |_| matches!(there.read(&mut [0]), Ok(0)));
        }
    }
}

#[test]
fn a_descriptor_that_was_closed_does_no_harm() {
    for mut driver in drivers() {
        let (here, there) = pair();
        driver.watch(&here, 5, false);
        drop(here);
        drop(there);
        let (other, mut beyond) = pair();
        driver.watch(&other, 6, false);
        beyond.write_all(b"x").unwrap();
        let six = Event::Ready { key: 6 };
        wait_until(&mut driver, |events| events.contains(&six));
    }
}

#[test]
fn another_thread_wakes_who_waits_for_ever() {
    for mut driver in drivers() {
        let counter = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap());
        for _ in 0..50 {
            driver.watch(&*counter, 5, false);
            let other = Arc::clone(&counter);
            let wake = move || rustix::io::write(&*other, &1_u64.to_le_bytes()).map(drop);
            let thread = std::thread::Builder::new().spawn(wake).unwrap();
            let mut events = Vec::new();
            while events.is_empty() {
                driver.wait(None, &mut events).unwrap();
            }
            assert_eq!(events, [READY]);
            thread.join().unwrap().unwrap();
            rustix::io::read(&*counter, &mut [0; 8]).unwrap();
        }
    }
}

#[test]
fn there_may_be_more_sockets_than_the_queue_has_room_for() {
    for mut driver in drivers() {
        let mut pairs = Vec::from_iter((0..1000).map(|_| pair()));
        for (key, (here, _)) in (0..).zip(&pairs) {
            driver.watch(here, key, false);
        }
        for key in 500..1000 {
            driver.unwatch(key);
        }
        for (_, there) in &mut pairs {
            there.write_all(b"x").unwrap();
        }
        let mut events = wait_until(&mut driver, |events| events.len() >= 500);
        events.extend(told(&mut driver));
        events.sort_by_key(|event| match event {
            Event::Ready { key } | Event::Done { key, .. } => *key,
        });
        assert_eq!(events, Vec::from_iter((0..500).map(|key| Event::Ready { key })));
    }
}

#[test]
fn more_may_be_ready_than_the_ring_has_room_for() {
    let counter = eventfd(1, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
    // `poll` takes no more than there may be descriptors.
    for mut driver in drivers().into_iter().filter(|driver| driver.choice() == Choice::Ring) {
        for key in 0..9000 {
            driver.watch(&counter, key, false);
        }
        driver.flush();
        let mut events = wait_until(&mut driver, |events| events.len() >= 9000);
        events.extend(told(&mut driver));
        let keys = events.into_iter().map(|event| match event {
            Event::Ready { key } | Event::Done { key, .. } => key,
        });
        assert_eq!(std::collections::BTreeSet::from_iter(keys).len(), 9000);
    }
}

/// Whatever is watched, called off, sent and received, and in which order.
#[test]
fn what_is_watched_and_ready_is_told() {
    for mut driver in drivers() {
        let mut random = Random::new(82);
        let pairs = Vec::from_iter((0..20).map(|_| pair()));
        // By key, the socket; and what each one has received.
        let (mut watched, mut received) = (BTreeMap::new(), [0_usize; 20]);
        for _ in 0..5000 {
            let (key, socket) = (random.below(10) as u64, random.below(20));
            match random.below(5) {
                0 => {
                    driver.watch(&pairs[socket].0, key, false);
                    watched.insert(key, socket);
                }
                1 => {
                    driver.unwatch(key);
                    watched.remove(&key);
                }
                2 => received[socket] += (&pairs[socket].1).write(b"x").unwrap(),
                3 => received[socket] -= (&pairs[socket].0).read(&mut [0; 64]).unwrap_or(0),
                _ => {
                    let is_ready = |(_, socket): &(&u64, &usize)| received[**socket] > 0;
                    let ready =
                        Vec::from_iter(watched.iter().filter(is_ready).map(|(key, _)| *key));
                    let events = wait_until(&mut driver, |events| {
                        ready.iter().all(|&key| events.contains(&Event::Ready { key }))
                    });
                    for event in events {
                        let Event::Ready { key } = event else { panic!("{event:?}") };
                        assert!(watched.remove(&key).is_some(), "{key} is watched");
                    }
                }
            }
        }
    }
}

#[test]
fn sockets_have_their_turn_beside_disks() {
    let mut random = Random::new(81);
    let (scratch, _) = Scratch::random(&std::env::temp_dir(), 1 << 20, &mut random);
    for mut driver in drivers() {
        let (file, (here, mut there)) = (scratch.open(), pair());
        driver.watch(&here, 5, false);
        there.write_all(b"x").unwrap();
        let mut submit = |driver: &mut Driver| {
            let at = 4096 * random.below(256) as u64;
            let what = read(&IoBuffer::zeroed(4096), at);
            driver.submit(1, Operation { file: Arc::clone(&file), what });
        };
        for _ in 0..32 {
            submit(&mut driver);
        }
        // There is always something in flight.
        let (begin, mut events) = (now(), Vec::new());
        while !events.contains(&READY) {
            assert!(now() - begin < LONGEST);
            events.clear();
            driver.wait(None, &mut events).unwrap();
            events.iter().for_each(|_| submit(&mut driver));
        }
        driver.wait(None, &mut events).unwrap();
    }
}
