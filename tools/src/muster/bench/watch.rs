//! Watching the memberships of all nodes, with the moment at which each of them was told.
//!
//! A thread of its own reads the event streams, so that an event has its time even while somebody
//! else waits for a command. It needs no client on a port: what is timed is the membership of port a,
//! the earliest that a program on the node can know of.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gab::client::Watch;
use llt::Instant;
use rustix::event::{PollFd, PollFlags};
use serde_json::Value;

use super::super::cluster::Cluster;
use super::super::wait;

/// Reads the event streams of all nodes until it is dropped.
#[derive(Debug)]
pub(super) struct Watchers {
    shared: Arc<Mutex<Shared>>,
    thread: Option<JoinHandle<()>>,
}

/// Something that a node told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Seen {
    /// Which node.
    pub(super) node: u8,
    /// When it was read here, on the monotonic clock.
    pub(super) at: Instant,
    /// What.
    pub(super) what: What,
}

/// What a node can tell of interest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum What {
    /// One of its links is in trouble to somebody: at once if the device has lost the carrier.
    Trouble(u8),
    /// It has taken this peer for gone.
    Lost(u8),
    /// Members of its port a.
    Members(Vec<u8>),
}

#[derive(Debug, Default)]
struct Shared {
    /// Nodes whose daemon is about to come.
    expected: BTreeMap<u8, PathBuf>,
    seen: Vec<Seen>,
    /// The newest members of port a, by node.
    members: BTreeMap<u8, Vec<u8>>,
    over: bool,
}

/// How long a reader waits for events before it looks whether it is still needed.
const LOOK_AFTER: Duration = Duration::from_millis(20);
/// The same while a daemon is expected whose socket is not there.
const CONNECT_AFTER: Duration = Duration::from_millis(1);

