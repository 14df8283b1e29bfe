//! `gabport -p PORT` without a subcommand: the block of the original (facts 2.12).

use std::fmt::Write as _;

use gab::admin::PortInfo;
use serde_json::{Value, json};

/// Who is on a port, and how the heartbeats of its supervised client come.
pub fn info(port: &PortInfo) -> String {
    let PortInfo { port: letter, flags, members, heartbeat_ms, warn_ms, buckets } = port;
    let mut out = format!("Port {letter} Information:\n{}\n", "=".repeat(56));
    let members = format!("Membership:     {}", members.join(" "));
    let _ = writeln!(out, "Flags:          {flags:#x}\n{}", members.trim_end());
    for (label, ms) in [("heartbeat timeout:", heartbeat_ms), ("heartbeat warn interval:", warn_ms)]
    {
        let width = FIGURES_END - label.len();
        let _ = writeln!(out, "{label}{ms:>width$} (msec)");
    }
    let _ = writeln!(out, "heartbeat statistics:");
    for ((from, to), count) in bounds(*heartbeat_ms).zip(buckets) {
        let _ = writeln!(out, "{from:>6} ~ {to:>6} (msec): {count}");
    }
    out
}

/// The answer to `-h MS` and `-d`.
pub fn changed(port: &str, ms: u64) -> String {
    format!("Port {port} new heartbeat timeout:{ms:>11} msecs\n")
}

/// The same with `--json`.
pub(super) fn changed_json(port: &str, ms: u64) -> Value {
    json!({"port": port, "heartbeat_ms": ms})
}

/// The fifths of a timeout.
fn bounds(timeout: u64) -> impl Iterator<Item = (u64, u64)> {
    let bound = move |fifth| timeout.saturating_mul(fifth) / 5;
    (0..5).map(move |fifth| (bound(fifth), bound(fifth + 1)))
}

/// Where the figures of the upper part end.
const FIGURES_END: usize = 34;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn a_port_looks_as_in_the_original() {
        let port = PortInfo {
            port: "h".into(),
            flags: 9,
            members: ["gab01", "gab02", "gab04"].map(str::to_owned).into(),
            buckets: [4177, 0, 0, 12, 1],
            ..PortInfo::unsupervised("h")
        };
        golden::check("gabport", &info(&port));
        golden::check_json("gabport-json", &port);
        let uneven = PortInfo { heartbeat_ms: 1001, ..PortInfo::unsupervised("A") };
        golden::check("gabport-nobody", &info(&uneven));
    }

    #[test]
    fn another_timeout_is_told_and_the_one_of_the_client_again() {
        golden::check("gabport-h", &changed("h", 16_000));
        golden::check_json("gabport-h-json", &changed_json("h", 16_000));
        let own = PortInfo::unsupervised("h").heartbeat_ms;
        golden::check("gabport-d", &changed("h", own));
        golden::check_json("gabport-d-json", &changed_json("h", own));
    }
}
