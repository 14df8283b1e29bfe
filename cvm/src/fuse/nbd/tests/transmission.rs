//! The second phase.

use std::io::Read;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::io::Errno;

use super::super::connection::Connection;
use super::super::handshake::Export;
use super::super::pipeline::UNDER_WAY_MAX;
use super::{Peer, Request, chunk};
use crate::fuse::volume::{IoFailed, Volume};

type Answered = Receiver<Result<Vec<u8>, IoFailed>>;

/// All that a server may offer.
const ALL: u16 = 0x1ed;

fn connected(flags: u16) -> (Peer, Connection) {
    let (peer, client) = Peer::pair();
    let export = Export { size: 64 << 20, flags, block: 512, request_max: 32 << 20 };
    (peer, Connection::start("dg/v".to_owned(), export, true, client).unwrap())
}

fn read(volume: &Connection, offset: u64, len: u32) -> Answered {
    let (tell, answered) = channel();
    let done = move |result: Result<&[u8], _>| drop(tell.send(result.map(<[u8]>::to_vec)));
    volume.read(offset, len, Box::new(done));
    answered
}

fn ask(start: impl FnOnce(Box<dyn FnOnce(Result<(), IoFailed>) + Send>)) -> Answered {
    let (tell, answered) = channel();
    start(Box::new(move |result| drop(tell.send(result.map(|()| Vec::new())))));
    answered
}

fn answer(answered: &Answered) -> Result<Vec<u8>, IoFailed> {
    answered.recv_timeout(Duration::from_secs(10)).expect("it is answered")
}

fn data(offset: u64, bytes: &[u8]) -> Vec<u8> {
    [&offset.to_be_bytes()[..], bytes].concat()
}

#[test]
fn replies_come_in_any_order_and_in_pieces() {
    let (mut peer, volume) = connected(ALL);
    let reads = [0, 1024, 2048, 3072, 4096].map(|offset| read(&volume, offset, 1024));
    let requests = reads.each_ref().map(|_| peer.request());
    let df = Request { flags: 4, command: 0, cookie: requests[1].cookie, offset: 1024, len: 1024 };
    assert_eq!(requests[1], df);
    let cookies = requests.map(|request| request.cookie);
    peer.chunk(false, 1, cookies[4], &data(4096 + 512, &[9; 512]));
    peer.chunk(true, 1, cookies[3], &data(3072, &[3; 1024]));
    peer.simple(0, cookies[2], &[2; 1024]);
    peer.chunk(false, 2, cookies[4], &data(4096, &512u32.to_be_bytes()));
    peer.chunk(true, 0x8001, cookies[0], &[&[0, 0, 0, 28, 0, 3][..], b"why"].concat());
    peer.chunk(true, 0, cookies[4], &[]);
    peer.simple(5, cookies[1], &[]);
    let answers = reads.each_ref().map(answer);
    let mixed = [[0; 512], [9; 512]].concat();
    let told = |errno| Err(IoFailed::Told(errno));
    let expected =
        [told(Errno::NOSPC), told(Errno::IO), Ok(vec![2; 1024]), Ok(vec![3; 1024]), Ok(mixed)];
    assert_eq!(answers, expected);
}

#[test]
fn a_reply_may_come_byte_by_byte() {
    let (mut peer, volume) = connected(ALL);
    let answered = read(&volume, 0, 512);
    let cookie = peer.request().cookie;
    for byte in chunk(1, 1, cookie, &data(0, &[7; 512])) {
        peer.send(&[&[byte]]);
    }
    assert_eq!(answer(&answered), Ok(vec![7; 512]));
}

#[test]
fn what_is_asked_goes_out_as_it_should() {
    let (mut peer, volume) = connected(ALL);
    let write = ask(|done| volume.write(512, vec![1; 512], false, done));
    let durable = ask(|done| volume.write(1024, vec![2; 1024], true, done));
    let flush = ask(|done| volume.flush(done));
    let trim = ask(|done| volume.trim(0, 4096, done));
    let zero = ask(|done| volume.zero(4096, 512, done));
    let expected =
        [(0, 1, 512, 512), (1, 1, 1024, 1024), (0, 3, 0, 0), (0, 4, 0, 4096), (2, 6, 4096, 512)];
    for (place, expected) in (1..).zip(expected) {
        let request = peer.request();
        let Request { flags, command, cookie, offset, len } = request;
        assert_eq!((flags, command, offset, len), expected);
        if command == 1 {
            let byte = u8::try_from(place).unwrap();
            assert_eq!(peer.skip(usize::try_from(len).unwrap()), vec![byte; len as usize]);
        }
        peer.simple(0, cookie, &[]);
    }
    for answered in [write, durable, flush, trim, zero] {
        assert_eq!(answer(&answered), Ok(vec![]));
    }
    drop(volume);
    assert_eq!(peer.request().command, 2);
    assert!(peer.is_left(), "whoever waits for the end of it hears it");
}

