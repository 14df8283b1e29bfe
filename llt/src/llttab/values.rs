//! Values of directives: numbers, ranges, durations.

use core::time::Duration;

use crate::ids::{NodeId, NodeSet};
use crate::limits::NODES_MAX;
use crate::llttab::lexer::Word;
use crate::llttab::report::{Problem, Source};

/// A node id in decimal.
pub(super) fn node_id(text: &str) -> Option<NodeId> {
    number(text).and_then(NodeId::new)
}

/// A number in decimal, digits only: no sign, which `parse` would take.
pub(super) fn number<T: core::str::FromStr>(text: &str) -> Option<T> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// The complaint about a word that is no node id.
pub(super) fn expected_node(source: &Source, word: Word<'_>) -> Problem {
    Problem::new(
        source,
        word.span(),
        format!("`{}` is no node id", word.text),
        format!("expected a number from 0 to {}", NODES_MAX - 1),
    )
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

/// A timer: hundredths of a second, or with a unit `ms` or `s`. From 1 ms to one day.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (digits, unit_ms) = if let Some(digits) = text.strip_suffix("ms") {
        (digits, 1)
    } else if let Some(digits) = text.strip_suffix('s') {
        (digits, 1000)
    } else {
        (text, 10)
    };
    let millis = number::<u64>(digits).filter(|_| !digits.is_empty())?.checked_mul(unit_ms)?;
    (1..=86_400_000).contains(&millis).then(|| Duration::from_millis(millis))
}

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
        for bad in ["", "s", "ms", "-5", "+5", "0", "1.5s", "5 s", "5m", "99999999999999999999"] {
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
}
