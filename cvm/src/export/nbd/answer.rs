//! Answers to options, as they are sent.

use bytes::{BufMut, BytesMut};

use super::export::Export;
use super::option::{INFO_BLOCK_SIZE, INFO_DESCRIPTION, INFO_EXPORT, INFO_NAME, Infos, LIST, Wish};
use super::reply::Replies;
use super::{TEXT_MAX, clip, put_all};

/// Why an option is not answered as the client wishes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub(super) enum OptionError {
    Unsupported = 0x8000_0001,
    Policy = 0x8000_0002,
    Invalid = 0x8000_0003,
    UnknownExport = 0x8000_0006,
    TooBig = 0x8000_0009,
}

pub(super) fn put_greeting(out: &mut BytesMut) {
    put_all(out, &[b"NBDMAGIC", &OPTION_MAGIC.to_be_bytes()]);
    out.put_u16(FIXED_NEWSTYLE | NO_ZEROES);
}

/// It is done.
pub(super) fn put_ack(out: &mut BytesMut, option: u32) {
    put(out, option, REP_ACK, &[]);
}

/// It is not; the text is for people.
pub(super) fn put_error(out: &mut BytesMut, option: u32, error: OptionError, text: &str) {
    put(out, option, error as u32, &[clip(text).as_bytes()]);
}

/// The answer to LIST. A name that no client can ask for is left out.
pub(super) fn put_list(out: &mut BytesMut, names: &[String]) {
    for name in names.iter().filter(|name| name.len() <= TEXT_MAX) {
        put(out, LIST, REP_SERVER, &[&be_len(name.len()), name.as_bytes()]);
    }
    put_ack(out, LIST);
}

/// An export is told of, as the client wishes.
pub(super) fn put_export(
    out: &mut BytesMut,
    wish: Wish,
    export: &Export,
    replies: Replies,
    zeros: usize,
) {
    match wish {
        Wish::ExportName => {
            out.put_u64(export.size);
            out.put_u16(export.transmission_flags(replies));
            out.put_bytes(0, zeros);
        }
        Wish::Go(infos) | Wish::Info(infos) => {
            put_infos(out, wish.number(), infos, export, replies);
            put_ack(out, wish.number());
        }
    }
}

fn put_infos(out: &mut BytesMut, option: u32, infos: Infos, export: &Export, replies: Replies) {
    let mut info = |kind: u16, parts: [&[u8]; 3]| {
        let [first, second, third] = parts;
        put(out, option, REP_INFO, &[&kind.to_be_bytes(), first, second, third]);
    };
    let flags = export.transmission_flags(replies);
    info(INFO_EXPORT, [&export.size.to_be_bytes(), &flags.to_be_bytes(), &[]]);
    if infos.name {
        info(INFO_NAME, [clip(&export.name).as_bytes(), &[], &[]]);
    }
    if infos.description {
        info(INFO_DESCRIPTION, [clip(&export.description).as_bytes(), &[], &[]]);
    }
    // Also for those who have not asked: they may want to know after all.
    let blocks = [export.min_block, export.preferred_block, export.max_block];
    let [min, preferred, max] = blocks.map(u32::to_be_bytes);
    info(INFO_BLOCK_SIZE, [&min, &preferred, &max]);
}

/// "Fixed newstyle negotiation": what all answers look like, but for the one to EXPORT_NAME.
fn put(out: &mut BytesMut, option: u32, kind: u32, data: &[&[u8]]) {
    out.put_u64(REPLY_MAGIC);
    out.put_u32(option);
    out.put_u32(kind);
    put_all(out, &[&be_len(data.iter().map(|part| part.len()).sum())]);
    put_all(out, data);
}

fn be_len(len: usize) -> [u8; 4] {
    u32::try_from(len).expect("all texts are clipped").to_be_bytes()
}

/// "IHAVEOPT": ends the greeting, and begins an option.
pub(super) const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
const REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;

/// The flags of both sides have the same values.
pub(super) const FIXED_NEWSTYLE: u16 = 1;
pub(super) const NO_ZEROES: u16 = 1 << 1;

const REP_ACK: u32 = 1;
const REP_SERVER: u32 = 2;
const REP_INFO: u32 = 3;
