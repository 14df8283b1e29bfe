//! The client against a peer that does as the test says, over a socket pair.

mod handshake;
mod transmission;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The server's end.
struct Peer(UnixStream);

/// A request as it came.
#[derive(Debug, Eq, PartialEq)]
struct Request {
    flags: u16,
    command: u16,
    cookie: u64,
    offset: u64,
    len: u32,
}

impl Peer {
    /// Both ends. A test that waits for what does not come fails.
    fn pair() -> (Self, UnixStream) {
        let (server, client) = UnixStream::pair().unwrap();
        server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        (Self(server), client)
    }

    fn send(&mut self, parts: &[&[u8]]) {
        self.0.write_all(&parts.concat()).unwrap();
    }

    fn read<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn skip(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Sends the greeting of a server of today, and reads the flags of the client.
    fn greet(&mut self) {
        self.send(&[b"NBDMAGICIHAVEOPT", &3u16.to_be_bytes()]);
        assert_eq!(self.read(), 3u32.to_be_bytes());
    }

    fn option(&mut self) -> (u32, Vec<u8>) {
        assert_eq!(&self.read::<8>(), b"IHAVEOPT");
        let number = u32::from_be_bytes(self.read());
        let len = u32::from_be_bytes(self.read());
        (number, self.skip(usize::try_from(len).unwrap()))
    }

    fn request(&mut self) -> Request {
        assert_eq!(u32::from_be_bytes(self.read()), 0x2560_9513);
        Request {
            flags: u16::from_be_bytes(self.read()),
            command: u16::from_be_bytes(self.read()),
            cookie: u64::from_be_bytes(self.read()),
            offset: u64::from_be_bytes(self.read()),
            len: u32::from_be_bytes(self.read()),
        }
    }

    fn simple(&mut self, error: u32, cookie: u64, data: &[u8]) {
        let head = [&0x6744_6698u32.to_be_bytes()[..], &error.to_be_bytes()].concat();
        self.send(&[&head, &cookie.to_be_bytes(), data]);
    }

    fn chunk(&mut self, is_last: bool, kind: u16, cookie: u64, data: &[u8]) {
        self.send(&[&chunk(u16::from(is_last), kind, cookie, data)]);
    }

    /// Nothing more comes, and the socket is closed.
    fn is_left(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0))
    }
}

fn chunk(flags: u16, kind: u16, cookie: u64, data: &[u8]) -> Vec<u8> {
    let len = u32::try_from(data.len()).unwrap();
    let head = [&0x668e_33efu32.to_be_bytes()[..], &flags.to_be_bytes(), &kind.to_be_bytes()];
    [&head.concat()[..], &cookie.to_be_bytes(), &len.to_be_bytes(), data].concat()
}

fn option_reply(option: u32, kind: u32, data: &[u8]) -> Vec<u8> {
    let len = u32::try_from(data.len()).unwrap();
    let head = [&0x0003_e889_0455_65a9u64.to_be_bytes()[..], &option.to_be_bytes()].concat();
    [&head[..], &kind.to_be_bytes(), &len.to_be_bytes(), data].concat()
}
