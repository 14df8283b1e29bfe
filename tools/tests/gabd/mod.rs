//! A gabd of the tests' own: a thread behind a real socket in a root of its own.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use bytes::{Bytes, BytesMut};
use gab::admin::{AdminError, AdminRequest};
use gab::ipc::{Reader, Record};
use gab::{Delivery, Level, PortView};
use llt::{NodeId, NodeSet};
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

/// It listens, and serves one client after the other.
pub(crate) struct Gabd {
    address: SocketAddrUnix,
    end: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Gabd {
    /// Listens below `root`; `serve` is called with each client.
    pub(crate) fn start(root: &Path, serve: impl Fn(Connection) + Send + 'static) -> Self {
        let path = gab::client::socket_path(root);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
        let address = SocketAddrUnix::new(&path).expect("a short path");
        let listener = socket();
        rustix::net::bind(&listener, &address).expect("the name is free");
        rustix::net::listen(&listener, 8).expect("it listens");
        let end = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&end);
        let run = move || {
            loop {
                let fd = rustix::net::accept(&listener).expect("a client");
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                serve(Connection { fd, read: VecDeque::new() });
            }
        };
        let thread = std::thread::Builder::new().name("gabd".into()).spawn(run).expect("a thread");
        Self { address, end, thread }
    }

    /// Ends it once its last client is served; fails if it had failed.
    pub(crate) fn end(self) {
        self.end.store(true, Ordering::SeqCst);
        // It may have died of an assertion, and then nobody listens.
        let _ = rustix::net::connect(socket(), &self.address);
        self.thread.join().expect("no assertion of gabd failed");
    }
}

/// gabd's end of one connection; it blocks.
pub(crate) struct Connection {
    fd: OwnedFd,
    read: VecDeque<Record>,
}

impl Connection {
    /// The next record, or `None` once the client has hung up.
    pub(crate) fn next(&mut self) -> Option<Record> {
        if self.read.is_empty() {
            let mut buffer = vec![0; gab::limits::IPC_DATAGRAM_MAX];
            let (_, len) =
                rustix::net::recv(&self.fd, buffer.as_mut_slice(), RecvFlags::empty()).ok()?;
            buffer.truncate(len);
            let records: Result<Vec<_>, _> = Reader::new(buffer.into()).collect();
            self.read.extend(records.expect("well-formed records"));
        }
        self.read.pop_front()
    }

    /// Sends records as one datagram; a client that is gone misses them.
    pub(crate) fn say(&self, records: &[Record]) {
        let mut out = BytesMut::new();
        records.iter().for_each(|record| record.encode(&mut out));
        let _ = rustix::net::send(&self.fd, &out, SendFlags::NOSIGNAL);
    }

    /// Answers one request, in two parts.
    pub(crate) fn answer<T: serde::Serialize>(
        &mut self,
        answer: &impl Fn(AdminRequest) -> Result<T, AdminError>,
    ) {
        assert!(self.try_answer(answer), "a request");
    }

    /// As [`answer`](Self::answer); false if the client has hung up instead.
    pub(crate) fn try_answer<T: serde::Serialize>(
        &mut self,
        answer: &impl Fn(AdminRequest) -> Result<T, AdminError>,
    ) -> bool {
        let json = match self.next() {
            None => return false,
            Some(Record::Admin { json }) => json,
            Some(other) => panic!("no request: {other:?}"),
        };
        let answer = answer(serde_json::from_slice(&json).expect("a request"));
        let error = answer.is_err();
        let text = match answer {
            Ok(answer) => serde_json::to_vec(&answer),
            Err(error) => serde_json::to_vec(&error),
        };
        let text = Bytes::from(text.expect("plain values"));
        let middle = text.len() / 2;
        let part = |more, text| Record::Answer { more, error, text };
        self.say(&[part(true, text.slice(..middle))]);
        self.say(&[part(false, text.slice(middle..))]);
        true
    }

    /// Reads until the client hangs up.
    pub(crate) fn wait_for_end(&mut self) {
        while self.next().is_some() {}
    }
}

/// A view with these members and nothing else.
pub(crate) fn view(generation: u64, members: &[u8]) -> PortView {
    PortView {
        generation,
        members: members.iter().filter_map(|&id| NodeId::new(id)).collect(),
        joined: NodeSet::EMPTY,
        left: NodeSet::EMPTY,
        jeopardy: NodeSet::EMPTY,
        visible: NodeSet::EMPTY,
    }
}

/// A delivered broadcast.
pub(crate) fn deliver(sequence: u64, sender: u8, payload: &'static [u8]) -> Record {
    let sender = NodeId::new(sender).expect("a small id");
    let payload = Bytes::from_static(payload);
    let (broadcast, level, generation) = (true, Level::Agreed, 0x2f);
    Record::Deliver(Delivery { sender, broadcast, level, generation, sequence, payload })
}

fn socket() -> OwnedFd {
    let flags = SocketFlags::CLOEXEC;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        .expect("a socket")
}
