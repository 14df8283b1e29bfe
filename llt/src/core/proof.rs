//! When a peer has heard us last, as far as it has shown: it will not give us up before that and
//! `peerinact` have passed. A lease rests on it (ours; design: the I/O lease of CVM).
//!
//! ```text
//! we    heartbeat 17, "I hear you"  ------>          asked: 17, sent at t
//! peer  heartbeat, "I hear you", echo 17 or later -> proven: t; the next heartbeat asks again
//! ```
//! One question is under way on each link, so nothing is remembered of single heartbeats. What counts
//! is when ours was *sent*: the peer has heard it later. A heartbeat that says that we do not hear the peer
//! keeps no connection up, so it is no proof, and takes the question back: the peer may have heard it
//! alone.

use super::Llt;
use super::heartbeat::{is_echo_of, low_half_word};
use super::peer::Peer;
use crate::ids::Id;
use crate::time::Instant;

/// What a peer has shown on a link.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Proof {
    /// The number of the first heartbeat that it has not shown to have heard, and when that was sent.
    asked: Option<(u64, Instant)>,
    proven: Option<Instant>,
}

/// A question that so many heartbeats have followed is asked anew: soon an echo could not be told from
/// one of long ago.
const ASKED_MAX: u64 = 1 << 14;

impl Proof {
    /// The heartbeat with this number says that we hear the peer, or do not.
    pub(super) fn on_said(&mut self, now: Instant, number: u64, hears: bool) {
        if !hears {
            self.asked = None;
        } else if self.asked.is_none_or(|(asked, _)| number >= asked + ASKED_MAX) {
            self.asked = Some((number, now));
        }
    }

    /// The peer hears us, and has heard this one last.
    pub(super) fn on_echo(&mut self, echo: u16) {
        let is_heard = |number: u64| is_echo_of(echo, low_half_word(number));
        if let Some((_, at)) = self.asked.take_if(|(number, _)| is_heard(*number)) {
            self.proven = Some(at);
        }
    }
}

impl Peer {
    /// When the newest of our heartbeats was sent that it has shown to have heard in this connection.
    fn proven(&self) -> Option<Instant> {
        let links = self.links.iter().filter_map(|link| link.proof.proven);
        links.max().filter(|_| self.connected)
    }
}

impl Llt {
    /// When we sent the newest heartbeat that this life of a node has shown to have heard in the
    /// present connection, whatever the link: it gives us up for our silence `peerinact` after that
    /// at the earliest, by its timer. `None` if it is not connected, or has shown nothing yet.
    pub fn proven(&self, peer: Id) -> Option<Instant> {
        let known = self.peers.get(peer.node.index())?.as_deref()?;
        known.proven().filter(|_| known.id() == Some(peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn a_heartbeat_that_was_heard_is_proof_of_when_it_was_sent() {
        let mut proof = Proof::default();
        proof.on_echo(7);
        assert_eq!(proof.proven, None, "nobody has asked");
        proof.on_said(at(1), 8, true);
        proof.on_said(at(2), 9, true);
        proof.on_echo(7);
        assert_eq!(proof.proven, None, "it has heard the one before");
        proof.on_echo(9);
        assert_eq!(proof.proven, Some(at(1)), "8 is what was asked, and not known to be lost");
        proof.on_said(at(3), 10, true);
        proof.on_echo(9);
        assert_eq!(proof.proven, Some(at(1)));
        proof.on_echo(10);
        assert_eq!(proof.proven, Some(at(3)));
    }

    #[test]
    fn a_heartbeat_that_denies_the_peer_is_no_proof() {
        let mut proof = Proof::default();
        proof.on_said(at(1), 8, true);
        proof.on_said(at(2), 9, false);
        proof.on_echo(9);
        assert_eq!(proof.proven, None);
        proof.on_said(at(3), 10, true);
        proof.on_echo(9);
        assert_eq!(proof.proven, None);
        proof.on_echo(10);
        assert_eq!(proof.proven, Some(at(3)));
    }

    #[test]
    fn a_question_without_an_answer_is_asked_anew_in_time() {
        let mut proof = Proof::default();
        for number in 0..40_000 {
            proof.on_said(at(number), number, true);
        }
        proof.on_echo(low_half_word(39_999));
        let proven = proof.proven.expect("the last ones are heard");
        assert_eq!(proven, at(32_768), "when the question was asked that is answered");
    }

    #[test]
    fn numbers_wrap() {
        let mut proof = Proof::default();
        proof.on_said(at(1), 0x1_ffff, true);
        proof.on_echo(0xfffe);
        assert_eq!(proof.proven, None);
        proof.on_echo(0x0001);
        assert_eq!(proof.proven, Some(at(1)));
    }
}
