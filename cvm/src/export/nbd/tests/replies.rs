//! Replies, byte for byte.

use bytes::BytesMut;

use super::script::{Dump, bytes};
use super::*;

const COOKIE: u64 = 0x0102_0304_0506_0708;

#[track_caller]
fn check(replies: Replies, put: impl Fn(Replies, &mut BytesMut), expected: &str) {
    let mut out = BytesMut::from("before");
    put(replies, &mut out);
    assert_eq!(&out[..6], b"before");
    assert_eq!(Dump(&out[6..]), Dump(&bytes(expected)));
}

#[test]
fn it_is_done() {
    for replies in [Replies::Simple, Replies::Structured] {
        let put = |replies: Replies, out: &mut BytesMut| replies.put_done(out, COOKIE);
        check(replies, put, "67446698 00000000 0102030405060708");
    }
}

#[test]
fn data_follows() {
    let put = |replies: Replies, out: &mut BytesMut| {
        replies.put_data_head(out, COOKIE, 0x1122_3344_5566_7000, 0x1000);
    };
    check(Replies::Simple, put, "67446698 00000000 0102030405060708");
    let chunk = "668e33ef 0001 0001 0102030405060708 00001008 1122334455667000";
    check(Replies::Structured, put, chunk);
    let longest = |replies: Replies, out: &mut BytesMut| {
        replies.put_data_head(out, COOKIE, 0, PAYLOAD_MAX);
    };
    let chunk = "668e33ef 0001 0001 0102030405060708 02000008 0000000000000000";
    check(Replies::Structured, longest, chunk);
}

/// A chunk of data must have some.
#[test]
fn no_data_follows() {
    let put = |replies: Replies, out: &mut BytesMut| replies.put_data_head(out, COOKIE, 512, 0);
    check(Replies::Simple, put, "67446698 00000000 0102030405060708");
    check(Replies::Structured, put, "668e33ef 0001 0000 0102030405060708 00000000");
}

#[test]
fn it_is_not_done() {
    let put = |replies: Replies, out: &mut BytesMut| {
        replies.put_error(out, COOKIE, NbdError::Io, "no plex");
    };
    check(Replies::Simple, put, "67446698 00000005 0102030405060708");
    let chunk = r#"668e33ef 0001 8001 0102030405060708 0000000d 00000005 0007 "no plex""#;
    check(Replies::Structured, put, chunk);
    let silent = |replies: Replies, out: &mut BytesMut| {
        replies.put_error(out, COOKIE, NbdError::Shutdown, "");
    };
    let chunk = "668e33ef 0001 8001 0102030405060708 00000006 0000006c 0000";
    check(Replies::Structured, silent, chunk);
    let talkative = |replies: Replies, out: &mut BytesMut| {
        replies.put_error(out, COOKIE, NbdError::Perm, &"a".repeat(70_000));
    };
    let chunk = "668e33ef 0001 8001 0102030405060708 00001006 00000001 1000 4096*61";
    check(Replies::Structured, talkative, chunk);
}

#[test]
fn errors_have_the_numbers_of_the_protocol() {
    let numbers = [
        (NbdError::Perm, 1),
        (NbdError::Io, 5),
        (NbdError::NoMem, 12),
        (NbdError::Inval, 22),
        (NbdError::NoSpc, 28),
        (NbdError::Overflow, 75),
        (NbdError::NotSup, 95),
        (NbdError::Shutdown, 108),
    ];
    for (error, number) in numbers {
        assert_eq!(error.wire(), number);
    }
}
