//! What becomes of clients, in the words of the original (facts 2.12, 2.15).

use crate::core::{ClientId, Notice};

/// The lines of a notice about a client, each with whether it is a warning; `None` for all others.
pub(super) fn lines(
    notice: &Notice,
    pid: impl Fn(ClientId) -> Option<i32>,
) -> Option<Vec<(bool, String)>> {
    let process = |client| pid(client).map_or_else(|| "unknown".to_owned(), |pid| pid.to_string());
    Some(match notice {
        Notice::ClientClosed { port, reason } => {
            let text = format!("Port {port} isolated due to client process failure");
            vec![
                (true, format!("GAB WARNING V-15-1-20138 {text}")),
                (false, format!("GAB INFO Port {port}: {reason}")),
            ]
        }
        Notice::ClientFailed { client, port, timeout, beats } => {
            let (process, ms) = (process(*client), timeout.as_millis());
            let text = format!("Port {port} process {process}: heartbeat failed, killing process");
            let mut lines = vec![
                (true, format!("GAB WARNING V-15-1-20058 {text}")),
                (
                    false,
                    format!(
                        "GAB INFO V-15-1-20059 Port {port} heartbeat interval {ms} msec. Statistics:"
                    ),
                ),
            ];
            let fifth = ms / 5;
            lines.extend((0u128..).zip(beats).map(|(at, count)| {
                let (from, to) = (at * fifth, (at + 1) * fifth);
                let text = format!("Port {port}: heartbeats in {from} ~ {to} msec: {count}");
                (false, format!("GAB INFO V-15-1-20129 {text}"))
            }));
            lines
        }
        Notice::ClientKilled { client, port, reason } => {
            let text = format!("Port {port} process {}: {reason}", process(*client));
            vec![(true, format!("GAB WARNING {text}; it is killed, for it is of the kernel type"))]
        }
        Notice::ClientInactive { client, port, seconds } => {
            let process = process(*client);
            let text = format!("Port {port} process {process} inactive {seconds} sec");
            vec![(true, format!("GAB WARNING V-15-1-20057 {text}"))]
        }
        Notice::RegistrationExpected { port, left, halt } => {
            let action = if *halt { "the node halts" } else { "it is only told" };
            let text =
                format!("process died and is expected to register within {} sec", left.as_secs());
            vec![(true, format!("GAB WARNING Port {port}: {text}, else {action}"))]
        }
        Notice::RegistrationMissed { port } => {
            let text = "process died and did not register again in time";
            vec![(true, format!("GAB WARNING Port {port}: {text}"))]
        }
        Notice::Dump(_)
        | Notice::Ejected { .. }
        | Notice::Jeopardy { .. }
        | Notice::Llt(_)
        | Notice::Membership { .. }
        | Notice::PortClosed { .. }
        | Notice::ProtocolError { .. }
        | Notice::QuorumDiffers { .. }
        | Notice::QuorumLost { .. }
        | Notice::Returned { .. }
        | Notice::SeededByHand { .. }
        | Notice::SlowMember { .. }
        | Notice::Stalled { .. }
        | Notice::StuckMember { .. }
        | Notice::TooManyChanges { .. }
        | Notice::VersionRefused { .. }
        | Notice::Visible { .. }
        | Notice::WaitingForSeed { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use llt::Duration;

    use super::*;
    use crate::event::CloseReason;
    use crate::ids::PortName;

    #[test]
    fn the_end_of_a_client_reads_as_in_the_original() {
        let port = PortName::new('h').unwrap();
        let client = ClientId(3);
        let read = |notice: Notice| {
            let lines = lines(&notice, |id| (id == client).then_some(2305)).unwrap();
            lines.into_iter().map(|(_, text)| text).collect::<Vec<_>>()
        };
        assert_eq!(
            read(Notice::ClientInactive { client, port, seconds: 7 }),
            ["GAB WARNING V-15-1-20057 Port h process 2305 inactive 7 sec"]
        );
        let timeout = Duration::from_secs(30);
        let beats = [332_527_539, 0, 1, 0, 0];
        assert_eq!(
            read(Notice::ClientFailed { client, port, timeout, beats })[..4],
            [
                "GAB WARNING V-15-1-20058 Port h process 2305: heartbeat failed, killing process",
                "GAB INFO V-15-1-20059 Port h heartbeat interval 30000 msec. Statistics:",
                "GAB INFO V-15-1-20129 Port h: heartbeats in 0 ~ 6000 msec: 332527539",
                "GAB INFO V-15-1-20129 Port h: heartbeats in 6000 ~ 12000 msec: 0",
            ]
        );
        assert_eq!(
            read(Notice::ClientClosed { port, reason: CloseReason::NoHeartbeat }),
            [
                "GAB WARNING V-15-1-20138 Port h isolated due to client process failure",
                "GAB INFO Port h: the client had no heartbeat",
            ]
        );
        let left = Duration::from_secs(185);
        assert_eq!(
            read(Notice::RegistrationExpected { port, left, halt: true }),
            ["GAB WARNING Port h: process died and is expected to register within 185 sec, else \
              the node halts"]
        );
    }
}
