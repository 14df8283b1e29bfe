//! The workloads `detect`, `join`, `leave` and the view change of `scale`: a node goes or comes, and
//! the time until the last of the others has the new view.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use super::super::cli::Workload;
use super::super::cluster::Cable;
use super::super::netns::switch;
use super::super::testbed::Testbed;
use super::super::{daemons, wait};
use super::watch::{self, Watchers};

/// What is done to the node.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Cause {
    /// All its cables are pulled; only in namespaces.
    Cut,
    /// kill -9 of its gabd.
    Kill,
    /// Its gabd, which has ended in order before, starts.
    Start,
    /// SIGSTOP to its gabd.
    Stop,
    /// SIGTERM to its gabd, which leaves in order.
    Term,
}

/// How long it took.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Times {
    /// From the deed to the view at the last node that has it.
    pub(super) view: Duration,
    /// The end of it: from when the first survivor took the node for gone; only of nodes that say
    /// nothing any more.
    pub(super) change: Option<Duration>,
}

impl Cause {
    /// In tables and JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Kill => "kill",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Term => "term",
        }
    }
}

/// What is done in one round of these workloads, in its order; each with the workload that asks for
/// the time, if any does.
pub(super) fn plan(workloads: &[Workload], netns: bool) -> Vec<(Option<Workload>, Cause)> {
    let asked = |workload| workloads.contains(&workload).then_some(workload);
    let mut plan = Vec::new();
    if let Some(detect) = asked(Workload::Detect) {
        plan.extend([Cause::Kill, Cause::Stop].map(|cause| (Some(detect), cause)));
        // On the loopback there is no carrier that a cable could lose.
        plan.extend(netns.then_some((Some(detect), Cause::Cut)));
    }
    if let Some(scale) = asked(Workload::Scale) {
        plan.push((Some(scale), Cause::Kill));
    }
    // Who is to join must have left before, and who left must join again.
    let (join, leave) = (asked(Workload::Join), asked(Workload::Leave));
    if join.is_some() || leave.is_some() {
        plan.extend([(leave, Cause::Term), (join, Cause::Start)]);
    }
    plan
}

/// Does one thing to the highest node of a cluster that is whole, times it, and makes the cluster
/// whole again; after [`Cause::Term`] that is for [`Cause::Start`] to do.
///
/// # Errors
/// If another view comes than that which is due, or none in time.
pub(super) fn measure(testbed: &mut Testbed, watchers: &Watchers, cause: Cause) -> Result<Times> {
    let all: Vec<u8> = testbed.cluster.ids().collect();
    let (victim, survivors) = all.split_last().context("a cluster has nodes")?;
    ensure!(!survivors.is_empty(), "nobody is left to see a view when the only node goes");
    let limit = testbed.cluster.timers.patience();
    watchers.clear();
    let mut start = wait::now();
    let what = || format!("{} of {}", cause.name(), testbed_name(*victim));
    let signal = |testbed: &Testbed, signal| -> Result<()> {
        let gabd = testbed.cluster.node(*victim).gabd.context("it has no gabd")?;
        ensure!(gabd.signal(signal)?, "its gabd does not run");
        Ok(())
    };
    match cause {
        Cause::Cut => {
            pull(testbed, *victim, Cable::Pulled)?;
            start = cut_at(testbed, watchers, *victim);
        }
        Cause::Kill => signal(testbed, Signal::KILL)?,
        Cause::Start => {
            watchers.expect(&testbed.cluster, *victim);
            daemons::start(&mut testbed.cluster, *victim, &testbed.binaries)?;
            testbed.cluster.save()?;
        }
        Cause::Stop => signal(testbed, Signal::STOP)?,
        Cause::Term => signal(testbed, Signal::TERM)?,
    }
    let end = if cause == Cause::Start {
        // A newcomer may be alone, or without a view, before it is let in.
        watchers.wait_view(&all, &[&[], &[*victim], survivors], limit)
    } else {
        watchers.wait_view(survivors, &[], limit)
    };
    let end = end.with_context(what)?;
    let loss = watch::first_loss(&watchers.seen(), survivors, *victim);
    let silent = matches!(cause, Cause::Cut | Cause::Kill | Cause::Stop);
    let change = loss.filter(|_| silent).map(|loss| end.since(loss));
    restore(testbed, watchers, *victim, cause).with_context(what)?;
    if cause != Cause::Term {
        testbed.wait_formed().with_context(what)?;
        watchers.wait_members(&all, limit).with_context(what)?;
    }
    Ok(Times { view: end.since(start), change })
}

