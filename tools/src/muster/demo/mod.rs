//! `muster demo`: the whole story on real processes, each step checked and timed.

mod steps;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use super::binaries::Binaries;
use super::cli::DemoArgs;
use super::daemons;
use super::temporary::Temporary;
use super::testbed::UpOptions;
use super::wait;

/// Tells the story; exit status 0 only if every step passed.
///
/// # Errors
/// If the cluster cannot be made or removed.
pub fn run(dir: Option<&Path>, args: &DemoArgs) -> Result<ExitCode> {
    wait::catch_interrupts()?;
    // A build that this may start is no part of the story.
    Binaries::locate()?;
    let network = args.network.network()?;
    let options =
        UpOptions { timers: args.timers, network, keyed: args.keyed, ..UpOptions::default() };
    let mut story = Story { number: 0, start: wait::now() };
    println!("{:<4}  {:<44}  {:<58}  {:>6}  ok", "step", "what", "checked", "ms");
    let mut cluster = None;
    let mut result = story.step("three nodes seed and form port a", || {
        let made = match dir {
            Some(dir) => Temporary::up_in(dir, &options)?,
            None => Temporary::up(&options)?,
        };
        let cluster = cluster.insert(made);
        steps::formed(cluster)
    });
    if let Some(cluster) = &mut cluster {
        result = result.and_then(|()| steps::tell(&mut story, cluster));
        if let Err(error) = &result
            && !error.is::<wait::Interrupted>()
        {
            for id in cluster.cluster.ids() {
                eprint!("{}", daemons::log_tail(&cluster.cluster, id, 15));
            }
        }
    }
    let cleaned = cluster.map_or(Ok(()), Temporary::down);
    result?;
    cleaned?;
    let seconds = wait::now().since(story.start).as_secs_f64();
    println!("\nall {} steps passed in {seconds:.1} s; everything is cleaned up", story.number);
    Ok(ExitCode::SUCCESS)
}

/// Numbers, times and prints the steps.
#[derive(Debug)]
pub(super) struct Story {
    number: u32,
    start: llt::Instant,
}

impl Story {
    /// Runs one step, which says in words what it has checked, and may show something.
    ///
    /// # Errors
    /// That of the step, named.
    fn step(&mut self, what: &str, run: impl FnOnce() -> Result<Checked>) -> Result<()> {
        self.number += 1;
        let start = wait::now();
        let result = run();
        let (number, ms) = (self.number, wait::now().since(start).as_millis());
        let line = |checked: &str, ok: &str| {
            println!("{number:<4}  {what:<44}  {checked:<58}  {ms:>6}  {ok}");
        };
        match result {
            Ok(Checked { what: checked, shown }) => {
                line(&checked, "ok");
                for shown in shown.lines() {
                    println!("      | {shown}");
                }
                Ok(())
            }
            Err(error) => {
                line("-", "FAILED");
                Err(error.context(format!("step {number}, {what}")))
            }
        }
    }
}

/// What a step found.
#[derive(Debug)]
pub(super) struct Checked {
    what: String,
    /// Output of a command, to be seen.
    shown: String,
}

impl Checked {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), shown: String::new() }
    }

    fn show(self, shown: impl Into<String>) -> Self {
        Self { shown: shown.into(), ..self }
    }
}
