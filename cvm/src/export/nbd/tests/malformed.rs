//! Conversations that go wrong.

use super::script::play;
use super::*;

/// An option that is answered by INVALID and some text, after structured replies were agreed on;
/// what follows is understood.
#[track_caller]
fn invalid(option: &str, data: &str, text: &str) {
    let len = script::bytes(data).len();
    let end = play(&format!(
        r#"
        S 4e42444d41474943 49484156454f5054 0003
        C 00000003
        C 49484156454f5054 00000008 00000000
        S 0003e889045565a9 00000008 00000001 00000000
        C 49484156454f5054 {option} {len:08x} {data}
        S 0003e889045565a9 {option} 80000003 {:08x} "{text}"
        C 49484156454f5054 00000003 00000000
        S 0003e889045565a9 00000003 00000002 0000000b 00000007 "dg/vol1"
        S 0003e889045565a9 00000003 00000002 0000000b 00000007 "dg/vol2"
        S 0003e889045565a9 00000003 00000001 00000000
        "#,
        text.len(),
    ));
    assert_eq!(end, Step::NeedInput, "{data}");
}

const INFO: &str = "00000006";
const GO: &str = "00000007";
const LIST_META_CONTEXT: &str = "00000009";
const SET_META_CONTEXT: &str = "0000000a";

const SHORT: &str = "the data ends too early";
const LONG: &str = "there is more data than is needed";

#[test]
fn options_without_data_have_none() {
    for option in ["00000003", "00000005", "00000008"] {
        invalid(option, "00", "this option has no data");
    }
}

#[test]
fn info_and_go_with_lengths_that_do_not_fit() {
    for option in [INFO, GO] {
        for data in [
            "",
            "000000",
            // No count.
            r#"00000007 "dg/vol1""#,
            r#"00000007 "dg/vol1" 00"#,
            // A name that goes on behind the end, by one byte and by all there are.
            r#"0000000a "dg/vol1" 0000"#,
            r#"ffffffff "dg/vol1" 0000"#,
            // Fewer requests than were announced.
            r#"00000007 "dg/vol1" 0001"#,
            r#"00000007 "dg/vol1" 0002 0001 00"#,
            r#"00000007 "dg/vol1" ffff 0001 0002"#,
        ] {
            invalid(option, data, SHORT);
        }
        for data in [
            r#"00000007 "dg/vol1" 0000 00"#,
            r#"00000007 "dg/vol1" 0000 0001"#,
            r#"00000007 "dg/vol1" 0001 0001 0002"#,
        ] {
            invalid(option, data, LONG);
        }
    }
}

#[test]
fn names_that_are_no_text() {
    for option in [INFO, GO] {
        invalid(option, "00000002 c328 0000", "a text is not UTF-8");
        invalid(option, "00000003 610062 0000", "there is a NUL in a text");
        invalid(option, "00001001 4097*61 0000", "a text is longer than 4096 bytes");
    }
    for option in [LIST_META_CONTEXT, SET_META_CONTEXT] {
        invalid(option, "00000002 c328 00000000", "a text is not UTF-8");
        invalid(option, "00000001 00 00000000", "there is a NUL in a text");
        invalid(option, "00001001 4097*61 00000000", "a text is longer than 4096 bytes");
    }
}

#[test]
fn queries_of_metadata_contexts_that_are_none() {
    for option in [LIST_META_CONTEXT, SET_META_CONTEXT] {
        for data in [
            "",
            r#"00000007 "dg/vol1" 000000"#,
            r#"00000007 "dg/vol1" 00000001"#,
            r#"00000007 "dg/vol1" 00000001 00000006 "base:""#,
            r#"00000007 "dg/vol1" ffffffff 00000005 "base:""#,
            r#"00000007 "dg/vol1" 00000001 ffffffff "base:""#,
            r#"00000015 "dg/vol1" 00000001 00000005 "base:""#,
        ] {
            invalid(option, data, SHORT);
        }
        invalid(option, r#"00000007 "dg/vol1" 00000000 00"#, LONG);
        invalid(option, r#"00000007 "dg/vol1" 00000001 00000005 "base:" 00"#, LONG);
        let nameless = "a query does not begin with a namespace";
        for query in [r#"00000004 "base""#, r#"00000002 ":a""#, "00000000"] {
            invalid(option, &format!(r#"00000007 "dg/vol1" 00000001 {query}"#), nameless);
        }
        invalid(option, "00000000 00000001 00000003 3a00ff", "a text is not UTF-8");
        invalid(
            option,
            "00000000 00000001 00001001 3a 4096*61",
            "a text is longer than 4096 bytes",
        );
    }
}

#[test]
fn flags_that_are_not_known_close() {
    for (flags, value) in [("00000004", 4), ("80000003", 0x8000_0003), ("ffffffff", u32::MAX)] {
        let end =
            play(&format!("S 4e42444d41474943 49484156454f5054 0003\nC {flags} 49484156454f5054"));
        assert_eq!(end, Step::Close(HandshakeEnd::UnknownFlags(value)));
    }
}

#[test]
fn what_is_no_option_closes() {
    let end = play(
        r"
        S 4e42444d41474943 49484156454f5054 0003
        C 00000003
        C 49484156454f5055 00000003 00000000
        ",
    );
    assert_eq!(end, Step::Close(HandshakeEnd::Magic(0x4948_4156_454f_5055)));
}

/// It would not understand any answer.
#[test]
fn a_client_of_the_old_kind_may_do_nothing_but_choose() {
    let end = play(
        r"
        S 4e42444d41474943 49484156454f5054 0003
        C 00000002
        C 49484156454f5054 00000003 00000000
        ",
    );
    assert_eq!(end, Step::Close(HandshakeEnd::NotFixed(3)));
}
