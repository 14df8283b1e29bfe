//! Sealed frames, byte by byte and bit by bit; who is believed and who is not.

use bytes::Bytes;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305};

use super::*;
use crate::ids::{ClusterId, Id, Incarnation, LinkId, NodeId};
use crate::wire::{BROADCAST_NODE, Header, Kind, emit_bye};

fn node(id: u8) -> NodeId {
    NodeId::new(id).unwrap()
}

fn link(id: u8) -> LinkId {
    LinkId::new(id).unwrap()
}

fn id(node_id: u8, incarnation: u64) -> Id {
    Id { node: node(node_id), incarnation: Incarnation(incarnation) }
}

/// Bytes 0 to 31.
fn key() -> Key {
    Key::new(core::array::from_fn(|at| u8::try_from(at).unwrap()))
}

fn ring(bytes: u8) -> Keyring {
    Keyring::new(Key::new([bytes; 32]), None).unwrap()
}

/// The shortest plain frame.
fn plain(sender: Id, dst: u8) -> Bytes {
    emit_bye(&Header {
        cluster: ClusterId(0x0102),
        kind: Kind::Bye,
        src: sender.node.get(),
        dst,
        sequence: 0x0506_0708,
        src_incarnation: sender.incarnation,
        dst_incarnation: Incarnation(0x2122_2324_2526_2728),
        src_session: 0x3132,
        dst_session: 0x3334,
        ack: 0x4142_4344_4546_4748,
    })
}

/// Node 4 listens on link 2, and heeds whatever there is.
fn open(opener: &mut Opener, keys: &Keyring, frame: &[u8]) -> Result<Bytes, Unopened> {
    opener.open(keys, link(2), |_| Incarnation(0), frame)
}

/// Sender 3 in this life, on link 2.
fn sealer(incarnation: u64) -> Sealer {
    Sealer::new(id(3, incarnation), link(2))
}

fn opener() -> Opener {
    Opener::new(id(4, 9))
}

/// These bytes come from a reference in another language, which the test vectors of RFC 8439 and of
/// the draft on XChaCha were tried on.
const SEALED: [u8; 92] = [
    0x4c, 0x53, 0x01, 0x01, // "LS", versions
    0x38, 0x37, 0x22, 0x4b, // key id
    0x03, 0x04, 0x02, 0x00, // src, dst, link
    0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, // incarnation
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, // count
    0x65, 0xc7, 0x82, 0x0a, 0x4e, 0x25, 0x69, 0x80, // the plain frame, encrypted
    0x62, 0xe9, 0x80, 0xb1, 0x10, 0x2a, 0xf1, 0x39, //
    0xad, 0x7b, 0x35, 0xfe, 0x3b, 0xa7, 0x9f, 0xa4, //
    0x9b, 0x3b, 0x3e, 0x35, 0x1b, 0x5d, 0x9d, 0xf8, //
    0xcc, 0x82, 0x28, 0x2e, 0x5b, 0x2f, 0x20, 0xa6, //
    0x1b, 0xc0, 0x02, 0x00, 0x9e, 0x42, 0xcf, 0x7a, //
    0x4e, 0x4d, 0xfb, 0xe4, 0xe1, 0x85, 0xeb, 0x74, // tag
    0xc2, 0x71, 0x0d, 0x09, 0xee, 0xa3, 0x56, 0x41, //
];

#[test]
fn a_sealed_frame_is_these_bytes() {
    let sender = id(3, 0x1112_1314_1516_1718);
    let plain = plain(sender, 4);
    let mut sealer = Sealer::new(sender, link(2));
    let first = sealer.seal(&key(), 4, &plain);
    let second = sealer.seal(&key(), 4, &plain);
    assert_eq!(second[..], SEALED);
    // Only the count differs in the clear, and everything behind it.
    assert_eq!(first[..27], second[..27]);
    assert!(
        first[CLEAR_LEN..].iter().zip(&second[CLEAR_LEN..]).filter(|(a, b)| a == b).count() < 8
    );
    let clear = ClearHeader::check(&second).unwrap();
    let expected = ClearHeader {
        key: key().id(),
        src: 3,
        dst: 4,
        link: link(2),
        incarnation: sender.incarnation,
        count: 2,
    };
    assert_eq!(clear, expected);
    assert_eq!(key().id().to_string(), "3837224b");
    let keys = Keyring::new(key(), None).unwrap();
    assert_eq!(open(&mut opener(), &keys, &SEALED), Ok(plain));
}

