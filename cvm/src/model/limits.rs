//! Bounds of a group's configuration, with the reason of each value.

/// Disks of a group: the joiner reads a header of each while all I/O waits.
pub const DISKS_MAX: usize = 1024;

/// Records of a group of all kinds: their text has to fit a copy of the configuration, which is
/// 10 MiB by default, with room for 300 bytes each.
pub const RECORDS_MAX: usize = 32_768;

/// Plexes of a volume; the original's.
pub const PLEXES_MAX: usize = 32;

/// Columns of a stripe: a request is split so often at most.
pub const COLUMNS_MAX: u16 = 256;

/// Bytes of a comment, a lock or a user's name; comments of the original end here.
pub const TEXT_MAX: usize = 40;

/// The highest minor number that a device may have; the kernel has 20 bits for them.
pub const MINOR_MAX: u32 = (1 << 20) - 1;

/// The least stripe unit: a page.
pub const STRIPE_WIDTH_MIN: u64 = 8;

/// What lengths and offsets of subdisks are multiples of: disks with 4096-byte sectors and direct
/// I/O want whole pages (groups with `cds=on` of the original: 8 KiB).
pub const ALIGNMENT: u64 = 16;
