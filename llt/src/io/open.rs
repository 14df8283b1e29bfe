//! Opening a link of whatever kind, as `llttab` describes it.

use crate::ids::LinkAddr;
use crate::io::udp::{UdpConfig, UdpLink, link_addr};
use crate::io::{Link, LinkError};
use crate::llttab::{Medium, TabLink};

/// A link that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The link.
    pub link: Box<dyn Link>,
    /// Own address on it.
    pub address: LinkAddr,
    /// The largest frame in bytes.
    pub mtu: usize,
}

/// Opens a link.
///
/// # Errors
/// If its device or address cannot be used; nothing stays behind.
pub fn open(tab: &TabLink) -> Result<Opened, LinkError> {
    let mtu = tab.mtu.unwrap_or_else(|| tab.medium.mtu());
    match &tab.medium {
        Medium::Ether { device, .. } => {
            Err(LinkError::Unsupported { device: format!("{device:?}") })
        }
        Medium::Udp { local, broadcast } => {
            let link = UdpLink::open(UdpConfig { local: *local, broadcast: *broadcast, mtu })?;
            Ok(Opened { address: link_addr(link.local()), link: Box::new(link), mtu })
        }
    }
}
