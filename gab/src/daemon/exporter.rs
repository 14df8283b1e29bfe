//! Serves the metrics: `GET /metrics` over HTTP/1.0 on `run/metrics.sock`, and on a TCP address if
//! one is given.
//!
//! It is a thread of its own: neither a log disk that hangs nor a slow scraper is in anybody's way.
//! Of the reactor it wants nothing but a copy of its state, once per scrape.

use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use crossbeam::channel::{self, Receiver};
use llt::Instant;
use llt::io::Clock;
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType};

use crate::daemon::files::Files;
use crate::daemon::housekeeping::Progress;
use crate::daemon::listener;
use crate::daemon::metrics::{self, Board};

/// The thread, as its owner sees it.
#[derive(Debug)]
pub(super) struct Exporter {
    /// Closed to end it.
    stop: Option<UnixStream>,
    done: Receiver<()>,
    path: PathBuf,
}

impl Exporter {
    /// Listens and starts the thread. Call only with the lock of the root.
    ///
    /// # Errors
    /// One of the addresses cannot be had.
    pub(super) fn start(
        clock: Clock,
        files: &Files,
        tcp: Option<SocketAddr>,
        progress: Arc<Mutex<Progress>>,
        board: Arc<Board>,
    ) -> anyhow::Result<Self> {
        let path = files.metrics();
        let mut listeners = vec![listener::listen(&path, SocketType::STREAM, VISITORS_MAX)?];
        if let Some(address) = tcp {
            let tcp = TcpListener::bind(address)
                .with_context(|| format!("cannot serve metrics on {address}"))?;
            tcp.set_nonblocking(true)?;
            let address = tcp.local_addr().unwrap_or(address);
            tracing::info!("metrics are served on {address}");
            if !address.ip().is_loopback() {
                tracing::warn!(
                    "metrics are served on {address} to whoever asks: nothing but a firewall keeps \
                     anybody from reading them"
                );
            }
            listeners.push(tcp.into());
        }
        let (stop, stopped) = UnixStream::pair()?;
        stopped.set_nonblocking(true)?;
        let (finished, done) = channel::bounded(1);
        let (visitors, starved) = (Vec::new(), None);
        let mut server = Server { clock, listeners, stopped, progress, board, visitors, starved };
        std::thread::Builder::new().name("metrics".into()).spawn(move || {
            server.run();
            let _ = finished.send(());
        })?;
        Ok(Self { stop: Some(stop), done, path })
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.stop = None;
        let _ = self.done.recv_timeout(STOP_MAX);
        // Scrapers must not find a socket that nobody answers.
        let _ = fs::remove_file(&self.path);
    }
}

struct Server {
    clock: Clock,
    listeners: Vec<OwnedFd>,
    stopped: UnixStream,
    progress: Arc<Mutex<Progress>>,
    board: Arc<Board>,
    visitors: Vec<Visitor>,
    /// There was no descriptor for a scraper: until then nobody is let in.
    starved: Option<Instant>,
}

/// One scraper.
struct Visitor {
    socket: OwnedFd,
    /// It has so long for everything.
    until: Instant,
    state: State,
}

enum State {
    /// Its request.
    Reading(Vec<u8>),
    /// The reactor was asked then.
    Waiting(Instant),
    /// The answer, and how much of it is sent.
    Writing(Vec<u8>, usize),
    /// To be removed.
    Done,
}

impl Server {
    fn run(&mut self) {
        loop {
            let now = self.clock.now();
            if self.starved.is_some_and(|until| until <= now) {
                self.starved = None;
            }
            if !self.wait(now) || matches!(self.stopped.read(&mut [0]), Ok(0)) {
                return;
            }
            let now = self.clock.now();
            self.accept(now);
            for visitor in &mut self.visitors {
                visitor.go_on(now, &self.board, &self.progress);
            }
            self.visitors.retain(|visitor| !matches!(visitor.state, State::Done));
        }
    }

    /// Is anybody let in?
    fn is_open(&self) -> bool {
        self.visitors.len() < VISITORS_MAX && self.starved.is_none()
    }

