//! The bytes of one of each, as `docs/ondisk.md` draws them.

use std::fmt::Write;

use super::samples::{claim, disk_id, image, label};
use crate::disk::*;

/// Lines of 16 bytes; the zeros at the end of a block are left out.
fn dump(blocks: &[u8]) -> String {
    let mut text = String::new();
    for block in blocks.chunks(BLOCK) {
        let end = block.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        for (number, line) in block[..end].chunks(16).enumerate() {
            let hex: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            let letter = |byte: &u8| if matches!(byte, b' '..=b'~') { *byte as char } else { '.' };
            let letters: String = line.iter().map(letter).collect();
            let _ = writeln!(text, "{:04x}  {:<47}  {letters}", number * 16, hex.join(" "));
        }
        let _ = writeln!(text, "{} zeros", block.len() - end);
    }
    text
}

#[test]
fn a_label() {
    insta::assert_snapshot!(dump(&label(1).encode().unwrap()[0]));
}

#[test]
fn a_claim_of_a_member() {
    insta::assert_snapshot!(dump(&claim(1).encode().unwrap()[0]));
}

#[test]
fn a_claim_of_a_free_disk() {
    let claim = Claim { member: None, ..claim(1) };
    insta::assert_snapshot!(dump(&claim.encode().unwrap()[1]));
}

#[test]
fn an_image() {
    insta::assert_snapshot!(dump(&image().encode(1).unwrap()));
}

/// It was written on other disks before: those are named, too.
#[test]
fn an_image_on_other_disks_than_before() {
    let only = |number| [(disk_id(number), DiskCopies { config: ACTIVE, log: None })];
    let failed = (disk_id(1), DiskCopies { config: Some(CopyState::Failed), log: ACTIVE });
    let copies = only(2).into_iter().chain([failed]).collect();
    let earlier = vec![only(1).into_iter().collect(), only(3).into_iter().collect()];
    let image = Image { copies, earlier, claiming: true, ..image() };
    let bytes = image.encode(1).unwrap();
    // The text is that of the other test.
    insta::assert_snapshot!(dump(&bytes[..0x1b0]));
}

const ACTIVE: Option<CopyState> = Some(CopyState::Active);

#[test]
fn an_image_of_several_blocks_goes_on_after_the_stamp() {
    let group = super::samples::group_with(60);
    let image = super::samples::image_of(group);
    let bytes = image.encode(9).unwrap();
    assert!(bytes.len() >= 2 * BLOCK);
    for (number, block) in (0_u8..).zip(bytes.chunks(BLOCK)) {
        assert_eq!(&block[..4], b"MIMG");
        assert_eq!(block[8..14], [number, 0, 0, 0, 2, 0]);
        assert_eq!(block[16..24], 2_u64.to_le_bytes());
        assert_eq!(block[24..32], 7_u64.to_le_bytes());
    }
    // Block 0: envelope, stamp, head, one outcome, three disks with copies.
    let text = 32 + 88 + 26 + 3 * 67;
    assert_eq!(&bytes[text..text + 8], b"dg mydg\n");
    let text_len = crate::model::text::write_group(&image.group).len();
    let last = bytes.len() - BLOCK;
    let rest = text_len - (BLOCK - text) - (bytes.len() / BLOCK - 2) * (BLOCK - 32);
    assert_eq!(bytes[last + 14..last + 16], u16::try_from(rest + 16).unwrap().to_le_bytes());
}