fn testbed_name(node: u8) -> String {
    format!("node {node}")
}

/// Undoes what was done, as far as it is not the end of the round.
fn restore(testbed: &mut Testbed, watchers: &Watchers, victim: u8, cause: Cause) -> Result<()> {
    match cause {
        Cause::Cut => pull(testbed, victim, Cable::Plugged),
        Cause::Kill => {
            // It may still be about to end.
            testbed.kill(victim)?;
            watchers.expect(&testbed.cluster, victim);
            testbed.start(victim).map(|_| ())
        }
        Cause::Start => Ok(()),
        Cause::Stop => testbed.pause(victim, false),
        Cause::Term => {
            let gabd = testbed.cluster.node(victim).gabd.context("it had a gabd")?;
            ensure!(gabd.wait_gone(Duration::from_secs(30))?, "it does not end in 30 s");
            Ok(())
        }
    }
}

/// Brings all cables of a node into a state, in one step.
fn pull(testbed: &mut Testbed, node: u8, cable: Cable) -> Result<()> {
    for faults in &mut testbed.cluster.node_mut(node).faults {
        faults.cable = cable;
    }
    testbed.cluster.save()?;
    let cables: Vec<(u8, u8)> = (0..testbed.cluster.links).map(|link| (node, link)).collect();
    switch::set_cables(&testbed.cluster, &testbed.binaries, &cables)
}

/// When the last cable was out: between the start and the end of the commands the node itself knows
/// best: its device loses the carrier, and its links are in trouble at once.
fn cut_at(testbed: &Testbed, watchers: &Watchers, node: u8) -> llt::Instant {
    let done = wait::now();
    let told = || watch::last_carrier(&watchers.seen(), node, testbed.cluster.links);
    // Told late it is of no use: the commands have ended before.
    let patience = Duration::from_millis(20);
    let told = wait::until("the carrier is lost", patience, || Ok(told())).unwrap_or(done);
    told.min(done)
}

#[cfg(test)]
mod tests {
    use super::super::report::{Cost, Figures, Measured};
    use super::super::table;
    use super::*;
    use crate::golden;

    #[test]
    fn times_of_several_clusters_are_one_table() {
        let mut all: Option<Figures> = None;
        for n in [2, 4] {
            let mut cluster = super::super::super::cluster::tests::cluster();
            let node = cluster.node(0).clone();
            cluster.nodes.resize(n, node);
            let mut figures = Figures::new(&cluster);
            for ms in [120, 116, 118] {
                let change = Some(Duration::from_micros(20_500));
                let detect = Times { view: Duration::from_millis(ms), change };
                figures.add_times(Measured::Ours, Workload::Detect, Cause::Kill, &detect);
                let leave = Times { view: Duration::from_micros(1100), change: None };
                figures.add_times(Measured::Ours, Workload::Leave, Cause::Term, &leave);
            }
            figures.add_cost(Measured::Ours, Cost::ClientMemory, 5.25);
            match &mut all {
                Some(all) => all.absorb(figures),
                None => all = Some(figures),
            }
        }
        let all = all.unwrap().json();
        golden::check("muster-bench-changes", &table::of(&all));
        golden::check_json("muster-bench-changes-json", &all);
    }

    #[test]
    fn who_is_to_join_has_left_before() {
        let join = [(None, Cause::Term), (Some(Workload::Join), Cause::Start)];
        assert_eq!(plan(&[Workload::Join], true), join);
        let leave = [(Some(Workload::Leave), Cause::Term), (None, Cause::Start)];
        assert_eq!(plan(&[Workload::Leave, Workload::Bcast1], false), leave);
        assert_eq!(plan(&[Workload::Latency], true), []);
    }

    #[test]
    fn cables_are_cut_where_there_are_some() {
        let causes = |netns| plan(&[Workload::Detect], netns).into_iter().map(|(_, cause)| cause);
        assert!(causes(false).eq([Cause::Kill, Cause::Stop]));
        assert!(causes(true).eq([Cause::Kill, Cause::Stop, Cause::Cut]));
    }
}
