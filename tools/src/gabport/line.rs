//! One line per event: the formats that the manual promises.

use std::fmt::Write as _;

use gab::{ClientEvent, CloseReason, Delivery, PortView};
use llt::NodeSet;
use serde_json::{Value, json};

/// A line of `listen`: the same bytes on every node. `None` for what only this node sees.
pub(super) fn of_listen(event: &ClientEvent) -> Option<String> {
    Some(match event {
        ClientEvent::Closed(reason) => closed(*reason),
        ClientEvent::Deliver(delivery) => {
            let Delivery { sender, sequence, payload, .. } = delivery;
            format!("deliver {sequence} {sender} {}", escaped(payload))
        }
        ClientEvent::Status(_) => return None,
        ClientEvent::View(view) => members("view", view),
    })
}

/// A line of `watch`: what changed, too. `None` for messages.
pub(super) fn of_watch(event: &ClientEvent) -> Option<String> {
    let (kind, view) = match event {
        ClientEvent::Closed(reason) => return Some(closed(*reason)),
        ClientEvent::Deliver(_) => return None,
        ClientEvent::Status(view) => ("status", view),
        ClientEvent::View(view) => ("view", view),
    };
    let mut line = members(kind, view);
    for (name, nodes) in [
        ("joined", view.joined),
        ("left", view.left),
        ("jeopardy", view.jeopardy),
        ("visible", view.visible),
        ("ddna", view.left.intersection(view.visible)),
    ] {
        if !nodes.is_empty() {
            append(&mut line, name, nodes);
        }
    }
    Some(line)
}

/// The same as a JSON object.
pub(super) fn of_json(event: &ClientEvent) -> Value {
    match event {
        ClientEvent::Closed(reason) => {
            json!({"event": "closed", "errno": reason.errno(), "reason": reason.to_string()})
        }
        ClientEvent::Deliver(delivery) => {
            let (key, text) = match std::str::from_utf8(&delivery.payload) {
                Ok(text) => ("text", text.to_owned()),
                Err(_) => ("hex", hex(&delivery.payload)),
            };
            json!({
                "event": "deliver",
                "sequence": delivery.sequence,
                "sender": delivery.sender.get(),
                "broadcast": delivery.broadcast,
                "safe": delivery.level == gab::Level::Safe,
                "generation": delivery.generation,
                key: text,
            })
        }
        ClientEvent::Status(view) => view_json("status", view),
        ClientEvent::View(view) => view_json("view", view),
    }
}

fn closed(reason: CloseReason) -> String {
    format!("closed {} {reason}", reason.errno())
}

fn members(kind: &str, view: &PortView) -> String {
    let mut line = format!("{kind} {:x}", view.generation);
    append(&mut line, "members", view.members);
    line
}

fn append(line: &mut String, name: &str, nodes: NodeSet) {
    let _ = write!(line, " {name}");
    for node in nodes.iter() {
        let _ = write!(line, " {node}");
    }
}

fn view_json(event: &str, view: &PortView) -> Value {
    let ids = |nodes: NodeSet| nodes.iter().map(llt::NodeId::get).collect::<Vec<_>>();
    json!({
        "event": event,
        "generation": view.generation,
        "members": ids(view.members),
        "joined": ids(view.joined),
        "left": ids(view.left),
        "jeopardy": ids(view.jeopardy),
        "visible": ids(view.visible),
        "ddna": ids(view.left.intersection(view.visible)),
    })
}

/// On one line, and no byte lost: see the manual.
fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                control if control.is_control() => {
                    let mut buffer = [0; 4];
                    hex_escapes(&mut out, control.encode_utf8(&mut buffer).as_bytes());
                }
                letter => out.push(letter),
            }
        }
        hex_escapes(&mut out, chunk.invalid());
    }
    out
}

fn hex_escapes(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(out, "\\x{byte:02x}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use gab::Level;
    use llt::NodeId;

    use super::*;
    use crate::golden;

    fn set(ids: &[u8]) -> NodeSet {
        ids.iter().filter_map(|&id| NodeId::new(id)).collect()
    }

    fn view(members: &[u8]) -> PortView {
        PortView {
            generation: 0x2f,
            members: set(members),
            joined: set(&[2]),
            left: NodeSet::EMPTY,
            jeopardy: set(&[0, 1]),
            visible: NodeSet::EMPTY,
        }
    }

    fn deliver(payload: &'static [u8]) -> ClientEvent {
        ClientEvent::Deliver(Delivery {
            sender: NodeId::new(1).unwrap(),
            broadcast: true,
            level: Level::Safe,
            generation: 47,
            sequence: 12,
            payload: payload.into(),
        })
    }

    #[test]
    fn lines_of_listen_and_watch_are_those_of_the_manual() {
        let view = view(&[0, 1, 2]);
        let events = [
            ClientEvent::View(view),
            deliver(b"hello, world"),
            deliver(b""),
            ClientEvent::Status(view),
            ClientEvent::Closed(CloseReason::Died),
        ];
        let lines = |of: fn(&ClientEvent) -> Option<String>| {
            events.iter().filter_map(of).map(|line| line + "\n").collect::<String>()
        };
        golden::check("gabport-listen", &lines(of_listen));
        golden::check("gabport-watch", &lines(of_watch));
        golden::check("gabport-listen-json", &lines(|event| Some(of_json(event).to_string())));
    }

    #[test]
    fn a_node_that_stays_when_its_client_has_gone_is_ddna() {
        let gone = PortView {
            joined: NodeSet::EMPTY,
            left: set(&[1, 2]),
            jeopardy: NodeSet::EMPTY,
            visible: set(&[2, 3]),
            ..view(&[0])
        };
        let event = ClientEvent::View(gone);
        assert_eq!(
            of_watch(&event).unwrap(),
            "view 2f members 0 left 1 2 visible 2 3 ddna 2",
            "node 1 has gone, node 3 never had a client"
        );
        assert_eq!(of_json(&event)["ddna"], json!([2]));
    }

    #[test]
    fn a_message_stays_on_its_line_whatever_is_in_it() {
        let bytes = b"a\\b\nc\r\x1b[2J\xff\xc3\xa9\xc2\x85\0";
        assert_eq!(escaped(bytes), "a\\\\b\\nc\\x0d\\x1b[2J\\xff\u{e9}\\xc2\\x85\\x00");
    }

    #[test]
    fn json_has_the_keys_of_the_manual() {
        assert_eq!(
            of_json(&deliver(b"hi")),
            json!({"event": "deliver", "sequence": 12, "sender": 1, "broadcast": true,
                "safe": true, "generation": 47, "text": "hi"})
        );
        assert_eq!(of_json(&deliver(b"\xff\x01"))["hex"], "ff01");
        assert_eq!(
            of_json(&ClientEvent::View(view(&[0, 127]))),
            json!({"event": "view", "generation": 47, "members": [0, 127], "joined": [2],
                "left": [], "jeopardy": [0, 1], "visible": [], "ddna": []})
        );
        assert_eq!(
            of_json(&ClientEvent::Closed(CloseReason::Ejected)),
            json!({"event": "closed", "errno": 116,
                "reason": "this node was ejected from the cluster"})
        );
    }
}
