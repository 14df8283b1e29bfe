//! The round-trip time of one peer (RFC 6298 with our bounds).

use crate::time::Duration;

/// A smoothed round-trip time and its variation, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rtt {
    estimate: Option<(u64, u64)>,
}

/// How long a receiver may sit on an acknowledgement.
pub(super) const ACK_DELAY: Duration = Duration::from_millis(2);
/// What a packet may be late by, on another link or a busy machine, without being lost.
const LOSS_SLACK_MIN: Duration = Duration::from_millis(1);
/// Below this, scheduling noise would pass for loss.
const RTO_MIN: Duration = Duration::from_millis(5);

impl Rtt {
    /// A packet that was sent once took this long to be acknowledged.
    pub(super) fn sample(&mut self, elapsed: Duration) {
        let sample = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX / 8).min(u64::MAX / 8);
        self.estimate = Some(match self.estimate {
            None => (sample, sample / 2),
            Some((srtt, var)) => ((srtt * 7 + sample) / 8, (var * 3 + srtt.abs_diff(sample)) / 4),
        });
    }

    /// The smoothed round-trip time, if any packet was measured.
    pub(super) fn srtt(&self) -> Option<Duration> {
        self.estimate.map(|(srtt, _)| Duration::from_nanos(srtt))
    }

    /// How old a packet must be to count as lost when one that was sent later has arrived.
    pub(super) fn loss(&self, ceiling: Duration) -> Duration {
        let Some((srtt, var)) = self.estimate else { return ceiling };
        let slack = Duration::from_nanos(var.saturating_mul(2)).max(LOSS_SLACK_MIN);
        (Duration::from_nanos(srtt) + slack).min(ceiling)
    }

    /// The retransmission time-out after `backoff` expiries in a row, at most `ceiling`.
    pub(super) fn rto(&self, backoff: u32, ceiling: Duration) -> Duration {
        let Some((srtt, var)) = self.estimate else { return ceiling };
        let base = Duration::from_nanos(srtt.saturating_add(var * 4)) + ACK_DELAY;
        base.max(RTO_MIN).saturating_mul(1 << backoff.min(16)).min(ceiling)
    }
}