impl Watchers {
    /// Watches all nodes of a cluster, which is whole.
    ///
    /// # Errors
    /// If one of them cannot be reached, or sees less than the whole.
    pub(super) fn start(cluster: &Cluster) -> Result<Self> {
        let mut watches = BTreeMap::new();
        for id in cluster.ids() {
            let what = || format!("cannot watch {}", cluster.node(id).name);
            watches.insert(id, Watch::start(&cluster.root(id)).with_context(what)?);
        }
        let shared = Arc::<Mutex<Shared>>::default();
        let thread = std::thread::Builder::new()
            .name("bench-watch".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || read(&shared, watches)
            })
            .context("cannot start a thread")?;
        let watchers = Self { shared, thread: Some(thread) };
        // Each tells first what is so already.
        let all: Vec<u8> = cluster.ids().collect();
        watchers.wait_members(&all, cluster.timers.patience())?;
        Ok(watchers)
    }

    /// The daemon of `node` is about to start anew: it is watched from its first moment on.
    pub(super) fn expect(&self, cluster: &Cluster, node: u8) {
        let mut shared = lock(&self.shared);
        shared.members.remove(&node);
        shared.expected.insert(node, cluster.root(node));
    }

    /// Forgets what was seen.
    pub(super) fn clear(&self) {
        lock(&self.shared).seen.clear();
    }

    /// What was seen since [`Self::clear`], in the order of its times.
    pub(super) fn seen(&self) -> Vec<Seen> {
        lock(&self.shared).seen.clone()
    }

    /// Waits until the newest membership of each of `members` is `members`.
    ///
    /// # Errors
    /// If it is not, in time.
    pub(super) fn wait_members(&self, members: &[u8], limit: Duration) -> Result<()> {
        wait::until(&format!("every node tells of the members {members:?}"), limit, || {
            let shared = lock(&self.shared);
            let told = |node| shared.members.get(node).is_some_and(|told| told == members);
            Ok(members.iter().all(told).then_some(()))
        })
    }

    /// Waits until each of `members` has told of the membership `members` since [`Self::clear`];
    /// gives the time of the last of them.
    ///
    /// # Errors
    /// If one tells of a membership that is neither that nor one of `passing`, or the time is over.
    pub(super) fn wait_view(
        &self,
        members: &[u8],
        passing: &[&[u8]],
        limit: Duration,
    ) -> Result<Instant> {
        wait::until(&format!("a view of {members:?} at each of them"), limit, || {
            last_view(&self.seen(), members, passing)
        })
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        lock(&self.shared).over = true;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// When the last of `members` was told of `members`, if all were.
fn last_view(seen: &[Seen], members: &[u8], passing: &[&[u8]]) -> Result<Option<Instant>> {
    let mut last = None;
    for node in members {
        let mut found = None;
        for told in seen.iter().filter(|told| told.node == *node) {
            let What::Members(view) = &told.what else { continue };
            if view == members {
                found = Some(told.at);
                break;
            }
            if !passing.contains(&view.as_slice()) {
                bail!("node {node} got the members {view:?}, expected {members:?}");
            }
        }
        let Some(at) = found else { return Ok(None) };
        last = last.max(Some(at));
    }
    Ok(last)
}

/// When the first of `nodes` took `peer` for gone.
pub(super) fn first_loss(seen: &[Seen], nodes: &[u8], peer: u8) -> Option<Instant> {
    let lost = |told: &&Seen| told.what == What::Lost(peer) && nodes.contains(&told.node);
    seen.iter().filter(lost).map(|told| told.at).min()
}

/// When the last of so many links of `node` came into trouble.
pub(super) fn last_carrier(seen: &[Seen], node: u8, links: u8) -> Option<Instant> {
    let first = |link: u8| {
        let down = |told: &&Seen| told.node == node && told.what == What::Trouble(link);
        seen.iter().find(down).map(|told| told.at)
    };
    let all: Option<Vec<Instant>> = (0..links).map(first).collect();
    all?.into_iter().max()
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    // Whoever panicked with it left whole values behind.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(shared: &Mutex<Shared>, mut watches: BTreeMap<u8, Watch>) {
    loop {
        let expected = {
            let shared = lock(shared);
            if shared.over {
                return;
            }
            shared.expected.clone()
        };
        for (node, root) in &expected {
            if let Ok(watch) = Watch::start(root) {
                watches.insert(*node, watch);
                lock(shared).expected.remove(node);
            }
        }
        let patience = if expected.is_empty() { LOOK_AFTER } else { CONNECT_AFTER };
        let mut fds: Vec<PollFd<'_>> =
            watches.values().map(|watch| PollFd::new(watch, PollFlags::IN)).collect();
        if !wait::poll_fds(&mut fds, patience) {
            continue;
        }
        // One that ended is watched no longer: its daemon was killed.
        watches.retain(|node, watch| {
            loop {
                match watch.try_recv() {
                    Ok(Some(event)) => note(shared, *node, &event),
                    Ok(None) => return true,
                    Err(_) => return false,
                }
            }
        });
    }
}

fn note(shared: &Mutex<Shared>, node: u8, event: &Value) {
    let at = wait::now();
    let Some(what) = understand(event) else { return };
    let mut shared = lock(shared);
    if let What::Members(members) = &what {
        shared.members.insert(node, members.clone());
    }
    shared.seen.push(Seen { node, at, what });
}

/// What an event says (docs/metrics.md); `None` if it is of no interest.
fn understand(event: &Value) -> Option<What> {
    let number = |value: &Value| value.as_u64().and_then(|number| u8::try_from(number).ok());
    match event["event"].as_str()? {
        "membership" | "port" if event["port"] == "a" => {
            Some(What::Members(event["members"].as_array()?.iter().filter_map(number).collect()))
        }
        "peer" if event["connected"] == false => number(&event["node"]).map(What::Lost),
        "link" if event["status"] == "trouble" => number(&event["link"]).map(What::Trouble),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seen(node: u8, ms: u64, what: What) -> Seen {
        Seen { node, at: Instant::from_nanos(ms * 1_000_000), what }
    }

    fn view(node: u8, ms: u64, members: &[u8]) -> Seen {
        seen(node, ms, What::Members(members.to_vec()))
    }

    #[test]
    fn events_of_interest_are_understood() {
        let of = |event: Value| understand(&event);
        let members = |event| json!({"event": event, "port": "a", "members": [0, 2]});
        assert_eq!(of(members("port")), Some(What::Members(vec![0, 2])));
        assert_eq!(of(members("membership")), Some(What::Members(vec![0, 2])));
        assert_eq!(of(json!({"event": "membership", "port": "b", "members": [0]})), None);
        let peer = |connected: bool| json!({"event": "peer", "node": 2, "connected": connected});
        assert_eq!((of(peer(false)), of(peer(true))), (Some(What::Lost(2)), None));
        let link = json!({"event": "link", "link": 1, "node": 0, "status": "trouble"});
        assert_eq!(of(link), Some(What::Trouble(1)));
        assert_eq!(of(json!({"event": "late", "ms": 3})), None);
    }

    #[test]
    fn the_last_survivor_counts_and_another_view_is_refused() {
        let all = [view(0, 5, &[0, 1]), seen(1, 6, What::Lost(2)), view(1, 9, &[0, 1])];
        let at = |ms: u64| Some(Instant::from_nanos(ms * 1_000_000));
        assert_eq!(last_view(&all[..2], &[0, 1], &[]).unwrap(), None);
        assert_eq!(last_view(&all, &[0, 1], &[]).unwrap(), at(9));
        assert_eq!(first_loss(&all, &[0, 1], 2), at(6));
        assert_eq!(first_loss(&all, &[0], 2), None);
        let other = [view(0, 4, &[0]), view(0, 5, &[0, 1]), view(1, 9, &[0, 1])];
        let error = last_view(&other, &[0, 1], &[]).unwrap_err();
        assert!(error.to_string().contains("node 0 got the members [0]"), "{error}");
        assert_eq!(last_view(&other, &[0, 1], &[&[0]]).unwrap(), at(9));
    }

    #[test]
    fn a_node_is_cut_off_with_its_last_link() {
        let down = |node, ms, link| seen(node, ms, What::Trouble(link));
        let all = [down(2, 3, 0), down(0, 4, 1), down(2, 6, 1), down(2, 8, 0)];
        assert_eq!(last_carrier(&all, 2, 2), Some(Instant::from_nanos(6_000_000)));
        assert_eq!(last_carrier(&all[..2], 2, 2), None);
    }
}
