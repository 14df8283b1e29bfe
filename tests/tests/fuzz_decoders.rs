//! The command `fuzz-decoders`, at the size of every day.

use std::process::Command;

/// By hand: `cargo run --release -p sim --bin fuzz-decoders -- --count 10000000`.
#[test]
fn hostile_bytes_harm_no_decoder_and_strangers_no_cluster() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuzz-decoders"));
    let output = command.args(["--count", "100000", "--seed", "3"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", output.status);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("100000  in all, without a panic"), "{said}");
}
