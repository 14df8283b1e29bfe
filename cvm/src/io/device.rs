//! One disk: its label, claims, images and log, read and written as `docs/ondisk.md` has them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::OFlags;

use super::buffer::Blocks;
use crate::disk::{
    BLOCK, COPIES, Claim, Claims, FormatError, FoundDisk, FoundSlot, Geometry, GeometryError, Head,
    ImageError, LABELS_AT, Label, SLOTS, Slot,
};
use crate::model::size::SECTOR;
use crate::model::{Sectors, UniqueId};

/// A disk that is open.
#[derive(Debug)]
pub struct Device {
    path: PathBuf,
    file: File,
    is_writable: bool,
}

/// Why a disk did not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// Its label, or what was to be written, is none.
    #[error("{0}")]
    Format(#[from] FormatError),
    /// It cannot have the layout that was asked for.
    #[error("{0}")]
    Geometry(#[from] GeometryError),
    /// What was to be written does not fit.
    #[error("{0}")]
    Image(#[from] ImageError),
    /// The system says so.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is neither a file nor a block device.
    #[error("it is neither a file nor a block device")]
    Kind,
    /// It ends before what its label says.
    #[error("it has {len} sectors, and its label says {expected}")]
    Short {
        /// Its length.
        len: Sectors,
        /// What the label says.
        expected: Sectors,
    },
}

type Result<T> = std::result::Result<T, DeviceError>;

impl Device {
    /// Opens a disk past the cache of the system, where that is possible; for reading only if it
    /// cannot be written.
    ///
    /// # Errors
    /// If it cannot be opened, or is no disk.
    pub fn open(path: &Path) -> Result<Self> {
        let direct = i32::try_from(OFlags::DIRECT.bits()).unwrap_or(0);
        let open = |write: bool, flags: i32| {
            OpenOptions::new().read(true).write(write).custom_flags(flags).open(path)
        };
        let tries = [(true, direct), (true, 0), (false, direct), (false, 0)];
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for (write, flags) in tries {
            match open(write, flags) {
                Ok(file) => {
                    let kind = file.metadata()?.file_type();
                    if !kind.is_file() && !kind.is_block_device() {
                        return Err(DeviceError::Kind);
                    }
                    return Ok(Self { path: path.to_owned(), file, is_writable: write });
                }
                Err(error) => last = error,
            }
        }
        Err(last.into())
    }

    /// Its length.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn length(&self) -> Result<Sectors> {
        use std::io::Seek;
        let mut file = &self.file;
        Ok(file.seek(io::SeekFrom::End(0))? / SECTOR)
    }

    /// It can be written.
    pub const fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of some blocks.
    fn read(&self, at: u64, blocks: usize) -> io::Result<Blocks> {
        let mut buffer = Blocks::zeroed(blocks);
        self.file.read_exact_at(buffer.bytes_mut(), at).map(|()| buffer)
    }

    /// Writes, and waits until it is safe.
    fn write(&self, at: u64, bytes: &[u8]) -> Result<()> {
        let buffer = Blocks::of(bytes);
        self.file.write_all_at(buffer.bytes(), at)?;
        self.file.sync_data()?;
        Ok(())
    }

    /// Its label.
    ///
    /// # Errors
    /// If there is none that can be read, or the disk is shorter than it says.
    pub fn label(&self) -> Result<Label> {
        let copies = LABELS_AT.map(|at| self.read(at, 1));
        let bytes = [0, 1].map(|copy: usize| copies[copy].as_ref().ok().map(Blocks::bytes));
        let label = match Label::find(bytes) {
            Ok(found) => found.label,
            Err(error) => {
                // One that cannot be read is not one that was never written. A short file is.
                let [first, second] = copies;
                let failed = [first.err(), second.err()].into_iter().flatten();
                let unread = failed.into_iter().find(|e| e.kind() != io::ErrorKind::UnexpectedEof);
                return Err(unread.map_or(DeviceError::Format(error), DeviceError::Io));
            }
        };
        let (len, expected) = (self.length()?, label.disk_len_min());
        if len < expected { Err(DeviceError::Short { len, expected }) } else { Ok(label) }
    }

    /// Makes a disk of it: no group has it afterwards, and what it held is lost.
    ///
    /// # Errors
    /// If it is too short, or cannot be written; the old label is there as long as not all of the new
    /// one is.
    pub fn initialise(&self, disk: UniqueId, created: u64, private_len: Sectors) -> Result<Label> {
        let geometry = Geometry::new(self.length()?, private_len)?;
        let label = Label { disk, created, sector_size: 512, geometry };
        for (at, block) in LABELS_AT.into_iter().zip(label.encode()?) {
            self.write(at, &block)?;
        }
        Ok(label)
    }

    /// Takes the label away.
    ///
    /// # Errors
    /// If the disk cannot be written.
    pub fn wipe(&self) -> Result<()> {
        LABELS_AT.into_iter().try_for_each(|at| self.write(at, &[0; BLOCK]))
    }

    /// Everything that an import wants to know of it.
    ///
    /// # Errors
    /// If it has no label. What else cannot be read stands in the answer.
    pub fn examine(&self, access: &str) -> Result<FoundDisk> {
        let label = self.label()?;
        let claims = self.claims(&label);
        let slots = Slot::ALL.map(|slot| self.slot(&label, slot));
        Ok(FoundDisk { access: access.to_owned(), label, claims, slots })
    }

    /// What it says of itself.
    pub fn claims(&self, label: &Label) -> Claims {
        let read = |slot: Slot| label.geometry.claim_at(slot).map(|at| self.read(at, 1));
        let blocks = Slot::ALL.map(read);
        let mut bytes: [[Option<&[u8]>; COPIES]; SLOTS] = [[None; COPIES]; SLOTS];
        for (slot, copies) in blocks.iter().enumerate() {
            for (copy, block) in copies.iter().enumerate() {
                bytes[slot][copy] = block.as_ref().ok().map(Blocks::bytes);
            }
        }
        Claims::read(&label.disk, &bytes)
    }

    fn slot(&self, label: &Label, slot: Slot) -> FoundSlot {
        let at = label.geometry.image_at(slot);
        let Ok(first) = self.read(at, 1) else { return FoundSlot::Unreadable };
        let room = label.geometry.slot_blocks();
        let blocks = match Head::decode(slot, first.bytes()) {
            Ok(head) if head.blocks <= room => head.blocks,
            Ok(_) | Err(_) => 1,
        };
        let whole = usize::try_from(blocks).ok().and_then(|blocks| self.read(at, blocks).ok());
        whole.map_or(FoundSlot::Unreadable, |whole| FoundSlot::decode(slot, whole.bytes()))
    }

    /// Writes what it says of itself: one copy after the other.
    ///
    /// # Errors
    /// If it cannot be written; one whole copy of the old or the new is there.
    pub fn write_claim(&self, label: &Label, claim: &Claim) -> Result<()> {
        let places = label.geometry.claim_at(claim.slot);
        for (at, block) in places.into_iter().zip(claim.encode()?) {
            self.write(at, &block)?;
        }
        Ok(())
    }

    /// Writes a configuration, as [`Image::encode`](crate::disk::Image::encode) made it for this slot.
    ///
    /// # Errors
    /// If it does not fit, or cannot be written; the slot may hold a part of it then.
    pub fn write_image(&self, label: &Label, slot: Slot, encoded: &[u8]) -> Result<()> {
        let blocks = u32::try_from(encoded.len().div_ceil(BLOCK)).unwrap_or(u32::MAX);
        let room = label.geometry.slot_blocks();
        if blocks > room {
            return Err(ImageError::NoSpace { blocks, room }.into());
        }
        self.write(label.geometry.image_at(slot), encoded)
    }

    /// Sectors of its public region.
    ///
    /// # Errors
    /// If they cannot be read, or the region ends before.
    pub fn read_public(&self, label: &Label, at: Sectors, len: Sectors) -> Result<Bytes> {
        let (from, count) = Self::public(label, at, len)?;
        let mut buffer = Blocks::zeroed(count.div_ceil(BLOCK));
        let bytes = &mut buffer.bytes_mut()[..count];
        self.file.read_exact_at(bytes, from)?;
        Ok(Bytes::copy_from_slice(bytes))
    }

    /// Replaces sectors of its public region, and waits until that is safe.
    ///
    /// # Errors
    /// If they cannot be written, or the region ends before; some may be written then.
    pub fn write_public(&self, label: &Label, at: Sectors, data: &[u8]) -> Result<()> {
        let (from, count) = Self::public(label, at, (data.len() as u64).div_ceil(SECTOR))?;
        let buffer = Blocks::of(data);
        // No more than that: what is beside it is somebody else's.
        self.file.write_all_at(&buffer.bytes()[..count], from)?;
        self.file.sync_data()?;
        Ok(())
    }

    /// From which byte on, and how many.
    fn public(label: &Label, at: Sectors, len: Sectors) -> Result<(u64, usize)> {
        let public = label.geometry.public();
        let end = at.checked_add(len);
        if end.is_none_or(|end| end > public.len) {
            let end = public.offset.saturating_add(end.unwrap_or(u64::MAX));
            return Err(DeviceError::Short { len: public.offset + public.len, expected: end });
        }
        let count = usize::try_from(len.saturating_mul(SECTOR)).unwrap_or(usize::MAX);
        Ok(((public.offset + at) * SECTOR, count))
    }
}
