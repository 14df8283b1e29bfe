//! `gabport broadcast` and `send`.

use std::ffi::OsString;
use std::time::Duration;

use gab::client::Port;
use gab::event::SendError;
use gab::limits::MESSAGE_MAX;
use gab::{ClientEvent, Level};
use llt::NodeId;
use rustix::event::{PollFd, PollFlags};

use super::bytes_of;
use super::listener::Deadline;
use crate::common::Failure;

/// The bytes of a message on the command line.
pub(super) fn message(text: &OsString) -> Result<Vec<u8>, Failure> {
    let bytes = bytes_of(text);
    if bytes.len() > MESSAGE_MAX {
        return Err(Failure::Usage(format!(
            "the message has {} bytes; at most {MESSAGE_MAX} fit",
            bytes.len()
        )));
    }
    Ok(bytes)
}

/// Waits until the port has a membership that `node`, if any, belongs to.
pub(super) fn wait_for_member(
    port: &mut Port,
    node: Option<NodeId>,
    timeout: Duration,
) -> Result<(), Failure> {
    let deadline = Deadline::after(timeout);
    loop {
        let left = deadline.left();
        match port.recv_timeout(left) {
            Some(ClientEvent::Closed(reason)) => return Err(Failure::because(&reason)),
            Some(ClientEvent::View(view))
                if node.is_none_or(|node| view.members.contains(node)) =>
            {
                return Ok(());
            }
            Some(_) => {}
            None if left.is_zero() => {
                return Err(Failure::operation(match node {
                    Some(node) => format!("node {node} has no client on the port"),
                    None => "the port has no membership: the cluster is not seeded".to_owned(),
                }));
            }
            None => {}
        }
    }
}

/// Sends one message, to `node` or to all.
pub(super) fn send_one(
    port: &mut Port,
    payload: impl AsRef<[u8]>,
    node: Option<NodeId>,
    level: Level,
) -> Result<(), Failure> {
    let payload = payload.as_ref();
    loop {
        let sent = match node {
            Some(node) => port.try_send_to(node, payload, false),
            None => port.try_broadcast(payload, level, true),
        };
        match sent {
            Ok(()) => return Ok(()),
            Err(SendError::WouldBlock) => {
                // Room comes when others have read; we must not be the one who does not.
                port.wait(None);
                drain(port)?;
            }
            Err(error @ (SendError::Closed | SendError::NotMember | SendError::TooLarge)) => {
                drain(port)?;
                return Err(Failure::because(&error));
            }
        }
    }
}

/// Broadcasts each line of stdin, and receives meanwhile, so that an idle terminal stops nobody.
pub(super) fn send_lines(port: &mut Port, level: Level) -> Result<(), Failure> {
    let mut lines = Lines::default();
    let stdin = std::io::stdin();
    loop {
        let mut fds = [PollFd::new(&*port, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
        let ready = rustix::event::poll(&mut fds, None);
        let readable = ready.is_ok() && !fds[1].revents().is_empty();
        drain(port)?;
        if !readable {
            continue;
        }
        // The lock's own buffer is passed by: a poll does not see what lies in it.
        let mut chunk = vec![0; CHUNK];
        let len = match rustix::io::read(&stdin, chunk.as_mut_slice()) {
            Ok(len) => len,
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => continue,
            Err(errno) => {
                let error = std::io::Error::from(errno);
                return Err(Failure::operation(format!("cannot read stdin: {error}")));
            }
        };
        if len == 0 {
            if let Some(last) = lines.rest()? {
                send_one(port, last, None, level)?;
            }
            return Ok(());
        }
        lines.push(&chunk[..len]);
        while let Some(line) = lines.next_line()? {
            send_one(port, line, None, level)?;
        }
        port.flush().or_else(|_| drain(port))?;
    }
}

/// Receives what there is; fails if GAB closed the port.
fn drain(port: &mut Port) -> Result<(), Failure> {
    while let Some(event) = port.try_recv() {
        if let ClientEvent::Closed(reason) = event {
            return Err(Failure::because(&reason));
        }
    }
    Ok(())
}

/// Cuts a stream of bytes into lines of at most a message each.
#[derive(Default)]
struct Lines {
    buffer: Vec<u8>,
    /// Where the next line starts, and how far there is no line end.
    start: usize,
    seen: usize,
    number: u64,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.seen -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line, without its end.
    fn next_line(&mut self) -> Result<Option<&[u8]>, Failure> {
        let end = self.buffer[self.seen..].iter().position(|&byte| byte == b'\n');
        let end = end.map_or(self.buffer.len(), |end| self.seen + end);
        self.check(end - self.start)?;
        if end == self.buffer.len() {
            self.seen = end;
            return Ok(None);
        }
        let line = self.start..end;
        self.start = end + 1;
        self.seen = self.start;
        self.number += 1;
        Ok(Some(&self.buffer[line]))
    }

    /// The last line, if it has no end.
    fn rest(&self) -> Result<Option<&[u8]>, Failure> {
        let rest = &self.buffer[self.start..];
        self.check(rest.len())?;
        Ok(if rest.is_empty() { None } else { Some(rest) })
    }

    fn check(&self, len: usize) -> Result<(), Failure> {
        if len <= MESSAGE_MAX {
            return Ok(());
        }
        let number = self.number + 1;
        Err(Failure::operation(format!("line {number} has more than {MESSAGE_MAX} bytes")))
    }
}

const CHUNK: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        for chunk in chunks {
            lines.push(chunk);
            while let Some(line) = lines.next_line().unwrap() {
                out.push(line.to_vec());
            }
        }
        out.extend(lines.rest().unwrap().map(<[u8]>::to_vec));
        out
    }

    #[test]
    fn lines_are_cut_wherever_the_chunks_end() {
        let expected: [&[u8]; 4] = [b"one", b"", b"three\r", b"last"];
        assert_eq!(cut(&[b"one\n\nthree\r\nlast"]), expected);
        assert_eq!(cut(&[b"on", b"e", b"\n", b"\nthr", b"ee\r\nla", b"st"]), expected);
        assert_eq!(cut(&[b"one\n"]), [b"one"]);
        assert!(cut(&[]).is_empty());
    }

    #[test]
    fn a_line_of_a_message_fits_and_one_more_byte_does_not() {
        let mut lines = Lines::default();
        lines.push(b"short\n");
        assert!(lines.next_line().unwrap().is_some());
        lines.push(&vec![b'x'; MESSAGE_MAX]);
        assert!(lines.next_line().unwrap().is_none());
        assert_eq!(lines.rest().unwrap().map(<[u8]>::len), Some(MESSAGE_MAX));
        lines.push(b"x");
        let error = lines.next_line().unwrap_err();
        assert_eq!(error.to_string(), "line 2 has more than 65536 bytes");
    }
}
