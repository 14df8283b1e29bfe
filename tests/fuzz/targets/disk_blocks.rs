//! Blocks of the private region of a disk.

#![no_main]

use sim::fuzz::entry::Target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (Target::named("disk_blocks").run)(bytes);
});
