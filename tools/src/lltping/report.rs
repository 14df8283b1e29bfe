//! What `lltping` prints.

use std::fmt::Write as _;
use std::time::Duration;

use gab::echo::Echo;
use gab::snapshot::{LltSnapshot, NodeLinkSnapshot, NodeSnapshot};
use llt::{LltPort, NodeId};
use serde::Serialize;
use serde_json::{Value, json};

use super::asker::{Answer, Outcome};
use crate::lltstat;

/// One line of `-T` or `-v`.
pub(super) fn round_trip(node: &NodeSnapshot, answer: &Answer) -> String {
    let Answer { number, size, time, damaged } = answer;
    let damaged = if *damaged { ", the checksum did not match" } else { "" };
    format!("{size} bytes from node {}: {number} time {} ms{damaged}\n", node.node, ms(*time))
}

/// A line for each question.
pub(super) fn round_trips(node: &NodeSnapshot, outcome: &Outcome) -> String {
    (1..)
        .zip(&outcome.answers)
        .map(|(number, answer)| match answer {
            Some(answer) => round_trip(node, answer),
            None => format!("no answer of node {}: {number}\n", node.node),
        })
        .collect()
}

/// The end of `-T`.
pub(super) fn summary(outcome: &Outcome) -> String {
    let (sent, answered) = (outcome.answers.len(), outcome.answered().count());
    let lost = (sent - answered) * 100 / sent.max(1);
    let mut text = format!("{sent} sent, {answered} answered, {lost}% lost");
    if let Some((min, mean, max)) = times(outcome) {
        let _ = write!(text, "; round trip min/avg/max {}/{}/{} ms", ms(min), ms(mean), ms(max));
    }
    text.push('\n');
    text
}

/// Alive or not, and the node as `lltstat -nvv` lists it.
pub(super) fn verdict(
    llt: &LltSnapshot,
    node: &NodeSnapshot,
    outcome: &Outcome,
    timeout: Duration,
) -> String {
    let id = node.node;
    let mut text = if outcome.is_alive() {
        format!("Node {id} is alive\n")
    } else if outcome.answered().next().is_some() {
        format!("Node {id} is alive, but the checksum of a message did not match\n")
    } else {
        match &outcome.not_sent {
            Some(why) => format!("Node {id} is not alive: {why}\n"),
            None => format!("Node {id} is not alive: no answer within {} s\n", timeout.as_secs()),
        }
    };
    let listing = lltstat::node_links(llt, std::slice::from_ref(node), true);
    for line in listing.lines().skip(HEADINGS) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// A link to the node, with the name by which people know it.
#[derive(Serialize)]
struct Link<'a> {
    tag: &'a str,
    #[serde(flatten)]
    link: &'a NodeLinkSnapshot,
}

/// The result for programs.
pub(super) fn json(llt: &LltSnapshot, node: &NodeSnapshot, size: u32, outcome: &Outcome) -> Value {
    // A node of which nothing was heard has no links; each other one has them in the same order.
    let links = llt.links.iter().zip(&node.links);
    let links: Vec<Link<'_>> = links.map(|(own, link)| Link { tag: &own.tag, link }).collect();
    let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let times_us: Vec<Option<u64>> =
        outcome.answers.iter().map(|answer| answer.map(|answer| us(answer.time))).collect();
    let range = times(outcome);
    json!({
        "node": node.node,
        "name": node.name,
        "alive": outcome.is_alive(),
        "state": node.state,
        "size": size,
        "sent": outcome.answers.len(),
        "answered": outcome.answered().count(),
        "damaged": outcome.answered().filter(|answer| answer.damaged).count(),
        "min_us": range.map(|(min, _, _)| us(min)),
        "mean_us": range.map(|(_, mean, _)| us(mean)),
        "max_us": range.map(|(_, _, max)| us(max)),
        "times_us": times_us,
        "links": links,
    })
}

/// `-s` on the port that needs no server.
pub(super) fn of_gabd(node: u8) -> String {
    format!("node {node} answers on LLT port {}: gabd does so itself\n", LltPort::PING.get())
}

/// The first line of a server.
pub(super) fn answering(port: LltPort) -> String {
    format!("answering on LLT port {}\n", port.get())
}

/// With `-v`: a question, and what came of it if that was no answer.
pub(super) fn question(from: NodeId, len: usize, echo: &Echo, answered: bool) -> String {
    let damaged = if echo.damaged { ", the checksum did not match" } else { "" };
    let lost = if answered { "" } else { ", not answered: no room to send" };
    format!("{len} bytes from node {from}: {}{damaged}{lost}\n", echo.number)
}

/// With `-v`: what nobody asks.
pub(super) fn no_question(from: NodeId, len: usize) -> String {
    format!("{len} bytes from node {from}: no question\n")
}

/// The last line of a server.
pub(super) fn answered(count: u64) -> String {
    format!("{count} answered\n")
}

