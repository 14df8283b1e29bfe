//! `lltstat -p`, `-P`: the LLT ports.

use std::fmt::Write as _;

use gab::snapshot::{LltPortSnapshot, LltSnapshot};

/// `lltstat -p` (facts 1.11): each port with the nodes it may reach and those it does reach.
pub fn ports(llt: &LltSnapshot) -> String {
    let mut out = String::from(HEADER);
    for port in &llt.ports {
        let _ = writeln!(out, "{}", line(port));
        let _ = writeln!(out, "           opens:    {}", nodes(&port.opens));
        let _ = writeln!(out, "           connects: {}", nodes(&port.connects));
    }
    trim(&out)
}

/// `lltstat -P`: the ports in use, a line each.
pub fn ports_in_use(llt: &LltSnapshot) -> String {
    let mut out = String::from(HEADER);
    for port in &llt.ports {
        let _ = writeln!(out, "{}", line(port));
    }
    out
}

fn line(port: &LltPortSnapshot) -> String {
    // The cookie of the original is a number of its driver; it shows the port's.
    format!("{:>7}    {:<9} {:#X}", port.port, port.usage, port.port).replace("0X", "0x")
}

fn nodes(nodes: &[u8]) -> String {
    nodes.iter().map(u8::to_string).collect::<Vec<_>>().join(" ")
}

/// Without the blanks at the ends of lines.
fn trim(text: &str) -> String {
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

const HEADER: &str = "LLT port information:\n    Port  Usage   Cookie\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    fn llt() -> LltSnapshot {
        let port = |port, usage: &str, connects: &[u8]| LltPortSnapshot {
            port,
            usage: usage.into(),
            opens: vec![0, 2, 3, 62, 63],
            connects: connects.to_vec(),
        };
        let ports = vec![port(0, "gab", &[0, 1]), port(7, "gab", &[0, 1]), port(31, "gab", &[])];
        LltSnapshot { ports, ..LltSnapshot::default() }
    }

    #[test]
    fn ports_look_as_in_the_original() {
        golden::check("lltstat-p", &ports(&llt()));
        golden::check_json("lltstat-p-json", &llt().ports);
    }

    #[test]
    fn ports_in_use_are_a_line_each() {
        golden::check("lltstat-ports-in-use", &ports_in_use(&llt()));
    }
}
