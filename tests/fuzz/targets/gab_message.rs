//! Messages of GAB.

#![no_main]

use sim::fuzz::entry::Target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (Target::named("gab_message").run)(bytes);
});
