//! Conversations as they should be.

use super::script::play;
use super::*;

#[track_caller]
fn session(script: &str) -> Session {
    match play(script) {
        Step::Begin(session) => session,
        other => panic!("no session: {other:?}"),
    }
}

#[test]
fn the_greeting_comes_first() {
    assert_eq!(play(r#"S "NBDMAGIC" "IHAVEOPT" 0003"#), Step::NeedInput);
    assert_eq!(play("S 4e42444d41474943 49484156454f5054 0003"), Step::NeedInput);
}

#[test]
fn go_tells_all_that_is_asked_for() {
    let session = session(
        r#"
        S 4e42444d41474943 49484156454f5054 0003
        C 00000003
        # GO dg/vol1: EXPORT, NAME, DESCRIPTION, BLOCK_SIZE and one that is not known
        C 49484156454f5054 00000007 00000017
        . 00000007 "dg/vol1" 0005 0000 0001 0002 0003 1234
        # EXPORT: HAS_FLAGS, FLUSH, FUA, TRIM, WRITE_ZEROES, MULTI_CONN
        S 0003e889045565a9 00000007 00000003 0000000c 0000 0000000040000000 016d
        S 0003e889045565a9 00000007 00000003 00000009 0001 "dg/vol1"
        S 0003e889045565a9 00000007 00000003 0000000c 0002 "two copies"
        S 0003e889045565a9 00000007 00000003 0000000e 0003 00000200 00001000 02000000
        S 0003e889045565a9 00000007 00000001 00000000
        "#,
    );
    assert_eq!(session.export, volume());
    assert_eq!(session.replies, Replies::Simple);
    assert!(session.rest.is_empty());
}

#[test]
fn structured_replies_bring_df() {
    let session = session(
        r#"
        S 4e42444d41474943 49484156454f5054 0003
        C 00000003
        C 49484156454f5054 00000008 00000000
        S 0003e889045565a9 00000008 00000001 00000000
        C 49484156454f5054 00000007 0000000d 00000007 "dg/vol1" 0000
        S 0003e889045565a9 00000007 00000003 0000000c 0000 0000000040000000 01ed
        S 0003e889045565a9 00000007 00000003 0000000e 0003 00000200 00001000 02000000
        S 0003e889045565a9 00000007 00000001 00000000
        # FLUSH, as a client should not send it before it has read all of that
        C 25609513 0000 0003 1122334455667788 0000000000000000 00000000
        "#,
    );
    assert_eq!(session.replies, Replies::Structured);
    let head = RequestHead::decode(session.rest[..].try_into().unwrap()).unwrap();
    assert_eq!((head.command, head.cookie), (Command::Flush, 0x1122_3344_5566_7788));
}

#[test]
fn info_does_not_begin_anything() {
    let end = play(
        r#"
        S 4e42444d41474943 49484156454f5054 0003
        C 00000001
        # INFO dg/vol2: DESCRIPTION, which is empty, and twice NAME
        C 49484156454f5054 00000006 00000013 00000007 "dg/vol2" 0003 0002 0001 0001
        # EXPORT: HAS_FLAGS, READ_ONLY, FLUSH, FUA, MULTI_CONN
        S 0003e889045565a9 00000006 00000003 0000000c 0000 0000000040000000 010f
        S 0003e889045565a9 00000006 00000003 00000009 0001 "dg/vol2"
        S 0003e889045565a9 00000006 00000003 00000002 0002
        S 0003e889045565a9 00000006 00000003 0000000e 0003 00000200 00001000 02000000
        S 0003e889045565a9 00000006 00000001 00000000
        # The empty name
        C 49484156454f5054 00000006 00000008 00000000 0001 0001
        S 0003e889045565a9 00000006 00000003 0000000c 0000 0000000040000000 016d
        S 0003e889045565a9 00000006 00000003 00000009 0001 "dg/vol1"
        S 0003e889045565a9 00000006 00000003 0000000e 0003 00000200 00001000 02000000
        S 0003e889045565a9 00000006 00000001 00000000
        "#,
    );
    assert_eq!(end, Step::NeedInput);
}

#[test]
fn export_name_with_zeros() {
    let old = session(
        r#"
        S 4e42444d41474943 49484156454f5054 0003
        # A client of the old kind
        C 00000000
        C 49484156454f5054 00000001 00000007 "dg/vol1"
        S 0000000040000000 016d 124*00
        "#,
    );
    assert_eq!((old.export, old.replies), (volume(), Replies::Simple));
    let fixed = session(
        r#"
        S 4e42444d41474943 49484156454f5054 0003
        C 00000001
        C 49484156454f5054 00000001 00000000
        S 0000000040000000 016d 124*00
        "#,
    );
    assert_eq!(fixed.export, volume());
}

#[test]
fn export_name_without_zeros() {
    let session = session(
        r#"
        S 4e42444d41474943 49484156454f5054 0003
        C 00000003
        C 49484156454f5054 00000008 00000000
        S 0003e889045565a9 00000008 00000001 00000000
        C 49484156454f5054 00000001 00000007 "dg/vol2"
        S 0000000040000000 018f
        "#,
    );
    assert_eq!((session.export, session.replies), (read_only(), Replies::Structured));
}

/// Nothing can be said to it.
#[test]
fn export_name_of_what_is_not_to_be_had_closes() {
    for name in [r#"00000007 "dg/vol9""#, r#"00000006 "dg/off""#, "00000002 c328"] {
        let end = play(&format!(
            "
            S 4e42444d41474943 49484156454f5054 0003
            C 00000003
            C 49484156454f5054 00000001 {name}
            "
        ));
        assert_eq!(end, Step::Close(HandshakeEnd::ExportName));
    }
}

#[test]
fn list_names_all_exports() {
    let end = play(
        r#"
        S 4e42444d41474943 49484156454f5054 0003
        C 00000003
        C 49484156454f5054 00000003 00000000
        S 0003e889045565a9 00000003 00000002 0000000b 00000007 "dg/vol1"
        S 0003e889045565a9 00000003 00000002 0000000b 00000007 "dg/vol2"
        S 0003e889045565a9 00000003 00000001 00000000
        C 49484156454f5054 00000002 00000000
        S 0003e889045565a9 00000002 00000001 00000000
        "#,
    );
    assert_eq!(end, Step::Close(HandshakeEnd::Aborted));
}

#[test]
fn an_export_that_is_not_to_be_had_is_refused_and_the_client_may_ask_for_another() {
    let session = session(
        r#"
        S 4e42444d41474943 49484156454f5054 0003
        C 00000003
        C 49484156454f5054 00000007 0000000d 00000007 "dg/vol9" 0000
        S 0003e889045565a9 00000007 80000006 00000013 "no volume " 22 "dg/vol9" 22
        C 49484156454f5054 00000006 0000000d 00000007 "dg/vol9" 0000
        S 0003e889045565a9 00000006 80000006 00000013 "no volume " 22 "dg/vol9" 22
        C 49484156454f5054 00000007 0000000c 00000006 "dg/off" 0000
        S 0003e889045565a9 00000007 80000002 00000023 "group dg is not active on this node"
        C 49484156454f5054 00000006 0000000c 00000006 "dg/off" 0000
        S 0003e889045565a9 00000006 80000002 00000023 "group dg is not active on this node"
        C 49484156454f5054 00000007 0000000d 00000007 "dg/vol2" 0000
        S 0003e889045565a9 00000007 00000003 0000000c 0000 0000000040000000 010f
        S 0003e889045565a9 00000007 00000003 0000000e 0003 00000200 00001000 02000000
        S 0003e889045565a9 00000007 00000001 00000000
        "#,
    );
    assert_eq!(session.export, read_only());
}

/// TLS, extended headers, what was withdrawn, and what nobody has thought of.
#[test]
fn options_that_are_not_served() {
    let end = play(
        r#"
        S 4e42444d41474943 49484156454f5054 0003
        C 00000003
        C 49484156454f5054 00000005 00000000
        S 0003e889045565a9 00000005 80000002 00000014 "there is no TLS here"
        C 49484156454f5054 0000000b 00000000
        S 0003e889045565a9 0000000b 80000001 0000001d "this option is not known here"
        C 49484156454f5054 00000004 00000003 "abc"
        S 0003e889045565a9 00000004 80000001 0000001d "this option is not known here"
        C 49484156454f5054 ffffffff 00000001 00
        S 0003e889045565a9 ffffffff 80000001 0000001d "this option is not known here"
        "#,
    );
    assert_eq!(end, Step::NeedInput);
}

#[test]
fn there_are_no_metadata_contexts() {
    let end = play(
        r#"
        S 4e42444d41474943 49484156454f5054 0003
        C 00000003
        # Not yet
        C 49484156454f5054 00000009 0000000f 00000007 "dg/vol1" 00000000
        S 0003e889045565a9 00000009 80000003 0000001d "structured replies come first"
        C 49484156454f5054 0000000a 0000000f 00000007 "dg/vol1" 00000000
        S 0003e889045565a9 0000000a 80000003 0000001d "structured replies come first"
        C 49484156454f5054 00000008 00000000
        S 0003e889045565a9 00000008 00000001 00000000
        # LIST all, and some
        C 49484156454f5054 00000009 0000000f 00000007 "dg/vol1" 00000000
        S 0003e889045565a9 00000009 00000001 00000000
        C 49484156454f5054 00000009 00000018 00000007 "dg/vol1" 00000001 00000005 "base:"
        S 0003e889045565a9 00000009 00000001 00000000
        # SET two
        C 49484156454f5054 0000000a 0000002c 00000007 "dg/vol1" 00000002
        . 0000000f "base:allocation" 00000006 "x-a:b:"
        S 0003e889045565a9 0000000a 00000001 00000000
        "#,
    );
    assert_eq!(end, Step::NeedInput);
}

/// Data that comes with it is ignored.
#[test]
fn abort_is_acknowledged() {
    for data in ["00000000", r#"00000003 "bye""#] {
        let end = play(&format!(
            r#"
            S 4e42444d41474943 49484156454f5054 0003
            C 00000001
            C 49484156454f5054 00000002 {data}
            S 0003e889045565a9 00000002 00000001 00000000
            "#
        ));
        assert_eq!(end, Step::Close(HandshakeEnd::Aborted));
    }
}
