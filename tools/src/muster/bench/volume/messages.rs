//! What the cluster says to itself while a volume is written: nothing, once it knows the writer.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::super::temporary::Temporary;
use super::super::super::{control, volumes, wait};
use super::super::fio::Fio;
use super::{GROUP, NODE};

/// How much longer fio runs than is counted: until the cluster knows that the node writes.
pub(super) const SPARE: Duration = Duration::from_secs(1);

/// Messages for each thousand requests of `fio`, counted for `time` from when the record of the volume
/// says that the node writes it.
///
/// # Errors
/// If fio ends too soon, or a daemon does not answer.
pub(super) fn count(
    cluster: &Temporary,
    volume: &str,
    mut fio: Fio,
    time: Duration,
) -> Result<f64> {
    let limit = cluster.cluster.timers.patience();
    wait::until(&format!("node {NODE} is a writer of {volume}"), limit, || {
        let snapshot = volumes::snapshot(&cluster.cluster, NODE)?;
        let mut groups = snapshot.groups.iter().map(|shown| &shown.group);
        let group = groups.find(|group| group.name.as_str() == GROUP).context("no group")?;
        let record = group.volumes.get(volume).context("no volume")?;
        Ok(record.writers.contains(&NODE).then_some(()))
    })?;
    let (start, before) = (wait::now(), delivered(cluster)?);
    let end = start + time;
    while wait::now() < end {
        wait::check_interrupt()?;
        wait::pause(end.since(wait::now()).min(Duration::from_millis(200)));
    }
    let (stop, after) = (wait::now(), delivered(cluster)?);
    ensure!(fio.is_running()?, "fio has ended before the messages were counted");
    let requests = fio.finish()?.iops * stop.since(start).as_secs_f64();
    Ok(per_thousand(after.saturating_sub(before), requests))
}

fn per_thousand(messages: u64, requests: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let messages = messages as f64;
    messages * 1000.0 / requests.max(1.0)
}

/// Messages that clients of all nodes were told: on port v and on the others of CVM, which are
/// the only ones here. A broadcast counts at each node, the sender's too, so this is no less than
/// what was sent.
fn delivered(cluster: &Temporary) -> Result<u64> {
    let mut sum = 0;
    for node in cluster.cluster.ids() {
        let counters = control::snapshot(&cluster.cluster, node)?.gab.counters;
        sum += counters.get("delivered").context("gabd counts no deliveries")?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_shared_among_requests() {
        assert_eq!(per_thousand(0, 5000.0), 0.0);
        assert_eq!(per_thousand(10, 5000.0), 2.0);
        assert_eq!(per_thousand(3, 0.0), 3000.0);
    }
}
