//! Positions in the sequences of links: what is missing, in arithmetic that survives the wrap.

use crate::time::{Duration, Instant};

/// What one receiver knows of one sequence of frames.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sequence {
    /// The newest position seen; `None` until the sender has named one.
    newest: Option<u32>,
    /// A position that the sender says it has reached, and when to believe that the frames up to
    /// it are lost rather than overtaken by what named it.
    claimed: Option<(Instant, u32)>,
}

/// How long a frame may be overtaken by a heartbeat, which drivers flush first.
const OVERTAKING: Duration = Duration::from_millis(2);

/// Is `a` after `b`, if both are less than 2^31 apart?
pub(super) const fn is_after(a: u32, b: u32) -> bool {
    let distance = a.wrapping_sub(b);
    distance != 0 && distance < 1 << 31
}

impl Sequence {
    /// A frame at `position` arrived; gives how many are missing before it.
    pub(super) fn on_frame(&mut self, position: u32) -> u32 {
        let Some(newest) = self.newest else {
            self.newest = Some(position);
            return 0;
        };
        if !is_after(position, newest) {
            return 0;
        }
        self.newest = Some(position);
        if self.claimed.is_some_and(|(_, claimed)| !is_after(claimed, position)) {
            self.claimed = None;
        }
        position.wrapping_sub(newest) - 1
    }

    /// The sender says that it has reached `position`.
    pub(super) fn on_claim(&mut self, now: Instant, position: u32) {
        match self.newest {
            None => self.newest = Some(position),
            Some(newest) if is_after(position, newest) => {
                // The older claim keeps its time: a steady talker must not put it off for ever.
                self.claimed.get_or_insert((now + OVERTAKING, position));
            }
            Some(_) => {}
        }
    }

    /// When to call [`Sequence::on_timer`].
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.claimed.map(|(at, _)| at)
    }

    /// Gives how many frames are missing for certain by now.
    pub(super) fn on_timer(&mut self, now: Instant) -> u32 {
        match (self.claimed, self.newest) {
            (Some((at, position)), Some(newest)) if now >= at => {
                self.claimed = None;
                self.newest = Some(position);
                position.wrapping_sub(newest)
            }
            _ => 0,
        }
    }
}
