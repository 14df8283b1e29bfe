//! Throws hostile bytes at everything that reads bytes of others: the decoders of LLT, of GAB and
//! of gab.sock, and whole stacks. Nobody may panic, memory must stay, and a cluster that is only
//! disturbed by strangers must go on as if nothing had come. For one that has a key everybody
//! without it is a stranger, whatever he forges.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, ensure};
use bytes::Bytes;
use clap::Parser;
use llt::LinkId;
use llt::seal::{ClearHeader, Opener, peek};
use sim::fuzz::{Forgery, Frames, Insider, Malice, Mini, corpus, entry, resident_bytes};
use sim::setup::keyring;

/// Throws hostile bytes at all decoders.
#[derive(Debug, Parser)]
struct Args {
    /// How many frames
    #[arg(long, default_value_t = 100_000)]
    count: u64,
    /// Where the randomness starts
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Bytes that resident memory may grow after the first tenth
    #[arg(long, default_value_t = 64 << 20)]
    growth: u64,
    /// Only write the corpus of `cargo fuzz`, as far as it can be made, below this folder
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match args.corpus.as_deref().map_or_else(|| run(&args), write_corpus) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fuzz-decoders: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Hostile frames between two turns of the cluster: far more than real ones.
const PER_TURN: u64 = 20;

fn run(args: &Args) -> Result<()> {
    // Whole clusters are slower than decoders, so they get a part.
    let tenth = args.count / 10;
    let mut tally = BTreeMap::new();
    fuzz_decoders(args, args.count - tenth * 7, &mut tally)?;
    fuzz_sealed(args, tenth * 2, &mut tally)?;
    for (who, share) in
        [(Who::Strangers, 2), (Who::Anybody, 1), (Who::Outsiders, 1), (Who::Insiders, 1)]
    {
        fuzz_stacks(args, tenth * share, who, &mut tally)?;
    }
    for (malice, count) in &tally {
        println!("{count:>10}  {malice:?}");
    }
    println!(
        "{:>10}  in all, without a panic; {} MiB resident",
        args.count,
        resident_bytes() >> 20
    );
    Ok(())
}

fn write_corpus(folder: &Path) -> Result<()> {
    let seeds = corpus::seeds();
    for seed in &seeds {
        let folder = folder.join(seed.target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(&seed.name), &seed.bytes)?;
    }
    println!("{} files below {}", seeds.len(), folder.display());
    Ok(())
}

fn fuzz_decoders(args: &Args, count: u64, tally: &mut BTreeMap<Malice, u64>) -> Result<()> {
    let mut mini = Mini::new(args.seed);
    for _ in 0..200 {
        mini.turn();
    }
    let mut frames = Frames::new(args.seed, Forgery::Any, mini.take_seen(), mini.living());
    let mut memory = Memory::new(args.growth);
    for number in 0..count {
        let (malice, frame) = frames.next_frame();
        *tally.entry(malice).or_default() += 1;
        let frame = Bytes::copy_from_slice(frame);
        entry::llt_frame(&frame);
        for skip in [0, llt::limits::HEADER_LEN, llt::limits::HEADER_LEN + 16] {
            let body = frame.slice(skip.min(frame.len())..);
            entry::gab_message(&body);
            entry::ipc_records(&body);
        }
        memory.watch(number, count)?;
    }
    Ok(())
}

/// Sealed frames: those of a cluster, damaged, and whatever somebody with the key seals.
fn fuzz_sealed(args: &Args, count: u64, tally: &mut BTreeMap<Malice, u64>) -> Result<()> {
    let keys = keyring(1, Some(2));
    let mut mini = Mini::with_keys(args.seed, Some(&keys));
    for _ in 0..200 {
        mini.turn();
    }
    let sealed = mini.take_seen();
    let plain = sealed.iter().map(|frame| peek(&keys, frame)).collect::<Result<Vec<_>, _>>()?;
    let mut outside = Frames::new(args.seed, Forgery::Any, sealed, mini.living());
    let mut inside = Frames::new(args.seed, Forgery::Any, plain, mini.living());
    let mut insider = Insider::new(keys.sealing().clone());
    let mut openers: Vec<Opener> = mini.living().into_iter().map(Opener::new).collect();
    let mut memory = Memory::new(args.growth);
    for number in 0..count {
        let link = u8::try_from(number % 8)?;
        let (malice, frame) = if number % 2 == 0 {
            let (malice, frame) = outside.next_frame();
            (malice, Bytes::copy_from_slice(frame))
        } else {
            let (malice, frame) = inside.next_frame();
            (malice, insider.seal(link, frame))
        };
        *tally.entry(malice).or_default() += 1;
        std::hint::black_box(format!("{:?}", ClearHeader::check(&frame)));
        let opener = &mut openers[usize::try_from(number % 3)?];
        let link = LinkId::new(link).expect("below eight");
        let heeded = |_| llt::Incarnation(number % 5);
        if let Ok(plain) = opener.open(&keys, link, heeded, &frame) {
            ensure!(peek(&keys, &frame).as_ref() == Ok(&plain), "two openers disagree");
            if let Ok(frame) = llt::wire::Frame::check(&plain) {
                std::hint::black_box(format!("{frame:?}"));
            }
        }
        memory.watch(number, count)?;
    }
    Ok(())
}

/// Who throws frames at a cluster.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Who {
    /// It has no keys, and the frames may be perfect forgeries.
    Anybody,
    /// It has keys, and so has he who forges.
    Insiders,
    /// It has keys, and they have none.
    Outsiders,
    /// It has no keys, and they do not speak for its nodes.
    Strangers,
}

