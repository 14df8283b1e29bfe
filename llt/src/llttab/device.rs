//! Names of Ethernet devices.

use core::fmt;

use crate::ids::LinkAddr;
use crate::llttab::values::mac;

/// An Ethernet device, as `llttab` names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Device {
    /// `eth-00:15:17:48:b5:80`: whichever interface has this address.
    Mac([u8; 6]),
    /// `eth1`: the interface of this name.
    Name(String),
}

/// Why a word names no Ethernet device of Linux.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DeviceError {
    /// `/dev/qfe:0`, `lan:1`: a device of Solaris, AIX or HP-UX.
    #[error("it is a device of another operating system")]
    Foreign,
    /// `eth-` with a colon behind it, and not six bytes of one card's address.
    #[error("it is not the address of an interface")]
    Mac,
    /// Longer than 15 bytes, or `.`, or with a `/` in it.
    #[error("it cannot be the name of an interface")]
    Name,
}

impl std::str::FromStr for Device {
    type Err = DeviceError;

    /// `eth1`, or `eth-00:15:17:48:b5:80` (facts 1.4).
    fn from_str(text: &str) -> Result<Self, DeviceError> {
        if let Some(address) = text.strip_prefix("eth-").filter(|rest| rest.contains(':')) {
            let mac = mac(address).filter(|mac| is_single(*mac));
            return mac.map(Self::Mac).ok_or(DeviceError::Mac);
        }
        if text.starts_with("/dev/") || text.contains(':') {
            return Err(DeviceError::Foreign);
        }
        // What the kernel lets an interface be called.
        let is_name = (1..=NAME_MAX).contains(&text.len())
            && !matches!(text, "." | ".." | "-")
            && !text.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control());
        if is_name { Ok(Self::Name(text.to_owned())) } else { Err(DeviceError::Name) }
    }
}

/// As in `llttab`.
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mac(mac) => write!(f, "eth-{}", LinkAddr::Mac(*mac).to_string().to_lowercase()),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Is it the address of one card: neither a group's nor nobody's?
pub(super) fn is_single(mac: [u8; 6]) -> bool {
    mac[0] & 1 == 0 && mac != [0; 6]
}

/// `IFNAMSIZ` of Linux without the zero at the end.
const NAME_MAX: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_names_or_addresses() {
        for good in ["eth1", "enp0s31f6", "eth-uplink", "eth0.100", "eth-00:15:17:48:b5:80"] {
            assert_eq!(good.parse::<Device>().unwrap().to_string(), good);
        }
        let mac = Device::Mac([0, 0x15, 0x17, 0x48, 0xb5, 0x80]);
        assert_eq!("eth-00:15:17:48:B5:80".parse(), Ok(mac));
        let cases = [
            ("/dev/qfe:0", DeviceError::Foreign),
            ("lan:1", DeviceError::Foreign),
            ("/dev/dlpi/en", DeviceError::Foreign),
            ("eth-00:15:17:48:b5", DeviceError::Mac),
            ("eth-0:15:17:48:b5:80", DeviceError::Mac),
            ("eth-01:15:17:48:b5:80", DeviceError::Mac),
            ("eth-00:00:00:00:00:00", DeviceError::Mac),
            ("eth-00:15:17:48:b5:+1", DeviceError::Mac),
            ("", DeviceError::Name),
            ("-", DeviceError::Name),
            ("..", DeviceError::Name),
            ("a/b", DeviceError::Name),
            ("sixteen-letters-", DeviceError::Name),
        ];
        for (bad, why) in cases {
            assert_eq!(bad.parse::<Device>(), Err(why), "{bad}");
        }
    }
}
