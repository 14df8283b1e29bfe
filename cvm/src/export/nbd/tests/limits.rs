//! How much a client may send, and how often; and callers that do what they should not.

use super::script::{Dump, bytes, play, talk};
use super::*;

#[test]
fn a_name_may_have_4096_bytes() {
    let end = play(
        r#"
        S 4e42444d41474943 49484156454f5054 0003
        C 00000003
        C 49484156454f5054 00000006 00001006 00001000 4096*61 0000
        # The text is clipped: it has the name, and two words more
        S 0003e889045565a9 00000006 80000006 00001000 "no volume " 22 4085*61
        "#,
    );
    assert_eq!(end, Step::NeedInput);
}

#[test]
fn texts_are_clipped_between_letters() {
    assert_eq!(clip(&"é".repeat(2049)).len(), 4096);
    assert_eq!(clip(&format!("a{}", "é".repeat(2048))).len(), 4095);
    assert_eq!(clip("short"), "short");
}

#[test]
fn data_of_64_kib_is_looked_at_and_more_is_skipped() {
    let end = play(
        r#"
        S 4e42444d41474943 49484156454f5054 0003
        C 00000003
        C 49484156454f5054 00000006 00010000 65536*00
        S 0003e889045565a9 00000006 80000003 00000021 "there is more data than is needed"
        C 49484156454f5054 00000006 00010001 65537*00
        S 0003e889045565a9 00000006 80000009 00000024 "an option has at most 64 KiB of data"
        "#,
    );
    assert_eq!(end, Step::NeedInput);
}

#[test]
fn data_of_1_mib_is_skipped_and_more_closes() {
    let skipped = bytes(
        r"00000003
        49484156454f5054 12345678 00100000 1048576*49
        49484156454f5054 00000002 00000000",
    );
    let expected = bytes(
        r#"4e42444d41474943 49484156454f5054 0003
        0003e889045565a9 12345678 80000009 00000024 "an option has at most 64 KiB of data"
        0003e889045565a9 00000002 00000001 00000000"#,
    );
    for at_once in [1, 1000, 65536] {
        let (sent, end) = talk(&skipped, at_once);
        assert_eq!(Dump(&sent), Dump(&expected));
        assert_eq!(end, Step::Close(HandshakeEnd::Aborted));
    }
    // The data need not come for that.
    for (option, len) in [("12345678", 0x0010_0001), ("00000003", u32::MAX), ("00000001", 0x1_0001)]
    {
        let end = play(&format!(
            r"
            S 4e42444d41474943 49484156454f5054 0003
            C 00000003
            C 49484156454f5054 {option} {len:08x}
            "
        ));
        assert_eq!(end, Step::Close(HandshakeEnd::TooLong(len)));
    }
}

#[test]
fn a_client_that_does_not_stop_asking_is_left() {
    let ask = bytes("49484156454f5054 00000008 00000000");
    let acknowledged = bytes("0003e889045565a9 00000008 00000001 00000000");
    let talk = |count| {
        let (sent, end) = talk(&[&[0, 0, 0, 3], &ask.repeat(count)[..]].concat(), 1000);
        assert!(sent[18..].chunks(20).all(|answer| answer == acknowledged));
        ((sent.len() - 18) / 20, end)
    };
    assert_eq!(talk(256), (256, Step::NeedInput));
    assert_eq!(talk(257), (256, Step::Close(HandshakeEnd::TooMany)));
}

/// An answer has to go out before the next option is looked at.
#[test]
fn answers_do_not_pile_up() {
    let mut handshake = Handshake::new();
    assert!(matches!(handshake.poll(), Step::Send(greeting) if greeting.len() == 18));
    let asks = bytes("49484156454f5054 00000008 00000000").repeat(100);
    handshake.handle_input(&[0, 0, 0, 3]);
    handshake.handle_input(&asks);
    for _ in 0..100 {
        assert!(matches!(handshake.poll(), Step::Send(answer) if answer.len() == 20));
    }
    assert_eq!(handshake.poll(), Step::NeedInput);
    assert_eq!(handshake.room(), 64 << 10);
}

