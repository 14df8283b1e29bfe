//! `sim`: runs seeds of the deterministic simulator, repeats one, replays a record.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use gab::core::Mutant;
use sim::digest::Recorder;
use sim::mutants::{Expected, caught_by, expected, shows};
use sim::profile::Kind;
use sim::run::{Order, Outcome, run};
use sim::world::Trace;

/// Runs whole clusters in virtual time, breaks them, and checks what their clients saw.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Args {
    /// What a run is made of
    #[arg(long, value_enum, default_value_t = Kind::Swarm)]
    profile: Kind,
    /// How many seeds
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Only this seed; leaves seed-N.jsonl
    #[arg(long, conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,
    /// Threads
    #[arg(long, default_value_t = 1)]
    jobs: u64,
    /// Break this rule: the checkers should notice
    #[arg(long)]
    mutant: Option<String>,
    /// Break each rule in turn until the checkers notice, each over at most this many seeds
    #[arg(long, conflicts_with_all = ["mutant", "seed", "replay"])]
    mutants: bool,
    /// Number of nodes, else drawn
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=128))]
    nodes: Option<u8>,
    /// Hours of virtual time in which things go wrong, else as the profile has it: 0.5 in `long`,
    /// seconds in the others
    #[arg(long, value_parser = hours)]
    hours: Option<f64>,
    /// All frames are sealed, else in one of five runs of the swarm
    #[arg(long)]
    sealed: bool,
    /// Each seed twice: the hashes must be equal
    #[arg(long)]
    determinism: bool,
    /// Print the hash of each run: two builds that behave alike print the same
    #[arg(long)]
    digests: bool,
    /// Apply a recorded run again, without network and randomness
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "seeds", "first"])]
    replay: Option<PathBuf>,
    /// Stop at the first violation
    #[arg(long)]
    fail_fast: bool,
    /// Tell on stderr what happens; twice: every message of GAB, too
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Where seed-N.jsonl goes
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

/// Failed seeds of one call that leave a record: each takes tens of megabytes.
const RECORDS_MAX: u64 = 3;

/// Sums over all runs.
#[derive(Debug, Default)]
struct Totals {
    runs: u64,
    sent: usize,
    read: usize,
    views: usize,
    crashes: u64,
    partitions: u64,
    pauses: u64,
    ejections: u64,
    halts: u64,
    leaves: u64,
    frames: u64,
    time: Duration,
    slowest: Duration,
    unequal: u64,
    /// Per kind: runs that had it, the first seeds, the first text.
    kinds: BTreeMap<&'static str, (u64, Vec<u64>, String)>,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if let Some(name) = &args.mutant {
        let names: Vec<String> = sim::setup::mutants().iter().map(|m| format!("{m:?}")).collect();
        anyhow::ensure!(
            sim::setup::mutant_by_name(name).is_some(),
            "no mutant `{name}`; there are: {}",
            names.join(", ")
        );
    }
    if let Some(file) = &args.replay {
        return replay(file);
    }
    if args.mutants {
        return Ok(mutants(&args));
    }
    // A panic of a core is reported as a violation, with its seed: one line is enough.
    if args.seed.is_none() {
        std::panic::set_hook(Box::new(|_| ()));
    }
    let start = now();
    let totals = run_all(&args);
    print(&args, &totals, now() - start);
    Ok(ExitCode::from(u8::from(!totals.kinds.is_empty() || totals.unequal > 0)))
}

/// Breaks each rule in turn and tells how many seeds it took to notice.
fn mutants(args: &Args) -> ExitCode {
    std::panic::set_hook(Box::new(|_| ()));
    let mut missed = 0;
    for mutant in sim::setup::mutants() {
        let verdict = match expected(mutant) {
            Expected::Caught(kind) => match first_caught(args, mutant, kind) {
                Some((seed, found)) => format!("{found} at seed {seed} ({kind:?})"),
                None => {
                    missed += 1;
                    format!("NOT CAUGHT in {} seeds ({kind:?})", args.seeds)
                }
            },
            Expected::CaughtBy(script) => match caught_by(mutant, script) {
                Some(found) => format!("{found} in its script"),
                None => {
                    missed += 1;
                    "NOT CAUGHT by its script".to_owned()
                }
            },
            Expected::Harmless(why) => match first_caught(args, mutant, Kind::Record) {
                Some((seed, found)) => {
                    missed += 1;
                    format!("NOT HARMLESS: {found} at seed {seed}, though {why}")
                }
                None => format!("nothing to catch: {why}"),
            },
        };
        println!("{mutant:?}: {verdict}");
    }
    ExitCode::from(u8::from(missed > 0))
}

