//! What is measured beside volumes: a file in the same folder, by itself and behind servers of NBD
//! that others wrote.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::fs::{Advice, fadvise};

use super::super::super::cli::BenchArgs;
use super::super::super::netns::system;
use super::super::super::temporary::Temporary;
use super::super::super::{daemons, wait};
use super::super::fio::{Access, Doomed, Place};
use super::super::report::Measured;
use super::SIZE;

/// A file and who serves it; nothing of it is left when it is dropped.
#[derive(Debug)]
pub(super) struct Peer {
    of: Measured,
    random: Place,
    sequential: Place,
    // Dropped before their file.
    _servers: Vec<Doomed>,
    file: Removed,
}

/// How qemu-nbd does I/O past the page cache.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in super::super) enum Aio {
    /// Where it was built with it, and the system has it.
    IoUring,
    /// libaio.
    Native,
}

/// A file that is removed when this is dropped.
#[derive(Debug)]
struct Removed(PathBuf);

/// What nbdkit is measured with. Its file plugin has no direct I/O.
pub(in super::super) const NBDKIT: &str = "nbdkit file cache=none, fadvise=random for 4 KiB and \
     sequential for 1 MiB: it has no direct I/O, so that its writes are in the page cache when they \
     are answered; the cache is emptied before each run";

/// Longest time that a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

impl Aio {
    /// What qemu-nbd calls it.
    fn name(self) -> &'static str {
        match self {
            Self::IoUring => "io_uring",
            Self::Native => "native",
        }
    }

    /// What qemu-nbd is measured with.
    pub(in super::super) fn settings(self) -> &'static str {
        match self {
            Self::IoUring => "qemu-nbd --cache=none --aio=io_uring",
            Self::Native => "qemu-nbd --cache=none --aio=native",
        }
    }
}

impl Peer {
    /// What its figures are of.
    pub(super) fn of(&self) -> Measured {
        self.of
    }

    /// Where fio finds it.
    pub(super) fn place(&self, access: Access) -> &Place {
        if access.is_random() { &self.random } else { &self.sequential }
    }

    /// Its file.
    pub(super) fn path(&self) -> &Path {
        &self.file.0
    }

    /// Nothing of its file is in the page cache any more.
    ///
    /// # Errors
    /// If what was written cannot be made durable.
    pub(super) fn settle(&self) -> Result<()> {
        let settle = || -> Result<()> {
            let file = File::open(self.path())?;
            file.sync_data()?;
            Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
        };
        settle().with_context(|| format!("cannot settle {}", self.path().display()))
    }
}

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The raw file, and the servers that are asked for; says which are not installed.
///
/// # Errors
/// If a file cannot be made, or a server does not start.
pub(super) fn start(cluster: &Temporary, args: &BenchArgs) -> Result<Vec<Peer>> {
    let file = make(cluster, "bench-raw")?;
    let place = Place::File(file.0.clone());
    let mut peers = vec![Peer {
        of: Measured::RawFile,
        random: place.clone(),
        sequential: place,
        _servers: Vec::new(),
        file,
    }];
    let asked = |peer: &'static str, package: &str, is_asked: bool| {
        let found = is_asked.then(|| system::find(peer)).flatten();
        if is_asked && found.is_none() {
            eprintln!("muster: goes on without {peer}, which is not installed (Debian: {package})");
        }
        found
    };
    if let Some(program) = asked("nbdkit", "nbdkit", args.with_nbdkit()) {
        peers.push(nbdkit(cluster, &program)?);
    }
    if let Some(program) = asked("qemu-nbd", "qemu-utils", args.with_qemu_nbd()) {
        peers.push(qemu_nbd(cluster, &program)?);
    }
    Ok(peers)
}

/// A file beside the disks, as sparse as those.
fn make(cluster: &Temporary, name: &str) -> Result<Removed> {
    let path = cluster.cluster.dir.join(name);
    let file = File::create_new(&path);
    let file = file.with_context(|| format!("cannot make {}", path.display()))?;
    let removed = Removed(path);
    file.set_len(SIZE)?;
    Ok(removed)
}

/// One for requests anywhere and one for those in order, with the advice that is best for each.
fn nbdkit(cluster: &Temporary, program: &Path) -> Result<Peer> {
    let file = make(cluster, "bench-nbdkit")?;
    let mut places = Vec::new();
    let mut servers = Vec::new();
    for advice in ["random", "sequential"] {
        let name = format!("nbdkit-{advice}");
        let socket = socket(cluster, &name);
        let words = ["--foreground", "--log=stderr", "--unix"].map(str::to_owned);
        let plugin = [
            "file".to_owned(),
            format!("file={}", file.0.display()),
            "cache=none".to_owned(),
            format!("fadvise={advice}"),
        ];
        let all = words.into_iter().chain([socket.display().to_string()]).chain(plugin);
        servers.push(serve(cluster, program, &all.collect::<Vec<_>>(), &name)?);
        places.push(Place::nbd("", &socket));
    }
    let [random, sequential] = <[Place; 2]>::try_from(places).expect("one for each of two");
    Ok(Peer { of: Measured::Nbdkit, random, sequential, _servers: servers, file })
}

/// With io_uring, where it can.
fn qemu_nbd(cluster: &Temporary, program: &Path) -> Result<Peer> {
    let file = make(cluster, "bench-qemu-nbd")?;
    let start = |aio: Aio| {
        let name = format!("qemu-nbd-{}", aio.name());
        let socket = socket(cluster, &name);
        let words = ["--format=raw", "--cache=none", "--persistent", "--shared=0"];
        let last = [
            format!("--aio={}", aio.name()),
            format!("--socket={}", socket.display()),
            file.0.display().to_string(),
        ];
        let all = words.map(str::to_owned).into_iter().chain(last).collect::<Vec<_>>();
        Ok::<_, anyhow::Error>((
            aio,
            Place::nbd("", &socket),
            serve(cluster, program, &all, &name)?,
        ))
    };
    let (aio, place, server) = match start(Aio::IoUring) {
        Ok(started) => started,
        Err(error) => {
            wait::check_interrupt()?;
            eprintln!("muster: qemu-nbd does not take io_uring, goes on with native: {error:#}");
            start(Aio::Native)?
        }
    };
    let of = Measured::QemuNbd(aio);
    Ok(Peer { of, random: place.clone(), sequential: place, _servers: vec![server], file })
}

fn socket(cluster: &Temporary, name: &str) -> PathBuf {
    cluster.folder().join(format!("{name}.sock"))
}

/// Starts a server, which does not outlive this thread, and waits until it listens on the socket of
/// this name.
///
/// # Errors
/// If it ends, or takes too long: with what it said.
fn serve(cluster: &Temporary, program: &Path, arguments: &[String], name: &str) -> Result<Doomed> {
    let socket = socket(cluster, name);
    let path = cluster.folder().join(format!("{name}.log"));
    let log = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    let mut command = daemons::detached(&cluster.cluster, &cluster.binaries, None);
    command.arg(program).args(arguments).current_dir("/").stdin(Stdio::null());
    command.stdout(log.try_clone()?).stderr(log);
    let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let mut server = Doomed(child);
    let listens = wait::until(&format!("{name} listens"), PATIENCE, || {
        if let Some(status) = server.0.try_wait()? {
            bail!("{name} ended: {status}");
        }
        Ok(UnixStream::connect(&socket).is_ok().then_some(()))
    });
    listens.with_context(|| fs::read_to_string(&path).unwrap_or_default().trim().to_owned())?;
    Ok(server)
}
