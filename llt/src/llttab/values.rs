//! Values of directives: numbers, ranges, durations, addresses of cards.

use core::time::Duration;

use crate::ids::{NodeId, NodeSet};

/// A node id in decimal.
pub(super) fn node_id(text: &str) -> Option<NodeId> {
    number(text).and_then(NodeId::new)
}

/// A number in decimal, digits only: no sign, which `parse` would take.
pub(super) fn number<T: core::str::FromStr>(text: &str) -> Option<T> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// `3` or `2-31`.
pub(super) fn node_range(text: &str) -> Option<NodeSet> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let (low, high) = (node_id(low)?, node_id(high)?);
    let range = low.get()..=high.get();
    if range.is_empty() { None } else { Some(range.filter_map(NodeId::new).collect()) }
}

/// `name:value`.
pub(super) fn setting(text: &str) -> Option<(&str, &str)> {
    text.split_once(':').filter(|(name, value)| !name.is_empty() && !value.is_empty())
}

/// An Ethernet address: six bytes of two hexadecimal digits.
pub(super) fn mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        *byte = hexadecimal(parts.next().filter(|part| part.len() == 2)?)?;
    }
    parts.next().is_none().then_some(mac)
}

/// An ethertype, `0xCAFE` or in decimal; below 0x0600 the field is a length.
pub(super) fn ethertype(text: &str) -> Option<u16> {
    let value = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => hexadecimal(digits),
        None => number(text),
    };
    value.filter(|&value| value >= 0x0600)
}

/// Digits only: no sign, which `from_str_radix` would take.
fn hexadecimal<T: TryFrom<u32>>(digits: &str) -> Option<T> {
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()?.try_into().ok()
}

/// A timer: hundredths of a second, or with a unit `ms` or `s`. At most one day.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (digits, unit_ms) = if let Some(digits) = text.strip_suffix("ms") {
        (digits, 1)
    } else if let Some(digits) = text.strip_suffix('s') {
        (digits, 1000)
    } else {
        (text, 10)
    };
    let millis = number::<u64>(digits).filter(|_| !digits.is_empty())?.checked_mul(unit_ms)?;
    let duration = Duration::from_millis(millis);
    (duration <= DURATION_MAX).then_some(duration)
}

/// The longest timer.
pub(super) const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A duration as a person would write it in the file.
pub(super) fn show(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_or_are_hundredths() {
        assert_eq!(duration("1600"), Some(Duration::from_secs(16)));
        assert_eq!(duration("150ms"), Some(Duration::from_millis(150)));
        assert_eq!(duration("2s"), Some(Duration::from_secs(2)));
        assert_eq!(duration("0"), Some(Duration::ZERO));
        assert_eq!(duration("86400s"), Some(DURATION_MAX));
        for bad in
            ["", "s", "ms", "-5", "+5", "86401s", "1.5s", "5 s", "5m", "99999999999999999999"]
        {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn ranges_are_one_node_or_from_to() {
        assert_eq!(node_range("2-31").map(NodeSet::len), Some(30));
        assert_eq!(node_range("5").map(NodeSet::len), Some(1));
        for bad in ["31-2", "-", "0-128", "a", "1-", "1-2-3"] {
            assert_eq!(node_range(bad), None, "{bad}");
        }
    }

    #[test]
    fn ethertypes_are_hexadecimal_or_decimal() {
        assert_eq!(ethertype("0xCAFE"), Some(0xCAFE));
        assert_eq!(ethertype("0Xcaff"), Some(0xCAFF));
        assert_eq!(ethertype("51966"), Some(0xCAFE));
        assert_eq!((ethertype("0x0600"), ethertype("0xFFFF")), (Some(0x600), Some(0xFFFF)));
        for bad in ["", "0x", "cafe", "0x05FF", "1535", "0x10000", "65536", "0x-1", "+51966"] {
            assert_eq!(ethertype(bad), None, "{bad}");
        }
    }
}