/// The first seed at which it shows, and the kinds of violations.
fn first_caught(args: &Args, mutant: Mutant, kind: Kind) -> Option<(u64, String)> {
    let order = |seed| Order {
        seed,
        kind,
        nodes: args.nodes,
        mutant: Some(format!("{mutant:?}")),
        sealed: args.sealed.then_some(true),
        length: args.length(),
        trace: Trace::Silent,
    };
    (args.first..args.first.saturating_add(args.seeds)).find_map(|seed| {
        let found = run(&order(seed), None).violations;
        let found = shows(mutant, &found).then(|| found.kinds())?;
        // A seed that fails with all rules in force proves nothing about this one.
        let whole = run(&Order { mutant: None, ..order(seed) }, None);
        whole.violations.is_empty().then_some((seed, found))
    })
}

fn run_all(args: &Args) -> Totals {
    let (first, count) = args.seed.map_or((args.first, args.seeds), |seed| (seed, 1));
    let next = AtomicU64::new(first);
    let stop = AtomicU64::new(0);
    let records = AtomicU64::new(0);
    let totals = std::sync::Mutex::new(Totals::default());
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first.saturating_add(count) || stop.load(Ordering::Relaxed) > 0 {
                        break;
                    }
                    let outcome = one(args, seed, args.trace(), args.seed.is_some());
                    let failed = !outcome.violations.is_empty();
                    let equal = !args.determinism
                        || one(args, seed, Trace::Silent, false).digest == outcome.digest;
                    if failed
                        && args.seed.is_none()
                        && args.mutant.is_none()
                        && records.fetch_add(1, Ordering::Relaxed) < RECORDS_MAX
                    {
                        // The same seed again, this time with its record.
                        one(args, seed, Trace::Silent, true);
                    }
                    let mut totals = totals.lock().expect("no thread panics while it adds up");
                    if args.digests {
                        println!("seed {seed} {:016x}", outcome.digest);
                    }
                    totals.add(args, seed, outcome, equal);
                    if failed && args.fail_fast {
                        stop.store(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    totals.into_inner().expect("no thread panics while it adds up")
}

fn one(args: &Args, seed: u64, trace: Trace, record: bool) -> Outcome {
    let order = Order {
        seed,
        kind: args.profile,
        nodes: args.nodes,
        mutant: args.mutant.clone(),
        sealed: args.sealed.then_some(true),
        length: args.length(),
        trace,
    };
    let recorder = record.then(|| recorder(&args.dir, seed)).and_then(|made| match made {
        Ok(recorder) => Some(recorder),
        Err(error) => {
            eprintln!("sim: {error:#}");
            None
        }
    });
    run(&order, recorder)
}

fn recorder(dir: &Path, seed: u64) -> anyhow::Result<Recorder> {
    let path = dir.join(format!("seed-{seed}.jsonl"));
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Recorder::new(Box::new(BufWriter::new(file))))
}

fn replay(path: &Path) -> anyhow::Result<ExitCode> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let replayed = sim::replay::replay(BufReader::new(file), None)
        .with_context(|| format!("{} is no record of a run", path.display()))?;
    println!("inputs {}", replayed.inputs);
    match replayed.same {
        Some(true) => println!("hash as recorded"),
        Some(false) => println!("hash differs: the code has changed since"),
        None => println!("the record has no end"),
    }
    for violation in replayed.violations.list() {
        println!("{}: {}", violation.kind, violation.text);
    }
    Ok(ExitCode::from(u8::from(!replayed.violations.is_empty())))
}

/// Virtual time is cheap, and memory for what everybody has read is not: a week at most.
fn hours(text: &str) -> Result<f64, String> {
    let hours = text.parse().ok().filter(|hours| (0.0..=168.0).contains(hours));
    hours.ok_or_else(|| "expected hours from 0 to 168".to_owned())
}

