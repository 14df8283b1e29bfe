//! The model checker at any size (`docs/testing.md`, Model checking).

use std::process::ExitCode;

use clap::Parser;
use sim::model::properties::Seen;
use sim::model::{Instance, Search, Size, Which, run};
use sim::setup::{mutant_by_name, mutants};

/// Walks every schedule of a small cluster of the bare GAB core, and checks what its clients saw.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Args {
    /// Which instances; all of them if none is named
    #[arg(value_enum)]
    instances: Vec<Which>,
    /// With the budgets of faults that take hours instead of a minute
    #[arg(long)]
    full: bool,
    /// Threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// No schedule is longer than this many steps
    #[arg(long)]
    depth: Option<usize>,
    /// Stop after about this many steps
    #[arg(long)]
    states: Option<usize>,
    /// Deep first: less memory, longer counterexamples
    #[arg(long)]
    deep_first: bool,
    /// Tell which of all interesting situations are reached, not only those that must be
    #[arg(long)]
    reached: bool,
    /// Break this rule: the checkers should notice
    #[arg(long)]
    mutant: Option<String>,
    /// Only the first so many of the instance's messages
    #[arg(long)]
    messages: Option<usize>,
    /// Timers that come, instead of the instance's own number
    #[arg(long)]
    timers: Option<u8>,
    /// Datagrams that are lost
    #[arg(long)]
    losses: Option<u8>,
    /// Datagrams that arrive twice
    #[arg(long)]
    duplicates: Option<u8>,
    /// Nodes that die
    #[arg(long)]
    crashes: Option<u8>,
    /// Connections that are cut
    #[arg(long)]
    cuts: Option<u8>,
    /// Nodes that are cut off from all others
    #[arg(long)]
    partitions: Option<u8>,
    /// Connections that come back
    #[arg(long)]
    reconnects: Option<u8>,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let mutant = match &args.mutant {
        Some(name) => {
            let known =
                || mutants().iter().map(|m| format!("{m:?}")).collect::<Vec<_>>().join(", ");
            let mutant = mutant_by_name(name);
            Some(
                mutant
                    .ok_or_else(|| anyhow::anyhow!("no mutant `{name}`; there are: {}", known()))?,
            )
        }
        None => None,
    };
    let named = if args.instances.is_empty() { &Which::ALL[..] } else { &args.instances };
    let size = if args.full { Size::Full } else { Size::Small };
    let mut failed = false;
    for which in named {
        let instance = Instance { mutant, ..Instance::new(*which, size) };
        let mut instance = args.with_budget(instance);
        if args.reached {
            instance.reaches = Seen::ALL.iter().map(|(seen, _)| *seen).collect();
        }
        let name = instance.name;
        let search = Search {
            threads: usize::from(args.threads),
            depth: args.depth,
            deep_first: args.deep_first,
            states: args.states,
        };
        let start = now();
        let report = run(instance, search);
        let took = (now() - start).as_secs_f64();
        println!("{name}: {took:.1} s, {report}");
        failed |= report.counterexample.is_some() || !report.missed.is_empty();
    }
    Ok(ExitCode::from(u8::from(failed)))
}

impl Args {
    fn with_budget(&self, mut instance: Instance) -> Instance {
        instance.messages.truncate(self.messages.unwrap_or(usize::MAX));
        let budget = &mut instance.budget;
        for (number, given) in [
            (&mut budget.timers, self.timers),
            (&mut budget.losses, self.losses),
            (&mut budget.duplicates, self.duplicates),
            (&mut budget.crashes, self.crashes),
            (&mut budget.cuts, self.cuts),
            (&mut budget.partitions, self.partitions),
            (&mut budget.reconnects, self.reconnects),
        ] {
            *number = given.unwrap_or(*number);
        }
        instance
    }
}

#[expect(clippy::disallowed_methods, reason = "wall time is only printed")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

const EXAMPLES: &str = "\
Examples:
  model                                 the instances of the tests, each to its end
  model m2 --full --threads 8           all that M2 can do; hours
  model m1 --mutant SafeWithoutStability";
