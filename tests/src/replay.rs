//! Applies a recorded run again, without network and without randomness.

use std::io::BufRead;

use anyhow::{Context as _, bail};
use llt::Instant;

use crate::host::Hosts;
use crate::input::Line;
use crate::invariants::{self, Violations};

/// What a replay showed.
#[derive(Debug)]
pub struct Replayed {
    /// Violations in the history; liveness is not judged, the world is not there.
    pub violations: Violations,
    /// Inputs applied.
    pub inputs: u64,
    /// The hash is the recorded one; `None` if the record has no end.
    pub same: Option<bool>,
}

/// Replays a record. `limit` stops after so many inputs.
pub fn replay(record: impl BufRead, limit: Option<u64>) -> anyhow::Result<Replayed> {
    let mut lines = record.lines().zip(1u64..);
    let Some((first, _)) = lines.next() else { bail!("the record is empty") };
    let Line::Setup(setup) = serde_json::from_str(&first?).context("line 1: expected `setup`")?
    else {
        bail!("line 1: expected `setup`");
    };
    let by = setup.arbitration();
    let nodes = usize::from(setup.nodes);
    let mut hosts = Hosts::new(*setup, None);
    let mut inputs = 0;
    let mut same = None;
    for (line, number) in lines {
        let line = serde_json::from_str(&line?).with_context(|| format!("line {number}"))?;
        match line {
            Line::Apply { t, node, local, input } => {
                if usize::from(node) >= nodes {
                    bail!("line {number}: node {node} of {nodes}");
                }
                let (at, local) = (Instant::from_nanos(t), Instant::from_nanos(local));
                hosts.apply(at, usize::from(node), local, input);
                inputs += 1;
            }
            Line::End { digest } => {
                same = Some(digest == format!("{:016x}", hosts.digest().value()));
            }
            Line::Record { t, record } => hosts.record_changed(Instant::from_nanos(t), record),
            Line::Setup(_) => bail!("line {number}: a second `setup`"),
        }
        if limit.is_some_and(|limit| inputs >= limit) {
            break;
        }
    }
    Ok(Replayed { violations: invariants::check(&hosts.history, by, false), inputs, same })
}
