//! Sealed frames of LLT, with test keys.

#![no_main]

use sim::fuzz::entry::Target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (Target::named("sealed_frame").run)(bytes);
});
