//! The event stream of a connection that reads it.

use bytes::Bytes;

use super::{Conn, Phase};
use crate::daemon::events;
use crate::ipc::Record;

impl Conn {
    /// Does it read events?
    pub(in crate::daemon) fn is_watching(&self) -> bool {
        self.watched.is_some() && self.phase == Phase::Open
    }

    /// Something happened. False if a slow reader has no room for it: that is counted, and told
    /// before the next event that there is room for.
    pub(in crate::daemon) fn event(&mut self, text: &str, wall_nanos: u64) -> bool {
        let queued = self.packer.queued_bytes();
        let (Some(lost), Phase::Open) = (&mut self.watched, self.phase) else { return true };
        if queued + text.len() > EVENT_QUEUE_BYTES {
            *lost += 1;
            return false;
        }
        let lost = std::mem::take(lost);
        if lost != 0 {
            let json = events::stamped(events::lost(lost), wall_nanos).into();
            self.packer.push(&Record::Event { json });
        }
        self.packer.push(&Record::Event { json: Bytes::copy_from_slice(text.as_bytes()) });
        true
    }
}

/// Bytes of events that wait for a reader: some thousands of them.
const EVENT_QUEUE_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType};

    use super::*;
    use crate::ipc::Reader;
    use crate::stack::ClientId;

    #[test]
    fn what_a_slow_reader_has_no_room_for_is_counted_and_told() {
        let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
        let (socket, _peer) =
            rustix::net::socketpair(AddressFamily::UNIX, kind, flags, None).unwrap();
        let mut conn = Conn::new(ClientId(1), socket);
        assert!(conn.event("{}", 0) && conn.packer.is_empty(), "nobody asked");
        conn.watched = Some(0);
        let text = format!("\"{}\"", "x".repeat(100_000));
        let taken = (0..14).filter(|_| conn.event(&text, 0)).count();
        assert_eq!(taken, 10);
        while conn.packer.pop().is_some() {}
        assert!(conn.event("{}", 3_000_000));
        let told: Vec<_> = Reader::new(conn.packer.pop().unwrap()).map(Result::unwrap).collect();
        let [Record::Event { json: lost }, Record::Event { json }] = &told[..] else {
            panic!("{told:?}")
        };
        let lost: serde_json::Value = serde_json::from_slice(lost).unwrap();
        assert_eq!(lost, serde_json::json!({"event": "lost", "events": 4, "time": 3}));
        assert_eq!(json, "{}");
    }
}
