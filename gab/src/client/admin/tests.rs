use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::*;
use crate::admin::RunningConfig;

/// Asks for the configuration; `script` gets the request and gives the datagrams of the answer.
fn ask(
    script: impl FnOnce(AdminRequest) -> Vec<Vec<Record>> + Send + 'static,
) -> Result<RunningConfig, AdminFailure> {
    let (ours, theirs) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    rustix::io::ioctl_fionbio(&ours, true).unwrap();
    let gabd = std::thread::Builder::new().spawn(move || answer(&theirs, script)).unwrap();
    let mut admin = Admin { socket: Connection::new(ours), timeout: TIMEOUT };
    let result = admin.request(&AdminRequest::Config);
    gabd.join().unwrap();
    result
}

fn answer(fd: &OwnedFd, script: impl FnOnce(AdminRequest) -> Vec<Vec<Record>>) {
    let mut buffer = vec![0; 4096];
    let (_, len) = rustix::net::recv(fd, buffer.as_mut_slice(), RecvFlags::empty()).unwrap();
    let mut records = Reader::new(Bytes::copy_from_slice(&buffer[..len]));
    let Some(Ok(Record::Admin { json })) = records.next() else {
        panic!("a request");
    };
    for datagram in script(serde_json::from_slice(&json).unwrap()) {
        let mut out = bytes::BytesMut::new();
        datagram.iter().for_each(|record| record.encode(&mut out));
        rustix::net::send(fd, &out, SendFlags::NOSIGNAL).unwrap();
    }
}

fn part(more: bool, text: &str) -> Record {
    Record::Answer { more, error: false, text: Bytes::copy_from_slice(text.as_bytes()) }
}

#[test]
fn an_answer_in_parts_is_put_together() {
    let config = ask(|request| {
        assert_eq!(request, AdminRequest::Config);
        vec![
            vec![part(true, r#"{"llttab":"set-node 0","llt"#), part(true, r#"hosts":"","pi"#)],
            vec![part(false, r#"d":7,"testbed":true}"#)],
        ]
    })
    .unwrap();
    assert_eq!((config.pid, config.testbed, config.llttab.as_str()), (7, true, "set-node 0"));
}

#[test]
fn a_refusal_carries_the_id_and_the_text() {
    let failure = ask(|_| {
        let text = Bytes::from_static(br#"{"id":"V-15-1-20015","text":"unconfigure failed"}"#);
        vec![vec![Record::Answer { more: false, error: true, text }]]
    })
    .unwrap_err();
    let AdminFailure::Refused(error) = failure else {
        panic!("{failure:?}");
    };
    assert_eq!(
        (error.id.as_deref(), error.text.as_str()),
        (Some("V-15-1-20015"), "unconfigure failed")
    );
}

#[test]
fn whatever_else_comes_is_a_failure() {
    assert!(matches!(ask(|_| Vec::new()), Err(AdminFailure::HungUp)));
    let nonsense = ask(|_| vec![vec![part(false, "{")]]);
    assert!(matches!(nonsense, Err(AdminFailure::Answer(_))));
    let other = ask(|_| vec![vec![Record::Closed(108)]]);
    assert!(matches!(other, Err(AdminFailure::Unexpected)));
}

#[test]
fn a_silent_gabd_is_given_up() {
    let (ours, _theirs) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    rustix::io::ioctl_fionbio(&ours, true).unwrap();
    let mut admin = Admin { socket: Connection::new(ours), timeout: Duration::from_millis(10) };
    let result = admin.request::<()>(&AdminRequest::Snapshot);
    assert!(matches!(result, Err(AdminFailure::TimedOut(_))), "{result:?}");
}

#[test]
fn a_missing_daemon_is_told_apart() {
    let root = tempfile::tempdir().unwrap();
    assert!(Admin::connect(root.path()).unwrap_err().is_no_daemon());
}
