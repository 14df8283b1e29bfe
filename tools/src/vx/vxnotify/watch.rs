//! Listening to vxconfigd, and waiting for it when it is gone.

use std::time::Duration;

use cvm::client::ClientError;
use cvm::request::{Event, Reply, Request};
use llt::Instant;
use llt::io::Clock;
use rustix::event::{PollFd, PollFlags, Timespec};

use super::Wanted;
use super::line::Notice;
use crate::common::{Failure, Root};
use crate::vx::Daemon;

/// The events that somebody wants, as long as he wants them.
pub(super) struct Watch<S> {
    wanted: Wanted,
    show: S,
    clock: Clock,
    /// Events that are still to be told.
    left: Option<u64>,
    /// The time is over then.
    end: Option<Instant>,
    /// Quiet for so long is told.
    quiet: Option<Duration>,
    /// When it is told next; not again before something else happened.
    quiet_at: Option<Instant>,
    is_connected: bool,
}

/// Why listening ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// vxconfigd is gone.
    Lost,
    /// All is told, or the time is over.
    Over,
}

/// What waiting ended with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Woken {
    Readable,
    Time,
}

impl<S: FnMut(&Notice) -> Result<(), Failure>> Watch<S> {
    pub(super) fn new(
        wanted: Wanted,
        left: Option<u64>,
        timeout: Option<Duration>,
        quiet: Option<Duration>,
        show: S,
    ) -> Self {
        let clock = Clock::new();
        let end = timeout.map(|timeout| clock.now() + timeout);
        Self { wanted, show, clock, left, end, quiet, quiet_at: None, is_connected: false }
    }

