//! The copies of a mirrored volume as they lie on their disks, past all daemons.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use cvm::disk::Label;
use cvm::io::Device;
use cvm::model::Group;
use cvm::volume::{MirrorIndex, Part, PlexMap, PlexMode, Target, VolumeMap};

use super::super::testbed::Testbed;
use super::super::volumes;

/// A volume and the disks of its cluster.
pub(super) struct Copies {
    map: VolumeMap,
    disks: Vec<(Label, Device)>,
}

impl Copies {
    /// Opens the disks of a volume of this group.
    ///
    /// # Errors
    /// If there is no such volume, it has less than two copies in use, or a disk cannot be read.
    pub(super) fn open(cluster: &Testbed, group: &Group, volume: &str) -> Result<Self> {
        let map = VolumeMap::new(group, volume).with_context(|| format!("no volume {volume}"))?;
        let open = |path: &PathBuf| -> Result<(Label, Device)> {
            let device = Device::open(path)?;
            Ok((device.label()?, device))
        };
        let disks = volumes::disk_paths(&cluster.cluster);
        let disks: Result<Vec<_>> = disks.iter().map(open).collect();
        let copies = Self { map, disks: disks? };
        let are_used = copies.plexes().all(|plex| plex.mode == PlexMode::ReadWrite);
        ensure!(are_used && copies.plexes().count() > 1, "not all copies of {volume} are in use");
        Ok(copies)
    }

    /// Overwrites sectors of the last copy, which is not equal to the others then; gives its name.
    ///
    /// # Errors
    /// If it cannot be written, or no copy differs.
    pub(super) fn spoil(&self, at: u64, len: u64) -> Result<String> {
        let plex = self.plexes().last().context("it has copies")?;
        let bytes = vec![0xdd; usize::try_from(len * SECTOR)?];
        let mut rest = bytes.as_slice();
        for part in plex.parts(at, len) {
            let (label, device, at) = self.place(&part)?;
            let (now, later) = rest.split_at(usize::try_from(part.len * SECTOR)?);
            device.write_public(label, at, now)?;
            rest = later;
        }
        let read: Result<Vec<Vec<u8>>> =
            self.plexes().map(|plex| self.read(plex, at, len)).collect();
        ensure!(read?.iter().any(|copy| *copy != bytes), "all copies are the same");
        Ok(plex.name.to_string())
    }

    /// Every copy is this, byte by byte; gives how many there are.
    ///
    /// # Errors
    /// Where one is not.
    pub(super) fn compare(&self, volume: &[u8]) -> Result<usize> {
        let len = volume.len() as u64;
        ensure!(len == self.map.len() * SECTOR, "{len} bytes are not the whole volume");
        for plex in self.plexes() {
            for (number, part) in (0..).zip(volume.chunks(AT_ONCE)) {
                let at = number * AT_ONCE as u64 / SECTOR;
                let copy = self.read(plex, at, part.len() as u64 / SECTOR)?;
                if copy != part {
                    let same = copy.iter().zip(part).take_while(|(one, other)| one == other);
                    let sector = at + same.count() as u64 / SECTOR;
                    bail!("plex {} differs from what is read at sector {sector}", plex.name);
                }
            }
        }
        Ok(self.plexes().count())
    }

    fn plexes(&self) -> impl Iterator<Item = &PlexMap> {
        let plexes = &self.map.mirror(MirrorIndex::VOLUME).plexes;
        plexes.iter().map(|index| self.map.plex(*index))
    }

    fn read(&self, plex: &PlexMap, at: u64, len: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for part in plex.parts(at, len) {
            let (label, device, at) = self.place(&part)?;
            bytes.extend_from_slice(&device.read_public(label, at, part.len)?);
        }
        Ok(bytes)
    }

    /// The disk of a part, and where in its public region it begins.
    fn place(&self, part: &Part) -> Result<(&Label, &Device, u64)> {
        let Some(Target::Disk { disk, at }) = part.target else { bail!("{part:?} is on no disk") };
        let disk = &self.map.disks()[disk.0];
        let found = self.disks.iter().find(|(label, _)| label.disk == *disk);
        let (label, device) = found.context("a disk of the volume is not there")?;
        Ok((label, device, at))
    }
}

/// Bytes of a sector.
const SECTOR: u64 = 512;
/// So many bytes are compared at a time.
const AT_ONCE: usize = 1 << 20;
