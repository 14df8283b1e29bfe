//! The event stream of a connection that reads it.

use bytes::Bytes;

use super::{Conn, EBUSY, Phase};
use crate::daemon::events;
use crate::ipc::Record;
use crate::limits::EVENT_READERS_MAX;

impl Conn {
    /// Does it read events?
    pub(in crate::daemon) fn is_watching(&self) -> bool {
        self.watched.is_some() && self.phase == Phase::Open
    }

    /// Too many read them already.
    pub(in crate::daemon) fn refuse_watching(&mut self) {
        self.watched = None;
        self.refuse(EBUSY, &format!("{EVENT_READERS_MAX} read the events of this node already"));
    }

    /// Something happened. False if a slow reader has no room for it: that is counted, and so is
    /// all that follows until it [has caught up](Self::has_caught_up).
    pub(in crate::daemon) fn event(&mut self, text: &str) -> bool {
        let queued = self.packer.queued_bytes();
        let (Some(lost), Phase::Open) = (&mut self.watched, self.phase) else { return true };
        if *lost > 0 || queued + text.len() > EVENT_QUEUE_BYTES {
            *lost += 1;
            return false;
        }
        self.packer.push(&Record::Event { json: Bytes::copy_from_slice(text.as_bytes()) });
        true
    }

    /// Has it missed events, and read what it did not miss?
    pub(in crate::daemon) fn has_caught_up(&self) -> bool {
        self.is_watching()
            && self.misses_events()
            && self.packer.is_empty()
            && self.sending.is_none()
    }

    /// Has it missed events, which it was not told?
    pub(in crate::daemon) fn misses_events(&self) -> bool {
        self.watched.is_some_and(|lost| lost > 0)
    }

    /// Says how many events it missed; what is told from here on it gets again.
    pub(in crate::daemon) fn resume_events(&mut self, wall_nanos: u64) {
        let lost = self.watched.as_mut().map_or(0, std::mem::take);
        if lost != 0 {
            let json = events::stamped(events::lost(lost), wall_nanos).into();
            self.packer.push(&Record::Event { json });
        }
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
        assert!(conn.event("{}") && conn.packer.is_empty(), "nobody asked");
        conn.watched = Some(0);
        let text = format!("\"{}\"", "x".repeat(100_000));
        let taken = (0..13).filter(|_| conn.event(&text)).count();
        assert_eq!(taken, 10);
        assert!(!conn.event("{}"), "there is room, but it would hide that some were lost");
        assert!(!conn.has_caught_up());
        while conn.packer.pop().is_some() {}
        assert!(conn.has_caught_up());
        conn.resume_events(3_000_000);
        assert!(!conn.has_caught_up() && conn.event("{}"));
        let told: Vec<_> = Reader::new(conn.packer.pop().unwrap()).map(Result::unwrap).collect();
        let [Record::Event { json: lost }, Record::Event { json }] = &told[..] else {
            panic!("{told:?}")
        };
        let lost: serde_json::Value = serde_json::from_slice(lost).unwrap();
        assert_eq!(lost, serde_json::json!({"event": "lost", "events": 4, "time": 3}));
        assert_eq!(json, "{}");
    }
}
