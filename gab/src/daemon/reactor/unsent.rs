//! Frames that the system did not take: told, but not each.

use llt::{Duration, Instant, LinkId};

/// What was told of each link.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    links: Vec<Told>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Told {
    /// How many frames the link had lost then.
    lost: u64,
    /// Nothing is told before.
    quiet_until: Option<Instant>,
}

impl Unsent {
    /// The link has lost so many frames since it was opened first. Returns how many of them are to
    /// be told of now: those since the last time, if that is at least `quiet` ago.
    pub(super) fn note(
        &mut self,
        now: Instant,
        link: LinkId,
        lost: u64,
        quiet: Duration,
    ) -> Option<u64> {
        if self.links.len() <= link.index() {
            self.links.resize(link.index() + 1, Told::default());
        }
        let told = &mut self.links[link.index()];
        // Another link has this number now, and begins to count.
        told.lost = told.lost.min(lost);
        let news = lost - told.lost;
        if news == 0 || told.quiet_until.is_some_and(|until| now < until) {
            return None;
        }
        *told = Told { lost, quiet_until: Some(now + quiet) };
        Some(news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_summed_up_while_nobody_is_told() {
        let mut unsent = Unsent::default();
        let link = LinkId::new(3).unwrap();
        let quiet = Duration::from_secs(16);
        let at = |secs: u64| Instant::ZERO + Duration::from_secs(100 + secs);
        let mut note = |secs, lost| unsent.note(at(secs), link, lost, quiet);
        assert_eq!(note(0, 0), None);
        assert_eq!(note(1, 2), Some(2));
        assert_eq!(note(2, 5), None);
        assert_eq!(note(17, 9), Some(7));
        assert_eq!(note(40, 9), None);
        assert_eq!(note(41, 1), None, "another link, which lost one before it is looked at");
        assert_eq!(note(42, 3), Some(2));
    }
}
