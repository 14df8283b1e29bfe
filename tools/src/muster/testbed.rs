//! A cluster in the hand of one muster: what can be done to it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gab::admin::FaultRates;
use rustix::process::Signal;

use super::allocate::UserList;
use super::binaries::Binaries;
use super::cluster::{Cable, Cluster, FILE, Node, TimerProfile, Transport, VERSION};
use super::netns::{self, Namespaces, switch};
use super::process::State;
use super::{control, daemons, files, formed, fuse, places, volumes};

/// A cluster, locked against other musters until it is dropped.
#[derive(Debug)]
pub struct Testbed {
    /// What it consists of.
    pub cluster: Cluster,
    /// gabd and the commands.
    pub binaries: Binaries,
    _lock: File,
}

/// What `up` makes.
#[derive(Clone, Debug)]
pub struct UpOptions {
    /// Number of nodes, 1 to 128.
    pub nodes: u8,
    /// Links, 1 to 8.
    pub links: u8,
    /// Timers.
    pub timers: TimerProfile,
    /// Nodes that are configured everywhere but never started.
    pub phantoms: u8,
    /// Where the nodes run.
    pub network: Network,
    /// They get a key, and seal their frames.
    pub keyed: bool,
    /// Shared disks; with any, CVM runs on every node.
    pub disks: u32,
    /// Bytes of each of them; they are sparse.
    pub disk_size: u64,
    /// Their volumes are shown as files.
    pub fuse: bool,
    /// What has failed in them is relocated.
    pub relocd: bool,
    /// Seconds that vxiod waits for a disk; 0: for ever.
    pub io_timeout: u64,
    /// Only a majority goes on; not with phantoms, for then nobody would seed.
    pub quorum: bool,
    /// The daemons die with the thread that calls `up`.
    pub attached: bool,
}

/// What connects the nodes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Network {
    /// UDP over the loopback.
    #[default]
    Loopback,
    /// A namespace for each node, and cables.
    Namespaces {
        /// What goes over them.
        transport: Transport,
        /// Their MTU, 576 to 9216 bytes.
        mtu: u32,
    },
}

impl Default for UpOptions {
    fn default() -> Self {
        Self {
            nodes: 3,
            links: 2,
            timers: TimerProfile::Fast,
            phantoms: 0,
            network: Network::Loopback,
            keyed: false,
            disks: 0,
            disk_size: 256 << 20,
            fuse: false,
            relocd: false,
            io_timeout: 30,
            quorum: false,
            attached: false,
        }
    }
}

/// How a cluster is taken down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Down {
    /// The daemons may leave in order.
    Clean,
    /// They are killed.
    Fast,
}

impl Testbed {
    /// Makes a cluster in `dir` and waits until it has formed.
    ///
    /// # Errors
    /// If there is one already, or it does not form: with what is missing and the ends of the
    /// logs. Whatever was made is removed again.
    pub fn up(dir: &Path, options: &UpOptions) -> Result<Self> {
        if options.fuse {
            fuse::check()?;
        }
        let binaries = Binaries::locate()?;
        let (dir, made_dir) = make_dir(dir)?;
        let unmake = |error| {
            if made_dir {
                let _ = fs::remove_dir(&dir);
            }
            error
        };
        let lock = prepare_dir(&dir, options).map_err(unmake)?;
        let named = options.nodes + options.phantoms;
        let mut list = UserList::lock().map_err(unmake)?;
        let (transport, netns, given) = match options.network {
            Network::Loopback => {
                (Transport::Udp, None, list.allocate(&dir, named, options.links).map_err(unmake)?)
            }
            Network::Namespaces { transport, mtu } => {
                (transport, Some(Namespaces::new(mtu)), list.allocate_id(&dir).map_err(unmake)?)
            }
        };
        let cluster = Cluster {
            version: VERSION,
            dir,
            made_dir,
            cluster_id: given.cluster_id,
            transport,
            netns,
            port_base: given.port_base,
            address_offset: given.address_offset,
            links: options.links,
            timers: options.timers,
            phantoms: options.phantoms,
            keyed: options.keyed,
            disks: options.disks,
            fuse: options.fuse,
            relocd: options.relocd,
            io_timeout: options.io_timeout,
            quorum: options.quorum,
            attached: options.attached,
            nodes: (0..options.nodes).map(|id| Node::new(id, options.links)).collect(),
        };
        let mut testbed = Self { cluster, binaries, _lock: lock };
        match testbed.start_all(list, options.disk_size) {
            Ok(()) => Ok(testbed),
            Err(error) => {
                let logs: String = testbed
                    .cluster
                    .ids()
                    .map(|id| daemons::log_tail(&testbed.cluster, id, 12))
                    .collect();
                let undone = testbed.down(Down::Fast);
                let error = if logs.is_empty() { error } else { error.context(logs) };
                Err(match undone {
                    Ok(()) => error,
                    Err(undo) => error.context(format!("and it could not be removed: {undo:#}")),
                })
            }
        }
    }

