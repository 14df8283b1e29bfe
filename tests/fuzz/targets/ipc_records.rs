//! Datagrams on `gab.sock`.

#![no_main]

use sim::fuzz::entry::Target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (Target::named("ipc_records").run)(bytes);
});