    /// Waits until there may be something to do; false if that is impossible.
    fn wait(&self, now: Instant) -> bool {
        let mut fds = vec![PollFd::new(&self.stopped, PollFlags::IN)];
        if self.is_open() {
            fds.extend(self.listeners.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
        }
        let mut until = self.starved;
        for visitor in &self.visitors {
            // One that waits and hangs up is not looked at until then: it would report itself all the
            // time, and there is no answer yet.
            if let State::Waiting(_) = visitor.state {
                let limit = visitor.until.min(now + LOOK_EVERY);
                until = Some(until.map_or(limit, |until| until.min(limit)));
                continue;
            }
            let (interest, limit) = match visitor.state {
                State::Reading(_) => (PollFlags::IN, visitor.until),
                State::Waiting(_) | State::Writing(..) | State::Done => {
                    (PollFlags::OUT, visitor.until)
                }
            };
            until = Some(until.map_or(limit, |until| until.min(limit)));
            fds.push(PollFd::new(&visitor.socket, interest));
        }
        let timeout = until.and_then(|until| Timespec::try_from(until.since(now)).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => true,
            Err(error) => {
                tracing::error!("metrics are not served any more: {error}");
                false
            }
        }
    }

    fn accept(&mut self, now: Instant) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        for at in 0..self.listeners.len() {
            while self.is_open() {
                match rustix::net::accept_with(&self.listeners[at], flags) {
                    Ok(socket) => self.visitors.push(Visitor {
                        socket,
                        until: now + VISIT_MAX,
                        state: State::Reading(Vec::new()),
                    }),
                    Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                        self.starved = Some(now + VISIT_MAX);
                    }
                    // Nobody waits, or it is gone again.
                    Err(_) => break,
                }
            }
        }
    }
}

impl Visitor {
    fn go_on(&mut self, now: Instant, board: &Board, progress: &Mutex<Progress>) {
        if let State::Reading(head) = &mut self.state
            && let Some(next) = read(&self.socket, head)
        {
            self.state = next.map_or_else(State::from, |()| {
                let is_fresh = board.latest().is_some_and(|last| now.since(last.at) < FRESH);
                if is_fresh {
                    return State::Waiting(Instant::ZERO);
                }
                board.ask();
                State::Waiting(now)
            });
        }
        if let State::Waiting(since) = self.state {
            let latest = board.latest();
            let is_news = latest.as_ref().is_some_and(|latest| latest.at >= since);
            if is_news || now.since(since) >= ANSWER_MAX {
                self.state = match latest {
                    Some(published) => {
                        let progress = *progress.lock();
                        let text = metrics::text(now.max(published.at), &published, &progress);
                        State::Writing(answer("200 OK", TEXT, &text), 0)
                    }
                    None => State::from(Refusal::NOT_READY),
                };
            }
        }
        if let State::Writing(out, sent) = &mut self.state
            && write(&self.socket, out, sent)
        {
            self.state = State::Done;
        }
        if self.until <= now {
            self.state = State::Done;
        }
    }
}

/// Why a request is not answered with metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Refusal {
    status: &'static str,
    text: &'static str,
}

impl Refusal {
    const MALFORMED: Self = Self {
        status: "400 Bad Request",
        text: "expected GET /metrics HTTP/1.0 and an empty line within 4096 bytes\n",
    };
    const NOT_FOUND: Self = Self { status: "404 Not Found", text: "only /metrics is here\n" };
    const NOT_GET: Self =
        Self { status: "405 Method Not Allowed\r\nAllow: GET", text: "expected GET\n" };
    const NOT_READY: Self =
        Self { status: "503 Service Unavailable", text: "gabd did not answer in time\n" };
}

impl From<Refusal> for State {
    fn from(refusal: Refusal) -> Self {
        Self::Writing(answer(refusal.status, "text/plain; charset=utf-8", refusal.text), 0)
    }
}

/// Reads what has come; `None` while the request is not whole.
fn read(socket: &OwnedFd, head: &mut Vec<u8>) -> Option<Result<(), Refusal>> {
    let mut buffer = [0; 1024];
    loop {
        match rustix::net::recv(socket, &mut buffer, RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN) => return judge(head),
            Err(Errno::INTR) => {}
            // It has said all that it will.
            Ok((0, _)) | Err(_) => return judge(head).or(Some(Err(Refusal::MALFORMED))),
            Ok((len, _)) => {
                head.extend_from_slice(&buffer[..len]);
                if head.len() > REQUEST_MAX {
                    return Some(Err(Refusal::MALFORMED));
                }
            }
        }
    }
}

