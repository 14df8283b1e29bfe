//! A frame as a JSON object.

use llt::wire::BROADCAST_NODE;
use serde_json::{Map, Value, json};

use super::seen::{Meaning, Seen};

/// The object of a frame.
pub(super) fn object(seen: &Seen, meaning: &Meaning) -> Value {
    let address = |addr: Option<llt::LinkAddr>| addr.map(|addr| addr.to_string());
    let mut fields = Map::new();
    let mut nodes = Vec::new();
    for (name, value) in &meaning.words.fields {
        if *name == "node" {
            nodes.push(Value::from(value.as_str()));
        } else {
            fields.insert(name.replace(' ', "_"), of_field(name, value));
        }
    }
    if !nodes.is_empty() {
        fields.insert("nodes".to_owned(), Value::from(nodes));
    }
    json!({
        "time_ns": seen.time_ns,
        "link": seen.link.as_ref().map(|(link, _)| link),
        "tag": seen.link.as_ref().map(|(_, tag)| tag),
        "direction": seen.outgoing.map(|outgoing| if outgoing { "out" } else { "in" }),
        "source_address": address(seen.source),
        "destination_address": address(seen.destination),
        "lost": seen.lost,
        "length": seen.frame.len(),
        "kind": meaning.words.name,
        "cluster": meaning.cluster,
        "source": meaning.source,
        "destination": meaning.destination.filter(|node| *node != BROADCAST_NODE),
        "summary": meaning.words.summary,
        "fields": fields,
    })
}

/// Numbers are numbers; incarnations and keys are hexadecimal and stay text.
fn of_field(name: &str, value: &str) -> Value {
    let is_hex = name.ends_with("incarnation") || matches!(name, "key" | "older");
    match value.parse::<u64>() {
        Ok(number) if !is_hex => Value::from(number),
        _ => Value::from(value),
    }
}

#[cfg(test)]
mod tests {
    use llt::wire::{Header, Kind, emit_bye};
    use llt::{ClusterId, Incarnation, LinkAddr};

    use super::*;
    use crate::golden;

    #[test]
    fn an_object_has_the_keys_of_the_manual() {
        let header = Header {
            cluster: ClusterId(7),
            kind: Kind::Bye,
            src: 0,
            dst: 1,
            sequence: 12,
            src_incarnation: Incarnation(0x10),
            dst_incarnation: Incarnation(0x20),
            src_session: 1,
            dst_session: 2,
            ack: 510,
        };
        let seen = Seen {
            time_ns: 5,
            link: Some((1, "eth2".to_owned())),
            outgoing: Some(false),
            source: Some(LinkAddr::Mac([2, 0, 0, 0, 0, 7])),
            destination: None,
            lost: 0,
            frame: emit_bye(&header),
        };
        // One line, as lltdump prints it.
        golden::check("lltdump-json", &format!("{}\n", object(&seen, &seen.meaning(None))));
    }
}