#[test]
fn more_than_there_is_room_for_ends_it() {
    let mut handshake = Handshake::new();
    handshake.handle_input(&vec![0; handshake.room()]);
    assert_eq!((handshake.room(), handshake.held()), (0, 64 << 10));
    handshake.handle_input(&[0]);
    assert_eq!((handshake.room(), handshake.held()), (0, 0));
    // What was said before is said.
    assert!(matches!(handshake.poll(), Step::Send(_)));
    assert_eq!(handshake.poll(), Step::Close(HandshakeEnd::Flooded));
    assert_eq!(handshake.poll(), Step::Close(HandshakeEnd::Flooded));
}

#[test]
fn answers_to_no_question_are_ignored_and_questions_are_repeated() {
    let mut handshake = Handshake::new();
    let answer = |handshake: &mut Handshake| {
        handshake.answer_export(Ok(volume()));
        handshake.answer_list(&["x".to_owned()]);
    };
    answer(&mut handshake);
    assert!(matches!(handshake.poll(), Step::Send(greeting) if greeting.len() == 18));
    assert_eq!(handshake.poll(), Step::NeedInput);
    handshake.handle_input(&bytes("00000003 49484156454f5054 00000003 00000000"));
    assert_eq!(handshake.poll(), Step::Ask(Ask::List));
    handshake.answer_export(Ok(volume()));
    assert_eq!(handshake.poll(), Step::Ask(Ask::List));
    handshake.answer_list(&[]);
    assert!(matches!(handshake.poll(), Step::Send(answer) if answer.len() == 20));
    handshake.handle_input(&bytes(r#"49484156454f5054 00000007 00000007 00000001 "a" 0000"#));
    let ask = || Step::Ask(Ask::Export { name: "a".to_owned(), opens: true });
    assert_eq!(handshake.poll(), ask());
    handshake.answer_list(&[]);
    assert_eq!(handshake.poll(), ask());
    handshake.answer_export(Ok(volume()));
    answer(&mut handshake);
    assert!(matches!(handshake.poll(), Step::Send(_)));
    assert!(matches!(handshake.poll(), Step::Begin(_)));
    assert_eq!(handshake.poll(), Step::Close(HandshakeEnd::Begun));
    assert_eq!(handshake.room(), 0);
}

#[test]
fn names_that_nobody_can_ask_for_are_not_listed() {
    let mut handshake = Handshake::new();
    handshake.poll();
    handshake.handle_input(&bytes("00000003 49484156454f5054 00000003 00000000"));
    handshake.poll();
    handshake.answer_list(&["a".repeat(4097), "b".to_owned()]);
    let expected = bytes(
        r#"0003e889045565a9 00000003 00000002 00000005 00000001 "b"
        0003e889045565a9 00000003 00000001 00000000"#,
    );
    assert_eq!(handshake.poll(), Step::Send(expected.into()));
}

#[test]
fn sizes_that_no_client_would_understand() {
    assert!(volume().is_sound() && read_only().is_sound());
    let wrong: [fn(&mut Export); 9] = [
        |export| export.min_block = 0,
        |export| export.min_block = 513,
        |export| export.min_block = 128 << 10,
        |export| export.size += 1,
        |export| export.preferred_block = 0,
        |export| export.preferred_block = 256,
        |export| export.preferred_block = 5000,
        |export| export.max_block = 32 << 10,
        |export| export.max_block = (32 << 20) + 1,
    ];
    for (number, change) in wrong.into_iter().enumerate() {
        let mut export = volume();
        change(&mut export);
        assert!(!export.is_sound(), "{number}");
    }
    assert!(Export { min_block: 1, size: 1, preferred_block: 512, ..volume() }.is_sound());
}