    /// Tells events until all are told, or the time is over.
    ///
    /// # Errors
    /// If vxconfigd says something else, or nobody reads what is told.
    pub(super) fn run(mut self, mut daemon: Daemon, root: &Root) -> Result<(), Failure> {
        while self.listen(&mut daemon)? == End::Lost {
            match self.reconnect(root)? {
                Some(again) => daemon = again,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    fn listen(&mut self, daemon: &mut Daemon) -> Result<End, Failure> {
        let mut reply = daemon.client().request(&Request::Events);
        loop {
            match reply {
                Ok(Reply::Event(event)) => {
                    if self.tell(event)? {
                        return Ok(End::Over);
                    }
                }
                Ok(Reply::Failed(failure)) => {
                    return Err(Failure::Operation { id: failure.id, text: failure.text });
                }
                Ok(other) => {
                    let text = format!("vxconfigd answered with something else: {other:?}");
                    return Err(Failure::operation(text));
                }
                Err(ClientError::Broken { .. }) => return self.lost(),
                Err(error) => return Err(error.into()),
            }
            while self.wait(Some(daemon), self.quiet_at)? == Woken::Time {
                if self.is_over() {
                    return Ok(End::Over);
                }
                if self.quiet_at.is_some_and(|at| at <= self.clock.now()) {
                    self.quiet_at = None;
                    (self.show)(&Notice::Waiting)?;
                }
            }
            reply = daemon.client().answer();
        }
    }

    fn lost(&mut self) -> Result<End, Failure> {
        if std::mem::take(&mut self.is_connected) {
            (self.show)(&Notice::Disconnected)?;
        }
        self.quiet_at = None;
        Ok(End::Lost)
    }

    /// True if that was the last one.
    fn tell(&mut self, event: Event) -> Result<bool, Failure> {
        if !self.wanted.has(&event) {
            return Ok(false);
        }
        let is_ours = event == Event::Connected;
        self.is_connected = true;
        (self.show)(&Notice::Event(event))?;
        self.quiet_at = self.quiet.map(|quiet| self.clock.now() + quiet);
        if let Some(left) = self.left.as_mut().filter(|_| !is_ours) {
            *left -= 1;
        }
        Ok(self.left == Some(0))
    }

    /// Looks now and then whether vxconfigd is back; nothing if the time is over.
    fn reconnect(&mut self, root: &Root) -> Result<Option<Daemon>, Failure> {
        loop {
            let next = self.clock.now() + RETRY;
            self.wait(None, Some(next))?;
            if self.is_over() {
                return Ok(None);
            }
            match Daemon::connect(root) {
                Ok(daemon) => return Ok(Some(daemon)),
                Err(Failure::NoDaemon(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
    }

    fn is_over(&self) -> bool {
        self.end.is_some_and(|end| end <= self.clock.now())
    }

    /// Waits until vxconfigd says something, or that time or the end has come; but no longer than
    /// somebody reads what is told.
    fn wait(&self, daemon: Option<&mut Daemon>, until: Option<Instant>) -> Result<Woken, Failure> {
        let until = until.into_iter().chain(self.end).min();
        let left = until.map(|until| until.since(self.clock.now()));
        let left = left.map(Timespec::try_from).transpose().map_err(|e| Failure::because(&e))?;
        let stdout = std::io::stdout();
        // Asked for nothing, it tells only that the other end was closed.
        let mut fds = vec![PollFd::new(&stdout, PollFlags::empty())];
        let client = daemon.map(|daemon| &*daemon.client());
        fds.extend(client.map(|client| PollFd::new(client, PollFlags::IN)));
        match rustix::event::poll(&mut fds, left.as_ref()) {
            Ok(_) if fds.first().is_some_and(|stdout| !stdout.revents().is_empty()) => {
                Err(Failure::ClosedOutput)
            }
            Ok(0) => Ok(Woken::Time),
            Ok(_) => Ok(Woken::Readable),
            // A signal is none of our business; whoever waits looks at the clock.
            Err(rustix::io::Errno::INTR) => Ok(Woken::Time),
            Err(error) => Err(Failure::because(&error)),
        }
    }
}

/// How often it is looked whether vxconfigd is back.
const RETRY: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::Path;

    use clap::{Args, Command, FromArgMatches};
    use cvm::client::{socket_path, write_message};
    use cvm::request::EventGroup;

    use super::*;

    fn root(path: &Path) -> Root {
        let command = Root::augment_args(Command::new("x").no_binary_name(true));
        let matches = command.get_matches_from([Path::new("--root"), path]);
        Root::from_arg_matches(&matches).unwrap()
    }

    fn wanted() -> Wanted {
        Wanted {
            cluster: true,
            disks: true,
            lost_disks: true,
            lost_plexes: true,
            lost_volumes: true,
            imports: true,
            changes: true,
            group: None,
        }
    }

    fn imported() -> Event {
        Event::Imported(EventGroup { name: "mydg".to_owned(), id: "1.2.host1".to_owned() })
    }

    /// A vxconfigd that says these events to the next who asks.
    fn says(listener: &UnixListener, events: &[Event]) -> UnixStream {
        let (mut socket, _) = listener.accept().unwrap();
        for event in events {
            let reply = serde_json::to_vec(&Reply::Event(event.clone())).unwrap();
            write_message(&mut socket, &reply).unwrap();
        }
        socket
    }

    /// What is told of a vxconfigd that said these events; and how it ended.
    fn told(
        events: &[Event],
        is_lost: bool,
        left: Option<u64>,
        quiet: Option<Duration>,
    ) -> (String, End) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("run")).unwrap();
        let listener = UnixListener::bind(socket_path(folder.path())).unwrap();
        let mut daemon = Daemon::connect(&root(folder.path())).unwrap();
        let socket = says(&listener, events);
        if is_lost {
            socket.shutdown(std::net::Shutdown::Write).unwrap();
        }
        let mut text = String::new();
        let show = |notice: &Notice| {
            text += &notice.text();
            Ok(())
        };
        let timeout = Some(Duration::from_millis(50));
        let end = Watch::new(wanted(), left, timeout, quiet, show).listen(&mut daemon).unwrap();
        (text, end)
    }

    #[test]
    fn events_are_told_until_the_number_is_reached() {
        let events = [Event::Connected, imported(), imported(), imported()];
        let line = "import dg mydg dgid 1.2.host1\n";
        let two = (format!("connected\n{line}{line}"), End::Over);
        assert_eq!(told(&events, false, Some(2), None), two);
    }

    #[test]
    fn the_time_ends_it_and_quiet_is_told_once() {
        assert_eq!(told(&[Event::Connected], false, None, None), ("connected\n".into(), End::Over));
        let quiet = Some(Duration::from_millis(5));
        let text = "connected\nwaiting ...\n".to_owned();
        assert_eq!(told(&[Event::Connected], false, Some(1), quiet), (text, End::Over));
    }

    #[test]
    fn a_vxconfigd_that_is_gone_is_told_and_looked_for_until_the_time_is_over() {
        let text = "connected\ndisconnected\n".to_owned();
        assert_eq!(told(&[Event::Connected], true, None, None), (text, End::Lost));
        // It was never heard: nothing is told of its loss.
        assert_eq!(told(&[], true, None, None), (String::new(), End::Lost));
        let folder = tempfile::tempdir().unwrap();
        let timeout = Some(Duration::from_millis(20));
        let mut watch = Watch::new(wanted(), None, timeout, None, |_: &Notice| Ok(()));
        assert!(watch.reconnect(&root(folder.path())).unwrap().is_none());
    }
}