    /// Takes the cluster in `dir` into the hand.
    ///
    /// # Errors
    /// If there is none.
    pub fn open(dir: &Path) -> Result<Self> {
        // Says what is wrong with the folder before it is locked.
        Cluster::load(dir)?;
        let dir = fs::canonicalize(dir)?;
        let lock = places::lock_dir(&dir)?;
        Ok(Self { cluster: Cluster::load(&dir)?, binaries: Binaries::locate()?, _lock: lock })
    }

    /// Ends the daemons and removes what [`Testbed::up`] made, and nothing else.
    ///
    /// # Errors
    /// If a daemon cannot be ended, nothing is removed; if a file cannot, the rest is.
    pub fn down(self, how: Down) -> Result<()> {
        let cluster = &self.cluster;
        let ids: Vec<u8> = cluster.ids().collect();
        let grace = match how {
            Down::Clean => Duration::from_secs(3),
            Down::Fast => Duration::ZERO,
        };
        // Before the volumes go, so that what programs have written to files still gets there.
        fuse::stop(cluster, &ids, grace)?;
        for node in &cluster.nodes {
            volumes::kill(node)?;
        }
        if how == Down::Fast {
            for id in &ids {
                daemons::kill(cluster, *id)?;
            }
        }
        daemons::stop(cluster, &ids, grace)?;
        netns::release(cluster)?;
        let mut failed = Ok(());
        for root in ids.iter().map(|id| cluster.root(*id)) {
            if let Err(error) = remove(fs::remove_dir_all(&root), &root) {
                failed = Err(error);
            }
        }
        for path in volumes::disk_paths(cluster) {
            if let Err(error) = remove(fs::remove_file(&path), &path) {
                failed = Err(error);
            }
        }
        // The file goes last, so that a `down` that failed can be repeated.
        failed?;
        let file = cluster.dir.join(FILE);
        remove(fs::remove_file(&file), &file)?;
        UserList::lock()?.release(&cluster.dir)?;
        if cluster.made_dir {
            // Somebody else's files keep it.
            let _ = fs::remove_dir(&cluster.dir);
        }
        Ok(())
    }

    /// kill -9 of a node's daemons; false if its gabd did not run.
    ///
    /// # Errors
    /// If one cannot be signalled.
    pub fn kill(&self, node: u8) -> Result<bool> {
        // All at once, as a crash has it: vxiod does not see its gabd go.
        for process in volumes::processes(self.cluster.node(node)) {
            process.signal(Signal::KILL)?;
        }
        let ran = daemons::kill(&self.cluster, node)?;
        volumes::kill(self.cluster.node(node))?;
        Ok(ran)
    }

