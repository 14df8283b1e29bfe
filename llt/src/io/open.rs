//! Opening a link of whatever kind, as `llttab` describes it.

use crate::ids::LinkAddr;
use crate::io::devices::{self, DeviceState, Present};
use crate::io::ether::{EtherConfig, EtherLink};
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

/// The variable of the environment that chooses the backend of Ethernet links: `packet` or `pnet`.
/// Without it `packet` is tried first, and `pnet` where that cannot be had.
pub const ETHER_BACKEND: &str = "MUSTER_ETHER";

/// Opens a link.
///
/// # Errors
/// If its device or address cannot be used; nothing stays behind.
pub fn open(tab: &TabLink) -> Result<Opened, LinkError> {
    match &tab.medium {
        Medium::Ether { device, .. } => {
            let device = device.clone();
            match devices::list() {
                Ok(list) => match devices::select(&list, &device) {
                    Some(state) => open_on(tab, state),
                    None => Err(LinkError::NoDevice { device, present: Present::now() }),
                },
                Err(source) => Err(LinkError::Devices { device, source }),
            }
        }
        Medium::Udp { local, broadcast } => {
            let mtu = tab.mtu.unwrap_or_else(|| tab.medium.mtu());
            let link = UdpLink::open(UdpConfig { local: *local, broadcast: *broadcast, mtu })?;
            Ok(Opened { address: link_addr(link.local()), link: Box::new(link), mtu })
        }
    }
}

/// Opens a link; one over Ethernet on this device, whichever `llttab` names. Asks the system
/// nothing that could make it wait.
///
/// # Errors
/// As [`open`].
pub fn open_on(tab: &TabLink, device: &DeviceState) -> Result<Opened, LinkError> {
    let Medium::Ether { sap, .. } = tab.medium else { return open(tab) };
    let config = EtherConfig { device: device.clone(), sap, mtu: tab.mtu };
    match std::env::var(ETHER_BACKEND) {
        Err(_) => {}
        Ok(value) if value == "packet" => return open_packet(&config),
        Ok(value) if value == "pnet" => return open_pnet(&config),
        Ok(value) => return Err(LinkError::Backend { variable: ETHER_BACKEND, value }),
    }
    match open_packet(&config) {
        // All other errors are about the device or the rights: the second backend needs the same.
        Err(error @ LinkError::Device { .. }) => {
            tracing::warn!("{error}; trying the slower way, pnet");
            // If that is no way either, the first error says more.
            open_pnet(&config).map_err(|_| error)
        }
        result => result,
    }
}

fn open_packet(config: &EtherConfig) -> Result<Opened, LinkError> {
    let link = EtherLink::open(config)?;
    Ok(Opened { address: link.address(), mtu: link.mtu(), link: Box::new(link) })
}

#[cfg(feature = "pnet")]
fn open_pnet(config: &EtherConfig) -> Result<Opened, LinkError> {
    let link = crate::io::pnet::PnetLink::open(config)?;
    Ok(Opened { address: link.address(), mtu: link.mtu(), link: Box::new(link) })
}

#[cfg(not(feature = "pnet"))]
fn open_pnet(config: &EtherConfig) -> Result<Opened, LinkError> {
    Err(LinkError::Unsupported { device: format!("{} through pnet", config.device.name) })
}