#[test]
fn it_is_xchacha20poly1305_with_a_nonce_of_sender_link_and_count() {
    let mut nonce = Vec::from(&SEALED[12..20]);
    nonce.extend([3, 2]);
    nonce.extend(b"frames");
    nonce.extend(&SEALED[20..28]);
    let cipher = XChaCha20Poly1305::new(&(*key().bytes()).into());
    let (body, tag) = SEALED[CLEAR_LEN..].split_last_chunk::<TAG_LEN>().unwrap();
    let mut text = body.to_vec();
    let nonce = nonce[..].try_into().unwrap();
    let buffer = InOutBuf::from(&mut text[..]);
    cipher.decrypt_inout_detached(&nonce, &SEALED[..CLEAR_LEN], buffer, tag.into()).unwrap();
    assert_eq!(text, plain(id(3, 0x1112_1314_1516_1718), 4));
}

#[test]
fn a_flipped_bit_anywhere_is_noticed() {
    let keys = Keyring::new(key(), None).unwrap();
    let mut opener = opener();
    for at in 0..SEALED.len() {
        for bit in 0..8 {
            let mut frame = SEALED;
            frame[at] ^= 1 << bit;
            let refused = open(&mut opener, &keys, &frame).unwrap_err();
            let expected: &[Unopened] = match at {
                0 | 1 => &[Unopened::Malformed, Unopened::NotSealed],
                2 | 3 => &[Unopened::BadTag, Unopened::Version],
                4..8 => &[Unopened::UnknownKey],
                8 => &[Unopened::BadTag, Unopened::BadSource],
                9 => &[Unopened::BadDest],
                10 => &[Unopened::BadTag, Unopened::Malformed],
                27 => &[Unopened::BadTag, Unopened::Malformed],
                _ => &[Unopened::BadTag],
            };
            assert!(expected.contains(&refused), "byte {at} bit {bit}: {refused:?}");
        }
    }
    assert_eq!(opener.windows(), 0, "nothing of them is remembered");
    for len in 0..SEALED.len() {
        let refused = open(&mut opener, &keys, &SEALED[..len]).unwrap_err();
        assert!(matches!(refused, Unopened::BadTag | Unopened::Malformed), "{len}: {refused:?}");
    }
    let mut long = SEALED.to_vec();
    long.push(0);
    assert_eq!(open(&mut opener, &keys, &long), Err(Unopened::BadTag));
    assert!(open(&mut opener, &keys, &SEALED).is_ok());
}

#[test]
fn a_frame_is_heard_once_and_frames_may_overtake_each_other() {
    let (keys, mut opener, mut sealer) = (ring(1), opener(), sealer(5));
    let plain = plain(id(3, 5), 4);
    let frames: Vec<_> = (0..9000).map(|_| sealer.seal(keys.sealing(), 4, &plain)).collect();
    for frame in frames[..8192].iter().rev() {
        assert_eq!(open(&mut opener, &keys, frame).as_ref(), Ok(&plain));
    }
    for frame in &frames[..8192] {
        assert_eq!(open(&mut opener, &keys, frame), Err(Unopened::Replayed));
    }
    assert!(open(&mut opener, &keys, &frames[8999]).is_ok());
    assert_eq!(open(&mut opener, &keys, &frames[807]), Err(Unopened::Replayed));
    assert!(open(&mut opener, &keys, &frames[8192]).is_ok());
    assert_eq!(opener.windows(), 1);
    // The window is that of the sender's link, whatever link a frame arrives on.
    let elsewhere = opener.open(&keys, link(5), |_| Incarnation(0), &frames[8999]);
    assert_eq!(elsewhere, Err(Unopened::Replayed));
}

