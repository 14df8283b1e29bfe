//! An NBD server with volumes in memory that does what a test wants of it.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// What becomes of whoever opens a volume.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// It cannot be written.
    ReadOnly,
    /// It is not opened, for this reason.
    Refused(&'static str),
    /// It takes requests and never answers.
    Silent,
    Sound,
}

/// The volumes of a server, which stay when it goes.
#[derive(Clone, Default)]
pub(crate) struct Store(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    volumes: BTreeMap<String, (Kind, Vec<u8>)>,
    /// Requests that came, but for reads: their flags and commands.
    seen: Vec<(u16, u16)>,
    open: usize,
}

/// A server that listens until it is dropped; then all its connections end.
pub(crate) struct Server {
    path: std::path::PathBuf,
    sockets: Arc<Mutex<Vec<UnixStream>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    pub(crate) fn add(&self, name: &str, kind: Kind, len: usize) {
        lock(&self.0).volumes.insert(name.to_owned(), (kind, vec![0; len]));
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        lock(&self.0).volumes[name].1.clone()
    }

    pub(crate) fn take_seen(&self) -> Vec<(u16, u16)> {
        std::mem::take(&mut lock(&self.0).seen)
    }

    pub(crate) fn open(&self) -> usize {
        lock(&self.0).open
    }
}

impl Server {
    pub(crate) fn start(path: &Path, store: &Store) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let sockets = Arc::<Mutex<Vec<UnixStream>>>::default();
        let (all, store) = (Arc::clone(&sockets), store.clone());
        let accept = move || {
            for socket in listener.incoming() {
                let socket = socket.unwrap();
                // A connection from the one who ends it.
                if Arc::strong_count(&all) == 1 {
                    return;
                }
                lock(&all).push(socket.try_clone().unwrap());
                let store = store.clone();
                let serve = move || {
                    let _ = Guest { socket, store }.serve();
                };
                std::thread::Builder::new().name("guest".to_owned()).spawn(serve).unwrap();
            }
        };
        std::thread::Builder::new().name("server".to_owned()).spawn(accept).unwrap();
        Self { path: path.to_owned(), sockets }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let sockets = std::mem::take(&mut self.sockets);
        for socket in lock(&sockets).iter() {
            let _ = socket.shutdown(Shutdown::Both);
        }
        drop(sockets);
        let _ = UnixStream::connect(&self.path);
        let _ = std::fs::remove_file(&self.path);
    }
}

struct Guest {
    socket: UnixStream,
    store: Store,
}

impl Guest {
    fn read<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.socket.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn read_some(&mut self, len: u32) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(len).unwrap()];
        self.socket.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn reply(&mut self, option: u32, kind: u32, data: &[u8]) -> io::Result<()> {
        let len = u32::try_from(data.len()).unwrap();
        let numbers = [option, kind, len].map(u32::to_be_bytes).concat();
        let head = 0x0003_e889_0455_65a9_u64.to_be_bytes();
        self.socket.write_all(&[&head, &numbers[..], data].concat())
    }

    fn serve(mut self) -> io::Result<()> {
        self.socket.write_all(b"NBDMAGICIHAVEOPT\0\x03")?;
        self.read::<4>()?;
        loop {
            self.read::<8>()?;
            let option = u32::from_be_bytes(self.read()?);
            let len = u32::from_be_bytes(self.read()?);
            let data = self.read_some(len)?;
            match option {
                2 => return Ok(()),
                3 => {
                    let names: Vec<_> = lock(&self.store.0).volumes.keys().cloned().collect();
                    for name in names {
                        let len = u32::try_from(name.len()).unwrap().to_be_bytes();
                        self.reply(3, 2, &[&len, name.as_bytes()].concat())?;
                    }
                    self.reply(3, 1, &[])?;
                }
                6 | 7 => {
                    let name = String::from_utf8(data[4..data.len() - 4].to_vec()).unwrap();
                    if let Some(kind) = self.tell(option, &name)? {
                        lock(&self.store.0).open += 1;
                        let result = self.transmit(&name, kind);
                        lock(&self.store.0).open -= 1;
                        return result;
                    }
                }
                _ => self.reply(option, 0x8000_0001, b"not here")?,
            }
        }
    }

    /// `Some`: it is opened.
    fn tell(&mut self, option: u32, name: &str) -> io::Result<Option<Kind>> {
        let known = lock(&self.store.0).volumes.get(name).map(|(kind, all)| (*kind, all.len()));
        let Some((kind, len)) = known else {
            return self.reply(option, 0x8000_0006, b"v: no such volume").map(|()| None);
        };
        if let (Kind::Refused(reason), 7) = (kind, option) {
            return self.reply(option, 0x8000_0002, reason.as_bytes()).map(|()| None);
        }
        let flags: u16 = if matches!(kind, Kind::ReadOnly) { 0x07 } else { 0x6d };
        let info = [&[0, 0][..], &(len as u64).to_be_bytes(), &flags.to_be_bytes()].concat();
        self.reply(option, 3, &info)?;
        self.reply(option, 1, &[])?;
        Ok((option == 7).then_some(kind))
    }

    fn transmit(&mut self, name: &str, kind: Kind) -> io::Result<()> {
        loop {
            self.read::<4>()?;
            let (flags, command) =
                (u16::from_be_bytes(self.read()?), u16::from_be_bytes(self.read()?));
            let cookie: [u8; 8] = self.read()?;
            let at = usize::try_from(u64::from_be_bytes(self.read()?)).unwrap();
            let len = u32::from_be_bytes(self.read()?);
            let data = if command == 1 { self.read_some(len)? } else { Vec::new() };
            let end = at + usize::try_from(len).unwrap();
            assert!(at.is_multiple_of(512) && end.is_multiple_of(512), "whole blocks");
            let mut answer = Vec::new();
            {
                let mut state = lock(&self.store.0);
                if command != 0 {
                    state.seen.push((flags, command));
                }
                let (_, bytes) = state.volumes.get_mut(name).unwrap();
                match command {
                    0 => answer.extend_from_slice(&bytes[at..end]),
                    1 => bytes[at..end].copy_from_slice(&data),
                    2 => return Ok(()),
                    4 | 6 => bytes[at..end].fill(0),
                    _ => {}
                }
            }
            if !matches!(kind, Kind::Silent) {
                let head = [&0x6744_6698_u32.to_be_bytes()[..], &[0; 4], &cookie].concat();
                self.socket.write_all(&[&head[..], &answer].concat())?;
            }
        }
    }
}
