//! What the clients do in one round of `bench`.

use super::super::cli::{BenchArgs, Workload};
use super::job::{Job, Send};
use super::report::Key;

/// Its steps: what a figure is of, and how it comes.
pub(super) type Plan = Vec<(Key, Job)>;

/// Sizes of messages.
pub(super) fn sizes(args: &BenchArgs) -> &[u32] {
    if args.sizes.is_empty() { &[64, 1024] } else { &args.sizes }
}

/// All that is measured in one round on a cluster of `n` nodes.
pub(super) fn of(args: &BenchArgs, n: u8, workloads: &[Workload], sequencer: u8) -> Plan {
    let other = (0..n).rev().find(|id| *id != sequencer).unwrap_or(sequencer);
    let time_ms = u64::try_from(args.time.as_millis()).unwrap_or(u64::MAX);
    let mut plan = Vec::new();
    for (index, size) in sizes(args).iter().enumerate() {
        let key = |workload| Key::new(workload, n, *size);
        let job = |senders: Vec<u8>, send, time_ms| Job {
            round: 0,
            senders,
            members: n,
            size: *size,
            time_ms,
            send,
        };
        for workload in workloads {
            match workload {
                // From a node that is not the sequencer: the case that most senders are in.
                Workload::Bcast1 => {
                    plan.push((key(*workload), job(vec![other], Send::Flood, time_ms)));
                }
                Workload::BcastAll => {
                    let senders = (0..n).collect();
                    plan.push((key(*workload), job(senders, Send::Flood, time_ms)));
                }
                Workload::Detect
                | Workload::Idle
                | Workload::Join
                | Workload::Leave
                | Workload::Raw => {}
                Workload::P2p => {
                    // One node has no other.
                    let Some(to) = (0..n).find(|id| *id != other) else { continue };
                    let send = |flood| Send::To { node: to, flood };
                    plan.push((key(*workload), job(vec![other], send(true), time_ms)));
                    plan.push((key(*workload), job(vec![other], send(false), time_ms / 2)));
                }
                // Whatever sizes are asked for.
                Workload::Scale if index == 0 => {
                    let mut job = job((0..n).collect(), Send::Flood, time_ms);
                    job.size = 64;
                    plan.push((Key { size: 64, ..key(*workload) }, job));
                }
                Workload::Scale | Workload::Txn | Workload::Volume => {}
                Workload::Latency => {
                    let mut origins = vec![("sequencer", sequencer), ("other", other)];
                    origins.dedup_by_key(|(_, node)| *node);
                    for (from, node) in origins {
                        for safe in [false, true] {
                            let level = Some(if safe { "safe" } else { "agreed" });
                            let key = Key { level, from: Some(from), ..key(*workload) };
                            // Four of these go into one round.
                            plan.push((key, job(vec![node], Send::One { safe }, time_ms / 2)));
                        }
                    }
                }
            }
        }
    }
    plan
}