#[test]
fn a_key_opens_only_what_it_sealed() {
    let (ours, theirs) = (ring(1), ring(2));
    let plain = plain(id(3, 5), 4);
    let foreign = sealer(5).seal(theirs.sealing(), 4, &plain);
    assert_eq!(open(&mut opener(), &ours, &foreign), Err(Unopened::UnknownKey));
    // A key whose id is forged.
    let mut forged = foreign.to_vec();
    forged[4..8].copy_from_slice(&ours.sealing().id().0);
    assert_eq!(open(&mut opener(), &ours, &forged), Err(Unopened::BadTag));
    assert_eq!(open(&mut opener(), &ours, &plain), Err(Unopened::NotSealed));
}

#[test]
fn a_key_is_changed_without_a_gap_and_without_a_second_chance_for_a_recording() {
    let [one, two, three] = [1, 2, 3].map(|bytes| Key::new([bytes; 32]));
    let old = Keyring::new(one.clone(), Some(two.clone())).unwrap();
    let new = Keyring::new(two.clone(), Some(one.clone())).unwrap();
    let last = Keyring::new(two.clone(), None).unwrap();
    let (mut opener, mut sealer) = (opener(), sealer(5));
    let plain = plain(id(3, 5), 4);
    let before = sealer.seal(&one, 4, &plain);
    let late = sealer.seal(&one, 4, &plain);
    assert!(open(&mut opener, &old, &before).is_ok());
    sealer.rekey();
    let after = sealer.seal(&two, 4, &plain);
    assert!(open(&mut opener, &old, &after).is_ok());
    opener.rekey();
    for frame in [&before, &after] {
        assert_eq!(open(&mut opener, &new, frame), Err(Unopened::Replayed));
    }
    assert!(open(&mut opener, &new, &late).is_ok(), "it was only overtaken");
    opener.rekey();
    assert_eq!(open(&mut opener, &last, &late), Err(Unopened::UnknownKey));
    assert_eq!(open(&mut opener, &last, &after), Err(Unopened::Replayed));
    assert_eq!(old.ids().collect::<Vec<_>>(), [one.id(), two.id()]);
    assert!(old.has_common(&last) && !last.has_common(&Keyring::new(three, None).unwrap()));
    let same = Keyring::new(one.clone(), Some(one.clone()));
    assert_eq!(same.unwrap_err(), KeyringError::SameId(one.id()));
}

#[test]
fn who_has_the_key_cannot_speak_for_another() {
    let (keys, mut opener) = (ring(1), opener());
    let mut sealer = sealer(5);
    let others = [plain(id(2, 5), 4), plain(id(3, 6), 4), plain(id(3, 5), BROADCAST_NODE)];
    for other in others {
        let frame = sealer.seal(keys.sealing(), 4, &other);
        assert_eq!(open(&mut opener, &keys, &frame), Err(Unopened::Malformed));
    }
    let short = sealer.seal(keys.sealing(), 4, &[0x4c; 47]);
    assert_eq!(open(&mut opener, &keys, &short), Err(Unopened::Malformed));
    assert_eq!(opener.windows(), 0);
}

#[test]
fn frames_for_others_of_nobody_and_of_ourselves() {
    let (keys, mut opener) = (ring(1), opener());
    let seal = |sender: Id, on, dst| {
        Sealer::new(sender, link(on)).seal(keys.sealing(), dst, &plain(sender, dst))
    };
    assert_eq!(open(&mut opener, &keys, &seal(id(3, 5), 2, 7)), Err(Unopened::BadDest));
    assert_eq!(open(&mut opener, &keys, &seal(id(3, 0), 2, 4)), Err(Unopened::BadSource));
    // Our own broadcasts: on their link nothing new, on another one a sign of crossed cables.
    let own = seal(id(4, 9), 2, BROADCAST_NODE);
    assert_eq!(open(&mut opener, &keys, &own), Err(Unopened::Loopback));
    let crossed = seal(id(4, 9), 1, BROADCAST_NODE);
    assert!(open(&mut opener, &keys, &crossed).is_ok());
    let mut forged = crossed.to_vec();
    forged[40] ^= 1;
    assert_eq!(open(&mut opener, &keys, &forged), Err(Unopened::BadTag));
    assert_eq!(opener.windows(), 0);
}

