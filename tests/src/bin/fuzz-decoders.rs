//! Throws hostile bytes at everything that reads bytes of others: the decoders of LLT, of GAB and
//! of gab.sock, and whole stacks. Nobody may panic, memory must stay, and a cluster that is only
//! disturbed by strangers must go on as if nothing had come.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, ensure};
use bytes::Bytes;
use clap::Parser;
use sim::fuzz::{Forgery, Frames, Malice, Mini, corpus, entry, resident_bytes};

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
    let (decoders, strangers) = (args.count / 10 * 6, args.count / 10 * 2);
    let any = args.count - decoders - strangers;
    let mut tally = BTreeMap::new();
    fuzz_decoders(args, decoders, &mut tally)?;
    fuzz_stacks(args, strangers, Forgery::Strangers, &mut tally)?;
    fuzz_stacks(args, any, Forgery::Any, &mut tally)?;
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

fn fuzz_stacks(
    args: &Args,
    count: u64,
    forgery: Forgery,
    tally: &mut BTreeMap<Malice, u64>,
) -> Result<()> {
    let mut mini = Mini::new(args.seed);
    for _ in 0..200 {
        mini.turn();
    }
    let mut frames = Frames::new(args.seed, forgery, mini.take_seen(), mini.living());
    let mut memory = Memory::new(args.growth);
    let before = mini.delivered();
    for number in 0..count {
        let (malice, frame) = frames.next_frame();
        *tally.entry(malice).or_default() += 1;
        let frame = Bytes::copy_from_slice(frame);
        mini.throw(usize::try_from(number % 3)?, u8::try_from(number % 2)?, frame);
        if number % PER_TURN == 0 {
            mini.turn();
            mini.take_seen().into_iter().for_each(|frame| frames.learn(frame));
            ensure!(
                forgery == Forgery::Any || mini.is_whole(),
                "seed {}: the membership changed after {number} frames of strangers",
                args.seed
            );
        }
        memory.watch(number, count)?;
    }
    if forgery == Forgery::Strangers && count > 10_000 {
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
