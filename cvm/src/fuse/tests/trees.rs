//! Names, numbers and attributes.

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use rustix::io::Errno;

use super::super::file::Access;
use super::super::inodes::Node;
use super::super::tree::{Source, Tree};
use super::super::volume::{Info, Refused, Volume, VolumeName, Volumes};
use super::Memory;

/// Three volumes, and what becomes of whoever asks.
struct Some3;

impl Volumes for Some3 {
    fn list(&self) -> Result<Vec<VolumeName>, Refused> {
        let names = ["dg2/v", "dg1/b", "dg1/a"];
        Ok(names.iter().filter_map(|name| VolumeName::of_export(name)).collect())
    }

    fn info(&self, name: &VolumeName) -> Result<Info, Refused> {
        match name.volume() {
            "a" => Ok(Info { size: 5120, read_only: false }),
            "b" => Ok(Info { size: 1 << 40, read_only: true }),
            _ => Err(Refused::NoVolume("there is none".into())),
        }
    }

    fn open(&self, name: &VolumeName, writable: bool) -> Result<Arc<dyn Volume>, Refused> {
        match name.volume() {
            "a" => Ok(Memory::new(5120)),
            "b" if writable => Err(Refused::ReadOnly),
            "b" => Err(Refused::Busy("v: node 1 has it".into())),
            _ => Err(Refused::Unreachable(io::ErrorKind::ConnectionRefused.into())),
        }
    }
}

fn tree() -> Tree {
    let source = Source::new(Arc::new(Some3), SystemTime::UNIX_EPOCH, 1 << 20);
    Tree::new(Access::Block, Arc::new(source))
}

fn name(name: &str) -> VolumeName {
    VolumeName::of_export(name).unwrap()
}

#[test]
fn groups_are_folders_and_volumes_are_files_in_them() {
    let tree = tree();
    let names = |node: &Node| -> Vec<String> {
        tree.entries(node).unwrap().into_iter().map(|entry| entry.name).collect()
    };
    assert_eq!(names(&Node::Root), [".", "..", "dg1", "dg2"]);
    let group = Node::Group("dg1".to_owned());
    assert_eq!(names(&group), [".", "..", "a", "b"]);
    assert_eq!(names(&Node::Group("dg3".to_owned())), [".", ".."], "one that has gone");
    let find = |node: &Node, name: &str| tree.find(node, OsStr::new(name));
    let folder = find(&Node::Root, "dg1").unwrap();
    assert_eq!((folder.perm, folder.kind), (0o755, fuser::FileType::Directory));
    assert_eq!(tree.node(folder.ino.0), Ok(group.clone()));
    let a = find(&group, "a").unwrap();
    assert_eq!((a.perm, a.size, a.blocks, a.uid), (0o600, 5120, 10, 0));
    assert_eq!(tree.node(a.ino.0), Ok(Node::Volume(name("dg1/a"))));
    assert_eq!(find(&group, "b").unwrap().perm, 0o400, "read-only here");
    for (node, missing) in
        [(&Node::Root, "dg3"), (&Node::Root, "dg"), (&group, "c"), (&group, "..")]
    {
        assert_eq!(find(node, missing).unwrap_err(), Errno::NOENT);
    }
    assert_eq!(find(&Node::Volume(name("dg1/a")), "x").unwrap_err(), Errno::NOTDIR);
    assert_eq!(tree.node(12345), Err(Errno::STALE));
}

#[test]
fn a_volume_is_opened_and_closed_or_the_reason_is_told() {
    let tree = tree();
    let handle = tree.open(&name("dg1/a"), true).unwrap();
    assert_ne!(handle, tree.open(&name("dg1/a"), true).unwrap());
    assert_eq!(tree.opened(handle).map(|file| file.size()), Ok(5120));
    tree.close(handle);
    assert_eq!(tree.opened(handle).err(), Some(Errno::BADF));
    assert_eq!(tree.open(&name("dg1/b"), true), Err(Errno::ROFS));
    assert_eq!(tree.open(&name("dg1/b"), false), Err(Errno::BUSY));
    assert_eq!(tree.open(&name("dg1/c"), false), Err(Errno::NXIO));
}