    /// SIGSTOP or SIGCONT to a node's daemons; returns once they stand or run.
    ///
    /// # Errors
    /// If it does not run.
    pub fn pause(&self, node: u8, pause: bool) -> Result<()> {
        let (signal, state) =
            if pause { (Signal::STOP, State::Paused) } else { (Signal::CONT, State::Running) };
        let node = self.cluster.node(node);
        let process = node.gabd.filter(|process| process.state() != State::Gone);
        let process = process.with_context(|| format!("{}: gabd does not run", node.name))?;
        let all = volumes::processes(node).filter(|process| process.state() != State::Gone);
        let all: Vec<_> = all.chain([process]).collect();
        all.iter().try_for_each(|process| process.signal(signal).map(drop))?;
        super::wait::until("the daemons obey the signal", Duration::from_secs(30), || {
            let obey = all.iter().all(|process| [state, State::Gone].contains(&process.state()));
            Ok(obey.then_some(()))
        })
    }

    /// Starts a node's gabd and, where there is a membership that it can join, waits until it has;
    /// true if it has.
    ///
    /// # Errors
    /// If it runs already, ends, or does not join in time.
    pub fn start(&mut self, node: u8) -> Result<bool> {
        daemons::start(&mut self.cluster, node, &self.binaries)?;
        self.cluster.save()?;
        let patience = self.cluster.timers.patience();
        let joined = control::wait_answer(&self.cluster, node, patience)
            .and_then(|()| control::apply_faults(&self.cluster, node))
            .and_then(|()| self.wait_joined(node, patience));
        let joined = joined.with_context(|| daemons::log_tail(&self.cluster, node, 12))?;
        if self.cluster.disks > 0 {
            self.start_volumes(node).with_context(|| daemons::log_tail(&self.cluster, node, 12))?;
        }
        Ok(joined)
    }

    /// Ends a node's gabd in order and waits until it is gone; false if it had to be killed.
    ///
    /// # Errors
    /// If it does not run.
    pub fn stop(&self, node: u8) -> Result<bool> {
        if self.cluster.node(node).state() == State::Gone {
            bail!("{}: gabd does not run", self.cluster.node(node).name);
        }
        // A file that is open keeps its volume open, and the node in the cluster.
        fuse::stop(&self.cluster, &[node], Duration::from_secs(10))?;
        volumes::stop(&self.cluster, node)?;
        Ok(daemons::stop(&self.cluster, &[node], GABD_STOP)?.is_empty())
    }

    /// Pulls or plugs the cable of a node on a link.
    ///
    /// # Errors
    /// If the switch cannot be changed, or a gabd that runs refuses.
    pub fn set_cable(&mut self, node: u8, link: u8, cable: Cable) -> Result<()> {
        self.cluster.node_mut(node).faults[usize::from(link)].cable = cable;
        self.apply_cable(node, link)
    }

    /// Splits the cluster: nodes of different groups do not hear each other on any link. Nodes
    /// that no group names form one of their own.
    ///
    /// # Errors
    /// If a node is in two groups, or a gabd refuses.
    pub fn partition(&mut self, groups: &[Vec<u8>]) -> Result<()> {
        let side = sides(&self.cluster, groups)?;
        let ids: Vec<u8> = self.cluster.ids().collect();
        for id in &ids {
            let apart = |other: &u8| side[usize::from(*other)] != side[usize::from(*id)];
            let blocked: Vec<u8> = ids.iter().copied().filter(apart).collect();
            for link in &mut self.cluster.node_mut(*id).faults {
                link.blocked.clone_from(&blocked);
            }
        }
        self.apply(&ids)
    }

    /// Ends a partition and plugs all cables; what `faults` set stays.
    ///
    /// # Errors
    /// If a gabd that runs refuses.
    pub fn heal(&mut self) -> Result<()> {
        let ids: Vec<u8> = self.cluster.ids().collect();
        let mut cables = Vec::new();
        for id in &ids {
            for (link, faults) in (0..).zip(&mut self.cluster.node_mut(*id).faults) {
                if faults.cable != Cable::Plugged {
                    faults.cable = Cable::Plugged;
                    cables.push((*id, link));
                }
                faults.blocked.clear();
            }
        }
        self.refuse_paused(&ids)?;
        self.cluster.save()?;
        switch::set_cables(&self.cluster, &self.binaries, &cables)?;
        self.apply(&ids)
    }

