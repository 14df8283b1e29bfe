//! Packets that lltdump finds frames in.

#![no_main]

use sim::fuzz::entry::Target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (Target::named("packet").run)(bytes);
});