/// Least, mean and greatest round trip.
fn times(outcome: &Outcome) -> Option<(Duration, Duration, Duration)> {
    let count = u32::try_from(outcome.answered().count()).ok().filter(|count| *count > 0)?;
    let times = || outcome.answered().map(|answer| answer.time);
    Some((times().min()?, times().sum::<Duration>() / count, times().max()?))
}

fn ms(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1000.0)
}

/// Lines of the listing before the first node.
const HEADINGS: usize = 2;

#[cfg(test)]
mod tests {
    use gab::echo;
    use gab::snapshot::LinkSnapshot;

    use super::*;
    use crate::golden;

    fn answer(number: u64, us: u64) -> Option<Answer> {
        let time = Duration::from_micros(us);
        Some(Answer { number, size: 128, time, damaged: false })
    }

    fn link(link: u8, status: &str, address: &str) -> NodeLinkSnapshot {
        NodeLinkSnapshot {
            link,
            status: status.into(),
            address: address.into(),
            ..NodeLinkSnapshot::default()
        }
    }

    fn south() -> NodeSnapshot {
        NodeSnapshot {
            node: 1,
            name: "south".into(),
            state: "OPEN".into(),
            links: vec![link(0, "UP", "00:50:56:00:00:E1"), link(1, "DOWN", "")],
            ..NodeSnapshot::default()
        }
    }

    fn llt() -> LltSnapshot {
        let link = |tag: &str| LinkSnapshot { tag: tag.into(), ..LinkSnapshot::default() };
        let links = vec![link("eth6"), link("eth5")];
        LltSnapshot { links, nodes: vec![south()], ..LltSnapshot::default() }
    }

    #[test]
    fn a_node_that_answers_is_alive_and_shows_its_links() {
        let outcome = Outcome { answers: vec![answer(1, 150)], not_sent: None };
        golden::check("lltping", &verdict(&llt(), &south(), &outcome, Duration::from_secs(10)));
    }

    #[test]
    fn a_node_that_does_not_answer_is_not_alive_and_why() {
        let nobody = |not_sent| Outcome { answers: vec![None], not_sent };
        let text = verdict(&llt(), &south(), &nobody(None), Duration::from_secs(10));
        golden::check("lltping-no-answer", &text);
        let gone = NodeSnapshot {
            state: "CONNWAIT".into(),
            links: vec![link(0, "DOWN", ""), link(1, "EXPIRED", "")],
            ..south()
        };
        let outcome = nobody(Some("node 1 is not connected".to_owned()));
        let text = verdict(&llt(), &gone, &outcome, Duration::from_secs(10));
        golden::check("lltping-not-connected", &(summary(&outcome) + &text));
        golden::check_json("lltping-not-connected-json", &json(&llt(), &gone, 128, &outcome));
        // One that nobody has heard of has no links either.
        let unknown = NodeSnapshot { node: 7, state: "CONNWAIT".into(), ..NodeSnapshot::default() };
        assert_eq!(json(&llt(), &unknown, 128, &outcome)["links"], json!([]));
    }

    #[test]
    fn a_damaged_answer_is_said_and_counts_as_failure() {
        let damaged = Answer { damaged: true, ..answer(1, 150).unwrap() };
        let outcome = Outcome { answers: vec![Some(damaged)], not_sent: None };
        assert!(!outcome.is_alive());
        assert_eq!(
            round_trip(&south(), &damaged),
            "128 bytes from node 1: 1 time 0.150 ms, the checksum did not match\n"
        );
    }

    #[test]
    fn round_trips_are_summed_up() {
        let answers = vec![answer(1, 1000), answer(2, 2500), None, answer(4, 100)];
        let outcome = Outcome { answers, not_sent: None };
        golden::check("lltping-T", &round_trips(&south(), &outcome));
        golden::check("lltping-summary", &summary(&outcome));
        golden::check_json("lltping-json", &json(&llt(), &south(), 128, &outcome));
        let nobody = Outcome { answers: vec![None], not_sent: None };
        assert_eq!(summary(&nobody), "1 sent, 0 answered, 100% lost\n");
    }

    #[test]
    fn a_server_tells_whom_it_answers() {
        let from = NodeId::new(1).unwrap();
        let asked = |number, damage: u8, sent| {
            let mut bytes = echo::question(7, number, 128, true).to_vec();
            bytes[127] ^= damage;
            let answer = echo::answer(&bytes).unwrap();
            question(from, bytes.len(), &Echo::read(&answer).unwrap(), sent)
        };
        let lines = [
            answering(LltPort::new(20).unwrap()),
            asked(1, 0, true),
            asked(2, 1, true),
            asked(3, 0, false),
            no_question(from, 5),
            answered(2),
        ];
        golden::check("lltping-s-v", &lines.concat());
        golden::check("lltping-s-gabd", &of_gabd(1));
    }
}