    /// Changes the rates of a node's faults on one link, or on all.
    ///
    /// # Errors
    /// If gabd runs and refuses.
    pub fn change_rates(
        &mut self,
        node: u8,
        link: Option<u8>,
        change: impl Fn(&mut FaultRates),
    ) -> Result<()> {
        for (index, faults) in self.cluster.node_mut(node).faults.iter_mut().enumerate() {
            if link.is_none_or(|link| usize::from(link) == index) {
                change(&mut faults.rates);
            }
        }
        self.apply(&[node])
    }

    /// Waits until all running nodes are one cluster.
    ///
    /// # Errors
    /// Those of [`formed::wait_formed`].
    pub fn wait_formed(&self) -> Result<()> {
        let patience = self.cluster.timers.patience();
        formed::wait_formed(&self.cluster, &self.cluster.running(), patience)
    }

    /// Makes the switch, or the tap of the node, do what the cable does.
    fn apply_cable(&self, node: u8, link: u8) -> Result<()> {
        // Where the switch does it all, no gabd has to be told, not even one that is paused.
        let told: &[u8] = match self.cluster.netns {
            Some(netns) if netns.nft => &[],
            Some(_) | None => &[node],
        };
        self.refuse_paused(told)?;
        self.cluster.save()?;
        switch::set_cables(&self.cluster, &self.binaries, &[(node, link)])?;
        self.apply(told)
    }

    /// Makes the taps of these nodes do what the cluster has for them, and writes it down.
    fn apply(&self, nodes: &[u8]) -> Result<()> {
        self.refuse_paused(nodes)?;
        self.cluster.save()?;
        for node in nodes {
            control::apply_faults(&self.cluster, *node)?;
        }
        Ok(())
    }

    /// Fails if one of these is paused: it would not answer. Nothing may have been written by then,
    /// or a fault that was refused would be there at the next start.
    fn refuse_paused(&self, nodes: &[u8]) -> Result<()> {
        for node in nodes.iter().map(|node| self.cluster.node(*node)) {
            if node.state() == State::Paused {
                bail!("{}: gabd is paused, resume it first", node.name);
            }
        }
        Ok(())
    }

    fn start_all(&mut self, list: UserList, disk_size: u64) -> Result<()> {
        self.cluster.save()?;
        let ids: Vec<u8> = self.cluster.ids().collect();
        for id in &ids {
            files::write(&self.cluster, *id)?;
        }
        netns::make(&mut self.cluster, &self.binaries)?;
        for id in &ids {
            daemons::start(&mut self.cluster, *id, &self.binaries)?;
            self.cluster.save()?;
        }
        let patience = self.cluster.timers.patience();
        for id in &ids {
            control::wait_answer(&self.cluster, *id, patience)?;
        }
        // Every socket is bound: nobody else can take these ports any more.
        drop(list);
        formed::wait_formed(&self.cluster, &ids, patience)?;
        if self.cluster.disks > 0 {
            volumes::make_disks(&self.cluster, disk_size)?;
            for id in &ids {
                self.start_volumes(*id)?;
            }
        }
        Ok(())
    }

    /// Starts CVM on a node, with vxfused and vxrelocd if the cluster has them, and brings it into the
    /// cluster.
    ///
    /// # Errors
    /// If it does not start, or is not let in.
    pub fn start_volumes(&mut self, node: u8) -> Result<()> {
        let mut started = volumes::start(&mut self.cluster, node, &self.binaries);
        if self.cluster.fuse && started.is_ok() {
            started = fuse::start(&mut self.cluster, node, &self.binaries);
        }
        if self.cluster.relocd && started.is_ok() {
            started = volumes::start_relocd(&mut self.cluster, node, &self.binaries);
        }
        self.cluster.save()?;
        started?;
        volumes::join(&self.cluster, node)
    }