#[test]
fn an_older_life_is_heard_only_while_it_may_be_the_one_to_heed() {
    let keys = ring(1);
    let mut opener = opener();
    let mut lives: Vec<Sealer> = (5..9).map(sealer).collect();
    let mut heard = |lives: &mut Vec<Sealer>, life: usize, heeded: u64| {
        let incarnation = 5 + life as u64;
        let frame = lives[life].seal(keys.sealing(), 4, &plain(id(3, incarnation), 4));
        let opened = opener.open(&keys, link(2), |_| Incarnation(heeded), &frame);
        assert!(opener.windows() <= LIVES);
        opened.map(drop)
    };
    const LIVES: usize = 2;
    assert_eq!(heard(&mut lives, 0, 0), Ok(()));
    // A younger one with the same id: both are heard until it is clear which of them it is.
    assert_eq!(heard(&mut lives, 1, 5), Ok(()));
    assert_eq!(heard(&mut lives, 0, 5), Ok(()));
    // A third: the one between them makes room, and does not come back.
    assert_eq!(heard(&mut lives, 3, 5), Ok(()));
    assert_eq!(heard(&mut lives, 0, 5), Ok(()));
    assert_eq!(heard(&mut lives, 1, 5), Err(Unopened::BadGeneration));
    assert_eq!(heard(&mut lives, 2, 5), Err(Unopened::BadGeneration));
    // The newest is believed: whatever the others say now was recorded.
    assert_eq!(heard(&mut lives, 0, 8), Err(Unopened::BadGeneration));
    assert_eq!(heard(&mut lives, 3, 8), Ok(()));
}

#[test]
fn forged_frames_leave_nothing_behind() {
    let (keys, mut opener) = (ring(1), opener());
    let other = Key::new([2; 32]);
    for incarnation in 1..2000 {
        let sender = id(u8::try_from(incarnation % 128).unwrap(), incarnation);
        if sender.node == node(4) {
            continue;
        }
        let mut frame = Sealer::new(sender, link(2)).seal(&other, 4, &plain(sender, 4)).to_vec();
        frame[4..8].copy_from_slice(&keys.sealing().id().0);
        assert_eq!(open(&mut opener, &keys, &frame), Err(Unopened::BadTag));
    }
    assert_eq!(opener.windows(), 0);
    // Of who has the key, two lives of each node at most.
    for incarnation in 1..1000 {
        let sender = id(u8::try_from(incarnation % 3).unwrap(), incarnation);
        for on in 0..8 {
            let frame = Sealer::new(sender, link(on)).seal(keys.sealing(), 4, &plain(sender, 4));
            assert!(open(&mut opener, &keys, &frame).is_ok());
        }
        assert!(opener.windows() <= 3 * 2 * 8);
    }
}

#[test]
fn whoever_watches_can_open_any_frame_any_number_of_times() {
    let keys = ring(1);
    let plain = plain(id(3, 5), 77);
    let frame = sealer(5).seal(keys.sealing(), 77, &plain);
    assert_eq!(peek(&keys, &frame).as_ref(), Ok(&plain));
    assert_eq!(peek(&keys, &frame), Ok(plain));
    assert_eq!(peek(&ring(2), &frame), Err(Unopened::UnknownKey));
}

#[test]
fn no_secret_is_printed() {
    let secret = [0xab; 32];
    let keys = Keyring::new(Key::new(secret), Some(Key::new([0xcd; 32]))).unwrap();
    let mut sealer = sealer(5);
    let mut opener = opener();
    let frame = sealer.seal(keys.sealing(), 4, &plain(id(3, 5), 4));
    open(&mut opener, &keys, &frame).unwrap();
    let text = format!("{keys:?} {sealer:?} {opener:?} {:?}", keys.sealing());
    for part in ["171", "205", "abab", "cdcd", "ABAB", "0xab"] {
        assert!(!text.contains(part), "{text}");
    }
    assert!(text.contains(&keys.sealing().id().to_string()));
}
