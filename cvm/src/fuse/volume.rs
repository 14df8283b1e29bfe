//! What the file system needs of volumes, wherever they are.
//!
//! [`Volumes`] may block and is asked by workers; [`Volume`] never does, as the threads that read
//! requests of the kernel ask it.

use std::io;
use std::sync::Arc;

use rustix::io::Errno;

/// A volume by its group and its own name. Both can be file names.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct VolumeName {
    group: String,
    volume: String,
}

/// What is to be known of a volume without opening it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Info {
    /// Its length in bytes.
    pub size: u64,
    /// It cannot be written from this node.
    pub read_only: bool,
}

/// Where volumes are. Calls block until there is an answer, or none is to be had any more.
pub trait Volumes: Send + Sync {
    /// All volumes that can be opened, or could be with another mode; in no order.
    ///
    /// # Errors
    /// If there is no answer.
    fn list(&self) -> Result<Vec<VolumeName>, Refused>;

    /// What a volume is like.
    ///
    /// # Errors
    /// If there is none of that name, or no answer.
    fn info(&self, name: &VolumeName) -> Result<Info, Refused>;

    /// Opens a volume; it is closed when the last handle to it is dropped. Nothing stays open after
    /// an error.
    ///
    /// # Errors
    /// If it may not be opened, or not be written although that is wanted.
    fn open(&self, name: &VolumeName, writable: bool) -> Result<Arc<dyn Volume>, Refused>;
}

/// What becomes of a request other than a read. It may be called in any thread, also before the call
/// that it was handed to returns, and must not block.
pub type Done = Box<dyn FnOnce(Result<(), IoFailed>) + Send>;

/// What becomes of a read: as many bytes as were asked for. As [`Done`] otherwise.
pub type ReadDone = Box<dyn FnOnce(Result<&[u8], IoFailed>) + Send>;

/// A volume that is open. Requests lie within it and are multiples of its blocks, at most
/// [`REQUEST_MAX`] bytes long and not empty; they may be answered in any order, and each is.
pub trait Volume: Send + Sync {
    /// Its length in bytes, a multiple of the block.
    fn size(&self) -> u64;

    /// Requests are multiples of it, in bytes: a power of 2, at least 512.
    fn block(&self) -> u32;

    /// Reads.
    fn read(&self, offset: u64, len: u32, done: ReadDone);

    /// Writes; what is written is on the disks before the answer if it is to be `durable`.
    fn write(&self, offset: u64, data: Vec<u8>, durable: bool, done: Done);

    /// What was answered before is on the disks when this is answered.
    fn flush(&self, done: Done);

    /// What is there is not needed any more, and reads as zeros.
    fn trim(&self, offset: u64, len: u32, done: Done);

    /// Writes zeros, which take up their place.
    fn zero(&self, offset: u64, len: u32, done: Done);
}

/// No request is longer, in bytes: what the server takes at once.
pub const REQUEST_MAX: u32 = 32 << 20;

/// Why a question about a volume, or its opening, is not answered as was wished. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// What speaks there does not keep to the protocol.
    #[error("the server of volumes is not understood: {0}")]
    BadServer(Box<str>),
    /// Another node has it, or it is about to go.
    #[error("{0}")]
    Busy(Box<str>),
    /// The group's mode on this node does not allow it.
    #[error("{0}")]
    NotActivated(Box<str>),
    /// It is not started.
    #[error("{0}")]
    NotStarted(Box<str>),
    /// There is none of that name.
    #[error("{0}")]
    NoVolume(Box<str>),
    /// It was to be written and can only be read.
    #[error("the volume is read-only on this node")]
    ReadOnly,
    /// No thread or no descriptor is left for it.
    #[error("no room for another open volume: {0}")]
    Room(io::Error),
    /// vxiod is not there, or went away.
    #[error("vxiod does not answer: {0}")]
    Unreachable(io::Error),
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IoFailed {
    /// The connection ended first. What was to be written may be there, in part or not at all.
    #[error("the connection to vxiod has ended")]
    Gone,
    /// It was not done, or not all of it.
    #[error("{0}")]
    Told(Errno),
}

impl VolumeName {
    /// `None`: a part of it cannot be the name of a file.
    pub fn new(group: &str, volume: &str) -> Option<Self> {
        let is_sound = is_file_name(group) && is_file_name(volume);
        is_sound.then(|| Self { group: group.to_owned(), volume: volume.to_owned() })
    }

    /// The name that it is exported under, `GROUP/VOLUME`; `None` if it is not like that.
    pub fn of_export(name: &str) -> Option<Self> {
        name.split_once('/').and_then(|(group, volume)| Self::new(group, volume))
    }

    /// The disk group.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The volume within its group.
    pub fn volume(&self) -> &str {
        &self.volume
    }

    /// The name that it is exported under.
    pub fn export(&self) -> String {
        format!("{}/{}", self.group, self.volume)
    }
}

fn is_file_name(name: &str) -> bool {
    let is_long = name.len() > NAME_MAX;
    !name.is_empty() && name != "." && name != ".." && !is_long && !name.contains(['/', '\0'])
}

impl Refused {
    /// As a program is told that asked for the file.
    pub const fn errno(&self) -> Errno {
        match self {
            Self::BadServer(_) => Errno::IO,
            Self::Busy(_) => Errno::BUSY,
            Self::NotActivated(_) => Errno::ACCESS,
            // That is what a device says that is there and not at work.
            Self::NotStarted(_) | Self::Unreachable(_) => Errno::NXIO,
            Self::NoVolume(_) => Errno::NOENT,
            Self::ReadOnly => Errno::ROFS,
            Self::Room(_) => Errno::NFILE,
        }
    }
}

impl IoFailed {
    /// As a program is told.
    pub const fn errno(self) -> Errno {
        match self {
            Self::Gone => Errno::IO,
            Self::Told(errno) => errno,
        }
    }
}

/// The longest name of a file, in bytes.
const NAME_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cannot_be_files_are_none() {
        let name = VolumeName::of_export("mydg/vol1").unwrap();
        assert_eq!((name.group(), name.volume()), ("mydg", "vol1"));
        assert_eq!(name.export(), "mydg/vol1");
        let long = format!("dg/{}", "a".repeat(256));
        for wrong in ["", "vol1", "/vol1", "dg/", "dg/a/b", "./v", "dg/..", "dg/a\0b", &long] {
            assert_eq!(VolumeName::of_export(wrong), None, "{wrong:?}");
        }
    }
}