    /// True once `node` is a member; false at once if there is nothing to be a member of.
    fn wait_joined(&self, node: u8, limit: Duration) -> Result<bool> {
        let blocked = &self.cluster.node(node).faults[0].blocked;
        let mut others = self.cluster.running();
        others.retain(|other| *other != node && !blocked.contains(other));
        let membership = |id: u8| -> Vec<u8> {
            let ports = control::snapshot(&self.cluster, id).map(|s| s.gab.ports);
            ports.into_iter().flatten().find(|port| port.port == "a").map_or(vec![], |p| p.members)
        };
        let complete = others.len() + 1 == self.cluster.nodes.len();
        if !complete && others.iter().all(|other| membership(*other).is_empty()) {
            return Ok(false);
        }
        let what = format!("{} is a member of port a", self.cluster.node(node).name);
        super::wait::until(&what, limit, || {
            if self.cluster.node(node).state() == State::Gone {
                bail!("gabd of {} ended", self.cluster.node(node).name);
            }
            let own = membership(node);
            // Whoever has left by `gabconfig -U` runs and is no member.
            let is_in = |other: &u8| {
                control::snapshot(&self.cluster, *other).is_ok_and(|s| s.gab.configured)
            };
            let known = others.iter().filter(|o| is_in(o)).all(|other| membership(*other) == own);
            Ok((own.contains(&node) && known).then_some(true))
        })
    }
}

/// The side of each node, by id. Side 0 is that of the nodes that no group names.
fn sides(cluster: &Cluster, groups: &[Vec<u8>]) -> Result<Vec<usize>> {
    let mut side = vec![0; cluster.nodes.len()];
    for (index, group) in groups.iter().enumerate() {
        for node in group {
            let place = &mut side[usize::from(*node)];
            if *place != 0 {
                bail!("{} is named twice", cluster.node(*node).name);
            }
            *place = index + 1;
        }
    }
    Ok(side)
}

/// Makes `dir` if it is not there; its full name, and whether it was made.
fn make_dir(dir: &Path) -> Result<(PathBuf, bool)> {
    use std::os::unix::fs::DirBuilderExt;
    let made = match fs::DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => true,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => false,
        Err(error) => {
            return Err(error).with_context(|| format!("cannot create {}", dir.display()));
        }
    };
    let full = fs::canonicalize(dir).with_context(|| format!("cannot use {}", dir.display()))?;
    Ok((full, made))
}

/// Locks `dir` and checks that a cluster can be made in it.
fn prepare_dir(dir: &Path, options: &UpOptions) -> Result<File> {
    // Also before the lock, which a demo that runs there holds until its end.
    refuse_cluster(dir)?;
    let lock = places::lock_dir(dir)?;
    refuse_cluster(dir)?;
    for node in 0..options.nodes {
        let root = dir.join(format!("node{node}"));
        if root.symlink_metadata().is_ok() {
            bail!("{} is in the way, and not of a cluster that is up", root.display());
        }
        // sockaddr_un holds 108 bytes with the terminating zero.
        let socket = root.join("run/gab.sock");
        if socket.as_os_str().len() > 107 {
            bail!("{} is too long for a socket's name: choose a shorter --dir", socket.display());
        }
    }
    Ok(lock)
}

/// Fails if there is a cluster in `dir`.
fn refuse_cluster(dir: &Path) -> Result<()> {
    if !dir.join(FILE).exists() {
        return Ok(());
    }
    let state = Cluster::load(dir).map_or_else(
        |error| format!("{error:#}"),
        |old| format!("{} nodes, {} running", old.nodes.len(), old.running().len()),
    );
    bail!("there is a cluster in {0} already ({state}): muster down --dir {0}", dir.display())
}

/// What is gone already need not be removed.
fn remove(result: std::io::Result<()>, path: &Path) -> Result<()> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// As long as gabd may take to end in order: it waits for clients of the kernel type, and for the others.
const GABD_STOP: Duration = Duration::from_secs(40);
