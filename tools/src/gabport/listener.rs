//! `gabport listen` and `watch`.

use std::os::fd::AsFd;

use gab::ClientEvent;
use gab::client::Port;
use llt::io::clock::Clock;
use rustix::event::{PollFd, PollFlags, Timespec};

use super::{End, line};
use crate::common::{Failure, output};

/// What to print, and until when.
pub(super) struct Listen {
    /// `watch`.
    pub changes_only: bool,
    pub end: End,
}

/// Prints until the count or the time is reached, or GAB closes the port, which is a failure.
pub(super) fn listen(mut port: Port, listen: &Listen) -> Result<(), Failure> {
    let Listen { changes_only, end } = listen;
    let deadline = end.timeout.map(Deadline::after);
    let mut left = end.count;
    loop {
        let Some(event) = next(&mut port, deadline.as_ref())? else {
            return match left {
                Some(left) => Err(Failure::operation(format!("time is up; {left} did not come"))),
                None => Ok(()),
            };
        };
        let text = if *changes_only { line::of_watch(&event) } else { line::of_listen(&event) };
        let Some(text) = text else {
            continue;
        };
        let text = if end.json { line::of_json(&event).to_string() } else { text };
        output::print(&(text + "\n"))?;
        let counts = match event {
            ClientEvent::Closed(reason) => return Err(Failure::because(&reason)),
            ClientEvent::Deliver(_) => true,
            ClientEvent::Status(_) | ClientEvent::View(_) => *changes_only,
        };
        if counts {
            left = left.map(|left| left - 1);
        }
        if left == Some(0) {
            return Ok(());
        }
    }
}

/// The next event; `None` if time is up.
fn next(port: &mut Port, deadline: Option<&Deadline>) -> Result<Option<ClientEvent>, Failure> {
    loop {
        if let Some(event) = port.try_recv() {
            return Ok(Some(event));
        }
        if !wait(&*port, deadline)? {
            return Ok(None);
        }
    }
}

/// Waits until there may be something to read; false if time is up. Notices when nobody reads our
/// output any more.
pub(super) fn wait(source: &impl AsFd, deadline: Option<&Deadline>) -> Result<bool, Failure> {
    let left = deadline.map(Deadline::left);
    if left.is_some_and(|left| left.is_zero()) {
        return Ok(false);
    }
    let timeout = left.and_then(|left| Timespec::try_from(left).ok());
    let stdout = std::io::stdout();
    // Without interest in anything only an error is reported: the reader has gone.
    let mut fds = [PollFd::new(source, PollFlags::IN), PollFd::new(&stdout, PollFlags::empty())];
    if rustix::event::poll(&mut fds, timeout.as_ref()).is_ok()
        && fds[1].revents().contains(PollFlags::ERR)
    {
        return Err(Failure::ClosedOutput);
    }
    Ok(true)
}

/// A point in time.
pub(super) struct Deadline(llt::Instant);

impl Deadline {
    pub(super) fn after(time: llt::Duration) -> Self {
        Self(Clock::new().now() + time)
    }

    pub(super) fn left(&self) -> llt::Duration {
        self.0.since(Clock::new().now())
    }
}
