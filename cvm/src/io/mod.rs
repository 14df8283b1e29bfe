//! Disks as files and devices of this host: the only part that reads and writes them.

mod buffer;
mod device;
mod scan;

pub use device::{Device, DeviceError};
pub use scan::{devices, scan};
