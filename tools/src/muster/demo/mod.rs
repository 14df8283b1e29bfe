//! `muster demo`: the whole story on real processes, each step checked and timed.

mod copies;
mod data;
mod groups;
mod steps;
mod writer;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::binaries::Binaries;
use super::cli::DemoArgs;
use super::daemons;
use super::output_closed;
use super::temporary::Temporary;
use super::testbed::UpOptions;
use super::wait;
use crate::common::output;

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
    output::print(&row("step", "what", "checked", "ms", "ok"))?;
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
            && !output_closed(error)
        {
            for id in cluster.cluster.ids() {
                eprint!("{}", daemons::log_tail(&cluster.cluster, id, 15));
            }
        }
    }
    let cleaned = cluster.map_or(Ok(()), Temporary::down);
    result?;
    cleaned?;
    groups::tell(&mut story, &options)?;
    let seconds = wait::now().since(story.start).as_secs_f64();
    output::print(&end(story.number, seconds))?;
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
        let printed = output::print(&told(number, what, ms, result.as_ref().ok()));
        result.with_context(|| format!("step {number}, {what}"))?;
        Ok(printed?)
    }
}

/// A step and what it showed; one that failed checked nothing.
fn told(number: u32, what: &str, ms: u128, checked: Option<&Checked>) -> String {
    let (number, ms) = (number.to_string(), ms.to_string());
    let Some(Checked { what: checked, shown }) = checked else {
        return row(&number, what, "-", &ms, "FAILED");
    };
    let shown = shown.lines().map(|shown| format!("      | {shown}\n"));
    row(&number, what, checked, &ms, "ok") + &shown.collect::<String>()
}

/// A row of the table.
fn row(number: &str, what: &str, checked: &str, ms: &str, ok: &str) -> String {
    format!("{number:<4}  {what:<44}  {checked:<58}  {ms:>6}  {ok}\n")
}

/// The last line.
fn end(steps: u32, seconds: f64) -> String {
    format!("\nall {steps} steps passed in {seconds:.1} s; everything is cleaned up\n")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn the_story_is_a_table_with_what_each_step_showed() {
        let seeded = "GAB Port Memberships\n\
            ===============================================================\n\
            Port a gen        1 membership 012\n";
        let ordered = "view 4 members 0 1 2\ndeliver 4 0 node 0 says 0";
        let steps = [
            (
                "three nodes seed and form port a",
                "membership 012 at all, every link UP both ways",
                seeded,
                71,
            ),
            (
                "three clients broadcast at the same time",
                "150 messages, the same 4239 bytes from 3 listeners",
                ordered,
                27,
            ),
            (
                "the cable is plugged in again",
                "no jeopardy, no view change; 139630 messages, 3 equal logs",
                "",
                123_456,
            ),
            // As wide as its column, and the answer wider than its own.
            (
                "the sequencer is killed -9 in another storm",
                "14333 messages, survivors' logs equal, its log a prefix but for 3 AGREED",
                "",
                1203,
            ),
        ];
        let mut text = row("step", "what", "checked", "ms", "ok");
        for (number, (what, checked, shown, ms)) in (1..).zip(steps) {
            text += &told(number, what, ms, Some(&Checked::new(checked).show(shown)));
        }
        golden::check("muster-demo", &(text + &end(4, 21.25)));
        let failed = told(5, "the killed node starts again", 30_004, None);
        golden::check("muster-demo-failed", &failed);
    }
}