/// Looks at a request; `None` while it is not whole.
fn judge(head: &[u8]) -> Option<Result<(), Refusal>> {
    let ends = |end: &[u8]| head.windows(end.len()).any(|part| part == end);
    if !ends(b"\r\n\r\n") && !ends(b"\n\n") {
        return (head.len() > REQUEST_MAX).then_some(Err(Refusal::MALFORMED));
    }
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else { return Some(Err(Refusal::MALFORMED)) };
    let words: Vec<&str> = line.trim_end_matches('\r').split(' ').collect();
    let [method, target, version] = words[..] else { return Some(Err(Refusal::MALFORMED)) };
    let path = target.split('?').next().unwrap_or_default();
    Some(match (method, path) {
        _ if !version.starts_with("HTTP/1.") || !target.starts_with('/') => Err(Refusal::MALFORMED),
        ("GET", "/metrics") => Ok(()),
        ("GET", _) => Err(Refusal::NOT_FOUND),
        _ => Err(Refusal::NOT_GET),
    })
}

fn answer(status: &str, kind: &str, text: &str) -> Vec<u8> {
    let head = format!(
        "HTTP/1.0 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        text.len()
    );
    (head + text).into_bytes()
}

/// Sends what the socket takes. True if all is said, or nobody listens.
fn write(socket: &OwnedFd, out: &[u8], sent: &mut usize) -> bool {
    while *sent < out.len() {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match rustix::net::send(socket, &out[*sent..], flags) {
            Ok(len) => *sent += len,
            Err(Errno::AGAIN) => return false,
            Err(Errno::INTR) => {}
            Err(_) => return true,
        }
    }
    // What is closed with something unread resets the connection, and hides what was sent.
    let _ = rustix::net::shutdown(socket.as_fd(), Shutdown::Write);
    let mut rest = [0; 1024];
    while let Ok((1.., _)) = rustix::net::recv(socket, &mut rest, RecvFlags::DONTWAIT) {}
    true
}

/// The exposition format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Scrapers at once; others wait until one is done, which takes [`VISIT_MAX`] at most.
const VISITORS_MAX: usize = 8;
/// A scraper has so long for its request and the answer together.
const VISIT_MAX: Duration = Duration::from_secs(1);
/// The reactor has so long; then what it said before is told again, with its age.
const ANSWER_MAX: Duration = Duration::from_millis(500);
/// How often is looked for an answer of the reactor.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// What is younger needs no other: whoever scrapes without a pause does not keep the reactor busy.
const FRESH: Duration = Duration::from_millis(100);
/// The longest request.
const REQUEST_MAX: usize = 4096;
/// How long the end waits for the thread.
const STOP_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_understood_or_refused_for_what_is_wrong() {
        let long = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(REQUEST_MAX));
        for (request, judged) in [
            ("GET /metrics HTTP/1.0\r\n\r\n", Some(Ok(()))),
            ("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n", Some(Ok(()))),
            ("GET /metrics?x=1 HTTP/1.1\n\n", Some(Ok(()))),
            ("GET /metrics HTTP/1.0\r\n", None),
            ("", None),
            ("GET / HTTP/1.0\r\n\r\n", Some(Err(Refusal::NOT_FOUND))),
            ("GET /metrics/x HTTP/1.0\r\n\r\n", Some(Err(Refusal::NOT_FOUND))),
            ("POST /metrics HTTP/1.0\r\n\r\n", Some(Err(Refusal::NOT_GET))),
            ("GET /metrics\r\n\r\n", Some(Err(Refusal::MALFORMED))),
            ("GET metrics HTTP/1.0\r\n\r\n", Some(Err(Refusal::MALFORMED))),
            ("GET /metrics HTTP/2.0\r\n\r\n", Some(Err(Refusal::MALFORMED))),
            ("\r\n\r\n", Some(Err(Refusal::MALFORMED))),
            (&long, Some(Err(Refusal::MALFORMED))),
        ] {
            assert_eq!(judge(request.as_bytes()), judged, "{request:?}");
        }
        assert_eq!(judge(b"\xff\xfe / HTTP/1.0\n\n"), Some(Err(Refusal::MALFORMED)));
    }
}