impl Args {
    fn length(&self) -> Option<Duration> {
        self.hours.map(|hours| Duration::from_secs_f64(hours * 3600.0))
    }

    fn trace(&self) -> Trace {
        match self.verbose {
            0 => Trace::Silent,
            1 => Trace::Events,
            _ => Trace::Messages,
        }
    }
}

impl Totals {
    fn add(&mut self, args: &Args, seed: u64, outcome: Outcome, equal: bool) {
        self.runs += 1;
        self.sent += outcome.sent;
        self.read += outcome.read;
        self.views += outcome.views;
        self.crashes += outcome.stats.crashes;
        self.partitions += outcome.stats.partitions;
        self.pauses += outcome.stats.pauses;
        self.ejections += outcome.stats.ejections;
        self.halts += outcome.stats.halts;
        self.leaves += outcome.stats.leaves;
        self.frames += outcome.frames;
        self.time += outcome.time;
        self.slowest = self.slowest.max(outcome.recovery.unwrap_or_default());
        if !equal {
            self.unequal += 1;
            println!("seed {seed}: two runs differ");
        }
        if !outcome.violations.is_empty() {
            println!("seed {seed}: {}", repeat(args, seed));
        }
        for violation in outcome.violations.list() {
            println!("  {}: {}", violation.kind, violation.text);
        }
        for kind in outcome.violations.counts().keys() {
            let entry = self.kinds.entry(kind).or_default();
            entry.0 += 1;
            if entry.1.len() < 5 {
                entry.1.push(seed);
            }
        }
    }
}

/// The command that repeats a seed.
fn repeat(args: &Args, seed: u64) -> String {
    let profile = clap::ValueEnum::to_possible_value(&args.profile);
    let mut command = format!(
        "sim --profile {} --seed {seed} -v",
        profile.as_ref().map_or("swarm", |value| value.get_name())
    );
    if let Some(nodes) = args.nodes {
        command.push_str(&format!(" --nodes {nodes}"));
    }
    if let Some(hours) = args.hours {
        command.push_str(&format!(" --hours {hours}"));
    }
    if args.sealed {
        command.push_str(" --sealed");
    }
    if let Some(mutant) = &args.mutant {
        command.push_str(&format!(" --mutant {mutant}"));
    }
    command
}

fn print(args: &Args, totals: &Totals, wall: Duration) {
    let runs = totals.runs.max(1);
    println!("profile      {:?}", args.profile);
    println!("runs         {}", totals.runs);
    println!("messages     {} sent, {} read", totals.sent, totals.read);
    println!("views        {}", totals.views);
    println!("crashes      {}", totals.crashes);
    println!("halts        {}", totals.halts);
    println!("leaves       {}", totals.leaves);
    println!("partitions   {}", totals.partitions);
    println!("pauses       {}", totals.pauses);
    println!("ejections    {}", totals.ejections);
    println!("frames       {}", totals.frames);
    println!("virtual time {:.1} s", totals.time.as_secs_f64());
    println!("recovery     {:.1} s at most", totals.slowest.as_secs_f64());
    let each = wall.as_secs_f64() * 1000.0 / f64::from(u32::try_from(runs).unwrap_or(u32::MAX));
    println!("wall time    {:.1} s, {each:.1} ms per run", wall.as_secs_f64());
    if args.determinism {
        println!("determinism  {} of {} runs differ", totals.unequal, totals.runs);
    }
    if totals.kinds.is_empty() {
        println!("violations   none");
    }
    for (kind, (count, seeds, _)) in &totals.kinds {
        println!("violation    {kind}: {count} runs, first seeds {seeds:?}");
    }
}

#[expect(clippy::disallowed_methods, reason = "wall time is only printed")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

const EXAMPLES: &str = "\
Examples:
  sim --seeds 1000 --jobs 2             a thousand swarm runs
  sim --profile pause --seed 7 -v       one run, told step by step
  sim --replay seed-7.jsonl             the same inputs again, without network and randomness
  sim --mutant WedgedAcks --seeds 100000 --fail-fast";
