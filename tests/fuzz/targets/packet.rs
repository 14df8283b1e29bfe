//! Packets that lltdump finds frames in.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    tools::lltdump::frames_in(&bytes::Bytes::copy_from_slice(bytes));
});
