//! `gabport watch --all`: whatever happens at the node, from gabd itself.

use gab::client::Watch;
use serde_json::Value;

use super::End;
use super::listener::{Deadline, wait};
use crate::common::{Failure, Root, output};

/// Prints until the count or the time is reached, or gabd ends, which is a failure.
pub(super) fn watch(root: &Root, end: &End) -> Result<(), Failure> {
    let mut watch = Watch::start(root.path())?;
    let deadline = end.timeout.map(Deadline::after);
    let mut left = end.count;
    loop {
        let Some(event) = next(&mut watch, deadline.as_ref())? else {
            return match left {
                Some(left) => Err(Failure::operation(format!("time is up; {left} did not come"))),
                None => Ok(()),
            };
        };
        let text = if end.json { event.to_string() } else { line(&event) };
        output::print(&(text + "\n"))?;
        left = left.map(|left| left - 1);
        if left == Some(0) {
            return Ok(());
        }
    }
}

/// The next event; `None` if time is up.
fn next(watch: &mut Watch, deadline: Option<&Deadline>) -> Result<Option<Value>, Failure> {
    loop {
        if let Some(event) = watch.try_recv()? {
            return Ok(Some(event));
        }
        if !wait(&*watch, deadline)? {
            return Ok(None);
        }
    }
}

/// `SECONDS EVENT KEY VALUE...`: what is empty is left out.
fn line(event: &Value) -> String {
    let number = |key: &str| event.get(key).and_then(Value::as_u64).unwrap_or(0);
    let kind = event.get("event").and_then(Value::as_str).unwrap_or("?");
    let mut out = format!("{}.{:03} {kind}", number("time") / 1000, number("time") % 1000);
    for (key, value) in event.as_object().into_iter().flatten() {
        if key != "event" && key != "time" {
            let words = words(value);
            if !words.is_empty() {
                out += &format!(" {key} {words}");
            }
        }
    }
    out
}

fn words(value: &Value) -> String {
    match value {
        Value::Null | Value::Object(_) => String::new(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => text.escape_debug().to_string(),
        Value::Array(all) => all.iter().map(words).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_leaves_out_what_is_empty() {
        let event = json!({
            "event": "membership", "time": 1_764_336_000_007_u64, "port": "A", "generation": 3,
            "members": [0, 2], "joined": [], "left": [1], "ddna": [], "name": null,
        });
        let expected = "1764336000.007 membership generation 3 left 1 members 0 2 port A";
        assert_eq!(line(&event), expected);
        let many = [
            json!({"event": "node", "time": 1_764_336_000_000_u64, "node": 0, "name": "north",
                   "cluster": 7, "configured": true, "view": "1.0/2a"}),
            json!({"event": "port", "time": 1_764_336_000_000_u64, "port": "a", "generation": 1,
                   "members": [0, 1], "jeopardy": [], "visible": []}),
            event,
            json!({"event": "client", "time": 1_764_336_001_500_u64, "port": "h", "pid": 2305,
                   "what": "inactive", "seconds": 7}),
            json!({"event": "link", "time": 1_764_336_002_000_u64, "link": 1, "node": 1,
                   "name": "south", "status": "lossy", "found": true}),
            json!({"event": "version", "time": 1_764_336_002_100_u64, "node": 1, "name": "south",
                   "versions": [2, 3], "ours": [1, 1]}),
            json!({"event": "lost", "time": 1_764_336_003_000_u64, "events": 12}),
        ];
        let lines = |of: fn(&Value) -> String| {
            many.iter().map(|event| of(event) + "\n").collect::<String>()
        };
        crate::golden::check("gabport-watch-all", &lines(line));
        crate::golden::check("gabport-watch-all-json", &lines(Value::to_string));
        let event = json!({"event": "halt", "time": 5, "reason": "a\nb"});
        assert_eq!(line(&event), "0.005 halt reason a\\nb");
    }
}
