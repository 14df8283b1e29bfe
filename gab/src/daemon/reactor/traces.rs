//! Frames for those who watch: `lltdump`.

use llt::limits::LINKS_MAX;
use llt::{Duration, LinkId};

use crate::daemon::reactor::Reactor;
use crate::ipc::TracedFrame;

/// Whether anybody watches, and what they have missed.
#[derive(Debug, Default)]
pub(super) struct Traces {
    on: bool,
    /// By link: frames that went by untold since somebody watches.
    lost: [u64; LINKS_MAX as usize],
}

impl Reactor {
    /// Tells those who watch of the frames that went by since the last call. Without any nothing is
    /// kept.
    pub(super) fn tell_traces(&mut self) {
        let on = self.clients.is_tracing();
        if !on && !self.traces.on {
            return;
        }
        if on != self.traces.on {
            self.traces = Traces { on, ..Traces::default() };
        }
        // The cores count from the start of the machine, people from 1970.
        let (now, wall_ns) = (self.parts.clock.now(), self.parts.clock.wall_nanos());
        for (index, endpoint) in self.parts.links.endpoints_mut() {
            // A link may have been added meanwhile.
            endpoint.set_observer(on);
            let link = u8::try_from(index).ok().and_then(LinkId::new);
            let Some((link, before)) = link.zip(self.traces.lost.get_mut(index)) else { continue };
            let lost = endpoint.observed_lost();
            let mut news = u32::try_from(lost.saturating_sub(*before)).unwrap_or(u32::MAX);
            *before = lost;
            for seen in endpoint.observed() {
                let ago: Duration = now.since(seen.at);
                let ago_ns = u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX);
                self.clients.frame(&TracedFrame {
                    link,
                    outgoing: seen.outgoing,
                    addr: seen.addr,
                    time_ns: wall_ns.saturating_sub(ago_ns),
                    lost: std::mem::take(&mut news),
                    frame: seen.frame,
                });
            }
        }
    }
}
