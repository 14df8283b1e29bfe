//! A link with what stands in front of it.

use std::os::fd::BorrowedFd;

use crate::core::Transmit;
use crate::io::tap::{Tap, Verdict};
use crate::io::{Flushed, Link, LinkCounters, LinkFrame, Received};
use crate::time::Instant;

/// One link of a running node: the backend, and the tap of a testbed if there is one.
///
/// Every frame of the node passes [`Endpoint::send`] or [`Endpoint::receive`].
#[derive(Debug)]
pub struct Endpoint {
    link: Box<dyn Link>,
    tap: Option<Tap>,
}

impl Endpoint {
    /// A link, and a tap if faults may be injected into it.
    pub fn new(link: Box<dyn Link>, tap: Option<Tap>) -> Self {
        Self { link, tap }
    }

    /// What to wait on.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }

    /// Takes a frame to be sent with the next flush.
    pub fn send(&mut self, now: Instant, frame: Transmit) {
        let Some(tap) = &mut self.tap else {
            return self.link.queue(frame.to, frame.urgent, frame.frame);
        };
        let link = &mut self.link;
        tap.outgoing(now, frame, |frame| link.queue(frame.to, frame.urgent, frame.frame));
    }

    /// Appends what one system call yields to `into`.
    pub fn receive(&mut self, into: &mut Vec<LinkFrame>) -> Received {
        let before = into.len();
        let received = self.link.receive(into);
        if let Some(tap) = &mut self.tap {
            let mut index = 0;
            into.retain(|(_, frame)| {
                index += 1;
                index <= before || tap.incoming(frame) == Verdict::Pass
            });
        }
        received
    }

    /// Sends what is queued and, of what the tap holds back, what is due.
    pub fn flush(&mut self, now: Instant) -> Flushed {
        if let Some(tap) = &mut self.tap {
            let link = &mut self.link;
            tap.release(now, |frame| link.queue(frame.to, frame.urgent, frame.frame));
        }
        self.link.flush()
    }

    /// When [`Endpoint::flush`] wants to be called for what the tap holds back, at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.tap.as_ref().and_then(Tap::next_deadline)
    }

    /// The tap, if there is one.
    pub fn tap_mut(&mut self) -> Option<&mut Tap> {
        self.tap.as_mut()
    }

    /// What went by and what was lost in the link; what the tap took away was never sent.
    pub fn counters(&self) -> &LinkCounters {
        self.link.counters()
    }
}
