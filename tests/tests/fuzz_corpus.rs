//! Every file of the corpus of `cargo fuzz` goes through its decoder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sim::fuzz::corpus;
use sim::fuzz::entry::{TARGETS, Target};
use tools::lltdump;

/// What lltdump finds in a packet of a pcap file or of a device.
const PACKET: Target =
    Target { name: "packet", run: |bytes| lltdump::frames_in(&Bytes::copy_from_slice(bytes)) > 0 };

fn targets() -> impl Iterator<Item = Target> {
    TARGETS.into_iter().chain([PACKET])
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// The files of one decoder's corpus, by name.
fn files(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder().join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<(String, Vec<u8>)> = entries
        .map(|entry| entry.expect("a readable folder"))
        .map(|entry| {
            let name = entry.file_name().into_string().expect("a name in ASCII");
            (name, fs::read(entry.path()).expect("a readable file"))
        })
        .collect();
    files.sort();
    files
}

/// Their names say what the decoder is to think of them.
#[test]
fn decoders_accept_what_is_right_and_refuse_what_is_wrong() {
    for target in targets() {
        let files = files(target.name);
        for (name, bytes) in &files {
            let accepted = (target.run)(bytes);
            let (right, wrong) = (name.starts_with("ok-"), name.starts_with("bad-"));
            assert!(right || wrong, "{}/{name}: begin with ok- or bad-", target.name);
            assert_eq!(accepted, right, "{}/{name}: {REWRITE}", target.name);
        }
        for begin in ["ok-", "bad-"] {
            let count = files.iter().filter(|(name, _)| name.starts_with(begin)).count();
            assert!(count >= 5, "{}: {count} files {begin}*", target.name);
        }
    }
}

#[test]
fn the_corpus_has_one_of_each_kind() {
    let there: BTreeSet<(&str, String)> = targets()
        .flat_map(|target| files(target.name).into_iter().map(move |(name, _)| (target.name, name)))
        .collect();
    let seeds = corpus::seeds();
    assert!(seeds.len() > 30, "{}", seeds.len());
    for seed in seeds {
        let seed = (seed.target, seed.name);
        assert!(there.contains(&seed), "{seed:?} is not in the corpus: {REWRITE}");
    }
}

#[test]
fn there_is_a_fuzz_target_for_each_decoder() {
    let manifest = fs::read_to_string(folder().with_file_name("Cargo.toml")).unwrap();
    for target in targets() {
        let path = format!("targets/{}.rs", target.name);
        assert!(manifest.contains(&format!("path = \"{path}\"")), "{path}");
        let text = fs::read_to_string(
            folder().with_file_name("targets").join(path.rsplit('/').next().unwrap()),
        );
        let call = match target.name {
            "packet" => "tools::lltdump::frames_in".to_owned(),
            name => format!("\"{name}\""),
        };
        assert!(text.unwrap().contains(&call), "{path}: {call}");
    }
}

const REWRITE: &str = "if a format has changed, run \
    cargo run -p sim --bin fuzz-decoders -- --corpus tests/fuzz/corpus";