#[test]
fn what_is_not_offered_is_not_asked_for() {
    let (mut peer, volume) = connected(0b101);
    let trim = ask(|done| volume.trim(0, 4096, done));
    let zero = ask(|done| volume.zero(0, 4096, done));
    assert_eq!(answer(&trim), Err(IoFailed::Told(Errno::OPNOTSUPP)));
    assert_eq!(answer(&zero), Err(IoFailed::Told(Errno::OPNOTSUPP)));
    // Without FUA a write is followed by a flush.
    let durable = ask(|done| volume.write(0, vec![0; 512], true, done));
    let write = peer.request();
    assert_eq!((write.command, write.flags), (1, 0));
    peer.skip(512);
    peer.simple(0, write.cookie, &[]);
    let flush = peer.request();
    assert_eq!(flush.command, 3);
    assert!(durable.try_recv().is_err(), "not before it is flushed");
    peer.simple(0, flush.cookie, &[]);
    assert_eq!(answer(&durable), Ok(vec![]));
    let (_peer, volume) = connected(1);
    assert_eq!(answer(&ask(|done| volume.flush(done))), Ok(vec![]));
}

/// After any of it nobody knows where the next reply begins.
#[test]
fn garbage_ends_the_connection_and_fails_what_was_asked() {
    let wrong: [fn(u64) -> Vec<u8>; 13] = [
        |_| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        |cookie| [&b"\x67\x44\x66\x98\0\0\0\0"[..], &(cookie + 7).to_be_bytes()].concat(),
        |cookie| chunk(1, 1, cookie + 7, &data(0, &[0; 1024])),
        |cookie| chunk(1, 3, cookie, &[0; 16]),
        |cookie| chunk(1, 5, cookie, &[0; 16]),
        |cookie| chunk(1, 1, cookie, &data(0, &[0; 512])),
        |cookie| chunk(1, 1, cookie, &data(0, &[0; 1025])),
        |cookie| chunk(1, 1, cookie, &data(512, &[0; 1024])),
        |cookie| chunk(1, 1, cookie, &data(u64::MAX, &[0; 1024])),
        |cookie| chunk(1, 2, cookie, &data(512, &[0xff; 4])),
        |cookie| chunk(1, 0, cookie, &[]),
        |cookie| chunk(1, 0x8001, cookie, &[0, 0, 0, 5, 0xff, 0xff]),
        |cookie| {
            [chunk(0, 1, cookie, &data(0, &[0; 1024])), chunk(1, 1, cookie, &data(0, &[0; 9]))]
                .concat()
        },
    ];
    for (number, wrong) in wrong.into_iter().enumerate() {
        let (mut peer, volume) = connected(ALL);
        let (first, second) = (read(&volume, 0, 1024), read(&volume, 4096, 512));
        let cookie = peer.request().cookie;
        peer.request();
        peer.send(&[&wrong(cookie)]);
        assert_eq!(answer(&first), Err(IoFailed::Gone), "{number}");
        assert_eq!(answer(&second), Err(IoFailed::Gone), "{number}");
        assert_eq!(answer(&read(&volume, 0, 512)), Err(IoFailed::Gone), "{number}: for good");
        assert!(peer.is_left(), "{number}");
    }
}

#[test]
fn a_server_that_goes_away_fails_what_it_has_not_answered() {
    for part in [0, 3, 16, 20, 25, 400] {
        let (mut peer, volume) = connected(ALL);
        let (first, write) = (read(&volume, 0, 512), ask(|done| volume.flush(done)));
        let cookie = peer.request().cookie;
        peer.request();
        peer.send(&[&chunk(1, 1, cookie, &data(0, &[7; 512]))[..part]]);
        drop(peer);
        assert_eq!(answer(&first), Err(IoFailed::Gone));
        assert_eq!(answer(&write), Err(IoFailed::Gone));
        let late = ask(|done| volume.write(0, vec![0; 512], true, done));
        assert_eq!(answer(&late), Err(IoFailed::Gone));
    }
}

#[test]
fn so_many_are_under_way_and_the_others_wait_for_an_answer() {
    const MORE: usize = 10;
    let (mut peer, volume) = connected(ALL);
    let answers: Vec<_> = (0..UNDER_WAY_MAX + MORE).map(|_| read(&volume, 0, 512)).collect();
    let mut cookies: Vec<u64> = (0..UNDER_WAY_MAX).map(|_| peer.request().cookie).collect();
    for _ in 0..MORE {
        peer.0.set_nonblocking(true).unwrap();
        assert!(peer.0.read(&mut [0]).is_err(), "no more has come");
        peer.0.set_nonblocking(false).unwrap();
        peer.chunk(true, 1, cookies.pop().unwrap(), &data(0, &[1; 512]));
        cookies.push(peer.request().cookie);
    }
    cookies.into_iter().for_each(|cookie| peer.chunk(true, 1, cookie, &data(0, &[1; 512])));
    assert!(answers.iter().all(|answered| answer(answered) == Ok(vec![1; 512])));
}

#[test]
fn nobody_who_asks_waits_for_a_server_that_does_not_read() {
    const LEN: usize = 1 << 20;
    let (mut peer, volume) = connected(ALL);
    let writes: Vec<_> =
        (0..20u8).map(|byte| ask(|done| volume.write(0, vec![byte; LEN], false, done))).collect();
    // It gets here; and then everything arrives, with what was asked last at the end.
    drop(volume);
    for byte in 0..20u8 {
        let request = peer.request();
        assert_eq!(request.command, 1);
        assert!(peer.skip(LEN).iter().all(|got| *got == byte));
        peer.simple(0, request.cookie, &[]);
    }
    assert_eq!(peer.request().command, 2);
    assert!(writes.iter().all(|answered| answer(answered).is_ok()));
}