fn fuzz_stacks(args: &Args, count: u64, who: Who, tally: &mut BTreeMap<Malice, u64>) -> Result<()> {
    let forgery = if who == Who::Strangers { Forgery::Strangers } else { Forgery::Any };
    let keys = matches!(who, Who::Insiders | Who::Outsiders).then(|| keyring(1, None));
    let mut insider = keys.as_ref().map(|keys| Insider::new(keys.sealing().clone()));
    let mut mini = Mini::with_keys(args.seed, keys.as_ref());
    for _ in 0..200 {
        mini.turn();
    }
    // Forgers imitate the plain frames, too: those whom the seal must keep out most of all.
    let opened = |frames: Vec<Bytes>| -> Vec<Bytes> {
        let plain: Vec<_> =
            frames.iter().flat_map(|frame| keys.as_ref().map(|keys| peek(keys, frame))).collect();
        let plain = plain.into_iter().flatten();
        if who == Who::Insiders { plain.collect() } else { plain.chain(frames).collect() }
    };
    let mut frames = Frames::new(args.seed, forgery, opened(mini.take_seen()), mini.living());
    let mut memory = Memory::new(args.growth);
    let before = mini.delivered();
    let kept_out = matches!(who, Who::Outsiders | Who::Strangers);
    for number in 0..count {
        let (malice, frame) = frames.next_frame();
        *tally.entry(malice).or_default() += 1;
        let link = u8::try_from(number % 2)?;
        let frame = match &mut insider {
            Some(insider) if who == Who::Insiders => insider.seal(link, frame),
            Some(_) | None => Bytes::copy_from_slice(frame),
        };
        mini.throw(usize::try_from(number % 3)?, link, frame);
        if number % PER_TURN == 0 {
            mini.turn();
            opened(mini.take_seen()).into_iter().for_each(|frame| frames.learn(frame));
            ensure!(
                !kept_out || mini.is_whole(),
                "seed {}: the membership changed after {number} frames of {who:?}",
                args.seed
            );
        }
        memory.watch(number, count)?;
    }
    if kept_out && count >= 10_000 {
        let after = mini.delivered();
        ensure!(after.iter().zip(&before).all(|(a, b)| a > b), "nothing was delivered any more");
    }
    Ok(())
}

/// Resident memory may rise until a tenth of the work is done, and then by a bound.
struct Memory {
    bound: u64,
    base: Option<u64>,
}

impl Memory {
    fn new(bound: u64) -> Self {
        Self { bound, base: None }
    }

    fn watch(&mut self, number: u64, count: u64) -> Result<()> {
        if !number.is_multiple_of(16_384) || number < count / 10 {
            return Ok(());
        }
        let now = resident_bytes();
        let base = *self.base.get_or_insert(now);
        ensure!(now <= base + self.bound, "memory grew from {base} to {now} bytes");
        Ok(())
    }
}
