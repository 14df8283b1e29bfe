//! What `llttest` prints.

use std::fmt::Write as _;
use std::time::Duration;

use llt::io::Clock;
use llt::{Instant, NodeId};

use super::payload::Wrong;

/// What one command moved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) began: Option<Instant>,
}

impl Sum {
    pub(super) fn add(&mut self, message: &[u8]) {
        self.messages += 1;
        self.bytes += u64::try_from(message.len()).unwrap_or(0);
    }

    /// What was done, in how long, at which rate.
    pub(super) fn line(&self, done: &str, what: &str, rest: &str, clock: Clock) -> String {
        let time = self.began.map(|began| clock.now().since(began)).unwrap_or_default();
        self.report(done, what, rest, time)
    }

    fn report(&self, done: &str, what: &str, rest: &str, time: Duration) -> String {
        let seconds = time.as_secs_f64();
        let mut line = format!("{done} {} {what}, {} bytes{rest}", self.messages, self.bytes);
        let _ = write!(line, " in {seconds:.3} s");
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        if seconds > 0.0 {
            let (messages, bytes) = (self.messages as f64 / seconds, self.bytes as f64 / seconds);
            let _ = write!(line, ": {messages:.0} {what}/s, {:.2} MB/s", bytes / 1e6);
        }
        line.push('\n');
        line
    }
}

/// A message, as `debug` wants it: with level 2 its first bytes, too.
pub(super) fn message(
    way: &str,
    node: NodeId,
    reliable: bool,
    message: &[u8],
    debug: u8,
) -> String {
    let kind = if reliable { "message" } else { "datagram" };
    let mut line = format!("{kind} {way} node {node}, {} bytes", message.len());
    if debug > 1 {
        line.push(':');
        for byte in message.iter().take(FIRST_BYTES) {
            let _ = write!(line, " {byte:02x}");
        }
    }
    line.push('\n');
    line
}

/// What a receiver with `-v` adds to its sum.
pub(super) fn verified(lost: u64) -> String {
    match lost {
        0 => ", all verified".to_owned(),
        lost => format!(", all verified, {lost} datagrams lost"),
    }
}

/// Why a receiver gives up.
pub(super) fn silence(waited: Duration, sum: &Sum, count: u64) -> String {
    let (seconds, came) = (waited.as_secs_f64(), sum.messages);
    format!("nothing came for {seconds} s, {came} of {count} messages are here")
}

/// What a receiver with `-v` says of a message that is not what it should be.
pub(super) fn wrong(number: u64, from: NodeId, wrong: Wrong) -> String {
    format!("message {number}, from node {from}: {wrong}")
}

/// Bytes of a message that `debug 2` shows.
const FIRST_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    const SECOND: Duration = Duration::from_secs(1);

    fn node(id: u8) -> NodeId {
        NodeId::new(id).unwrap()
    }

    fn thousand() -> Sum {
        let mut sum = Sum::default();
        for _ in 0..1000 {
            sum.add(&[0; 512]);
        }
        sum
    }

    #[test]
    fn what_was_sent_is_summed_up() {
        let sum = thousand();
        golden::check("llttest-sent", &sum.report("sent", "messages", " to node 1", SECOND));
        let packets = sum.report("sent", "datagrams", " to node 1", SECOND / 2);
        golden::check("llttest-packet", &packets);
    }

    #[test]
    fn what_was_received_is_summed_up() {
        let sum = thousand();
        let received = |rest: &str| sum.report("received", "messages", rest, SECOND / 4);
        golden::check("llttest-received", &received(""));
        golden::check("llttest-received-v", &received(&verified(0)));
        golden::check("llttest-received-lost", &received(&verified(12)));
        golden::check("llttest-echoed", &sum.report("echoed", "messages", "", SECOND));
        let forwarded = sum.report("forwarded", "messages", " to node 2", SECOND);
        golden::check("llttest-forwarded", &forwarded);
        let nothing = Sum::default().report("received", "messages", "", Duration::ZERO);
        golden::check("llttest-nothing", &nothing);
    }

    #[test]
    fn each_message_is_shown_as_far_as_debug_asks_for() {
        let bytes: Vec<u8> = (0..40).collect();
        let lines = [
            message("to", node(1), true, &bytes, 1),
            message("from", node(127), false, &bytes, 1),
            message("from", node(1), true, &bytes, 2),
            message("from", node(1), false, b"hello", 2),
            message("from", node(1), true, b"", 2),
        ];
        golden::check("llttest-debug", &lines.concat());
    }

    #[test]
    fn a_receiver_says_what_is_wrong() {
        let kinds = [
            Wrong::Changed { at: 40 },
            Wrong::Length { got: 40, sent: 64 },
            Wrong::NoHeader,
            Wrong::Order { got: 2, expected: 1 },
        ];
        let lines = kinds.map(|kind| wrong(3, node(1), kind));
        let silence = silence(Duration::from_millis(1500), &thousand(), 2000);
        golden::check("llttest-wrong", &(lines.join("\n") + "\n" + &silence + "\n"));
    }
}
