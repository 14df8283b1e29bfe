//! `set-flow` and `lltconfig -F` (facts 1.6): names, values, and what must hold between them.

use crate::config::Flow;
use crate::limits::{MESSAGE_MAX, SEND_QUEUE_PACKETS_MAX};
use crate::llttab::settings::{Applied, SettingError};
use crate::llttab::texts;
use crate::llttab::values::{number, setting};

impl Flow {
    /// The names in `set-flow` and `lltconfig -F`, in the order of [`flow_rows`].
    pub const NAMES: [&'static str; LIMITS.len()] = {
        let mut names = [""; LIMITS.len()];
        let mut index = 0;
        while index < names.len() {
            names[index] = LIMITS[index].name;
            index += 1;
        }
        names
    };
}

/// Sets one limit: `name:value`, in packets; `rporthighwater` and `rportlowwater` in messages,
/// `largepktlen` in bytes. `linkburst` may be 0: one link per destination.
///
/// `sws` follows `window`, as long as it has the value that follows from it. Whether the limits
/// agree with each other is for [`check_flow`] to say, once all are set.
///
/// # Errors
/// If the name is unknown or the value is not possible; nothing was changed then.
pub fn parse_flow(flow: &mut Flow, text: &str) -> Result<Applied, SettingError> {
    let mut next = *flow;
    let applied = set_limit(&mut next, text)?;
    let kept = applied.name() == SWS || flow.sws != sws_of(flow.window);
    follow(&mut next, |_| kept);
    *flow = next;
    Ok(applied)
}

/// Sets one limit and no other.
pub(super) fn set_limit(flow: &mut Flow, text: &str) -> Result<Applied, SettingError> {
    let (name, value) = setting(text).ok_or(SettingError::Form)?;
    let known = LIMITS.iter().find(|limit| limit.name == name).ok_or(SettingError::Limit)?;
    let Limit { name, field, unit, least, most } = *known;
    let value = number(value).filter(|value| (least..=most).contains(value));
    *field(flow) = value.ok_or(SettingError::Number { unit, least, most })?;
    Ok(Applied::Set(name))
}

/// Gives `sws`, if nobody set it, the value that follows from the window.
pub(super) fn follow(flow: &mut Flow, is_set: impl Fn(&str) -> bool) {
    if !is_set(SWS) {
        flow.sws = sws_of(flow.window);
    }
}

/// Four fifths, as the original's 40 of 50.
fn sws_of(window: usize) -> usize {
    (window * 4 / 5).max(1)
}

fn value(flow: &Flow, name: &str) -> usize {
    let mut flow = *flow;
    let known = LIMITS.iter().find(|limit| limit.name == name);
    known.map_or(0, |limit| *(limit.field)(&mut flow))
}

/// Do the limits agree with each other, and is each one possible?
///
/// # Errors
/// The first contradiction.
pub fn check_flow(flow: &Flow) -> Result<(), FlowError> {
    flow_errors(flow).into_iter().next().map_or(Ok(()), Err)
}

/// All contradictions.
pub(super) fn flow_errors(flow: &Flow) -> Vec<FlowError> {
    let mut errors = Vec::new();
    for &Limit { name, least, most, .. } in &LIMITS {
        let value = value(flow, name);
        if !(least..=most).contains(&value) {
            errors.push(FlowError::Range { name, value, least, most });
        }
    }
    for (low, high) in ORDER {
        let (low_value, high_value) = (value(flow, low), value(flow, high));
        if low_value >= high_value {
            errors.push(FlowError::Order { low, low_value, high, high_value });
        }
    }
    errors
}

/// What is wrong between limits (facts 1.6). The values are as they were given.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FlowError {
    /// One must be less than another.
    #[error("{} ({low_value} and {high_value})", texts::settings_order(low, high))]
    Order {
        /// The name of the one.
        low: &'static str,
        /// Its value.
        low_value: usize,
        /// The name of the other.
        high: &'static str,
        /// Its value.
        high_value: usize,
    },
    /// A value that the limit cannot have.
    #[error("`{name}` cannot be {value}, only {least} to {most}")]
    Range {
        /// Which limit.
        name: &'static str,
        /// Its value.
        value: usize,
        /// The least possible.
        least: usize,
        /// The greatest.
        most: usize,
    },
}

impl FlowError {
    /// What is wrong, without the values.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Order { low, high, .. } => texts::settings_order(low, high),
            Self::Range { .. } => self.to_string(),
        }
    }

    /// The limits that it is about, with their values.
    pub(super) fn parties(&self) -> Vec<(&'static str, String)> {
        match *self {
            Self::Order { low, low_value, high, high_value } => {
                vec![(low, low_value.to_string()), (high, high_value.to_string())]
            }
            Self::Range { name, value, .. } => vec![(name, value.to_string())],
        }
    }
}

/// Names and values as `lltconfig -F query` lists them. Each value is one that [`parse_flow`]
/// takes.
pub fn flow_rows(flow: &Flow) -> Vec<(&'static str, usize)> {
    LIMITS.iter().map(|limit| (limit.name, value(flow, limit.name))).collect()
}

#[derive(Clone, Copy)]
struct Limit {
    name: &'static str,
    field: fn(&mut Flow) -> &mut usize,
    unit: &'static str,
    least: usize,
    most: usize,
}

const fn limit(
    name: &'static str,
    field: fn(&mut Flow) -> &mut usize,
    unit: &'static str,
    least: usize,
    most: usize,
) -> Limit {
    Limit { name, field, unit, least, most }
}

/// In the order of facts 1.6.
const LIMITS: [Limit; 9] = [
    limit("highwater", |flow| &mut flow.highwater, PACKETS, 1, SEND_QUEUE_PACKETS_MAX),
    limit("lowwater", |flow| &mut flow.lowwater, PACKETS, 0, SEND_QUEUE_PACKETS_MAX),
    limit("rporthighwater", |flow| &mut flow.receive_highwater, MESSAGES, 1, WAITING_MAX),
    limit("rportlowwater", |flow| &mut flow.receive_lowwater, MESSAGES, 0, WAITING_MAX),
    // At one packet in flight there is no room for `sws` below it.
    limit("window", |flow| &mut flow.window, PACKETS, 2, WINDOW_MAX),
    limit("linkburst", |flow| &mut flow.linkburst, PACKETS, 0, WINDOW_MAX),
    limit("ackval", |flow| &mut flow.ackval, PACKETS, 1, 256),
    limit(SWS, |flow| &mut flow.sws, PACKETS, 1, WINDOW_MAX),
    limit("largepktlen", |flow| &mut flow.large, "bytes", 1, MESSAGE_MAX),
];
/// The first must be less than the second.
const ORDER: [(&str, &str); 3] =
    [("lowwater", "highwater"), ("rportlowwater", "rporthighwater"), (SWS, "window")];
const SWS: &str = "sws";
const PACKETS: &str = "packets";
const MESSAGES: &str = "messages";
const WINDOW_MAX: usize = 4096;
/// Messages of 64 KiB, each: half a gigabyte for one port whose client sleeps.
const WAITING_MAX: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    fn with(settings: &[&str]) -> Flow {
        let mut flow = Flow::default();
        for setting in settings {
            parse_flow(&mut flow, setting).unwrap();
        }
        flow
    }

    #[test]
    fn the_defaults_agree_with_themselves() {
        check_flow(&Flow::default()).unwrap();
        let mut followed = Flow::default();
        follow(&mut followed, |_| false);
        assert_eq!(followed, Flow::default());
    }

    #[test]
    fn each_name_sets_a_field_of_its_own() {
        let mut seen = std::collections::BTreeSet::new();
        for name in Flow::NAMES {
            let mut flow = Flow::default();
            assert_eq!(set_limit(&mut flow, &format!("{name}:7")), Ok(Applied::Set(name)));
            assert!(seen.insert(format!("{flow:?}")), "{name}");
        }
    }

    #[test]
    fn values_have_bounds() {
        for good in ["linkburst:0", "lowwater:0", "rportlowwater:0", "ackval:256", "window:2"] {
            check_flow(&with(&[good])).unwrap();
        }
        let bad = [
            "linkburst:4097",
            "highwater:0",
            "window:1",
            "sws:0",
            "largepktlen:66561",
            "ackval:-1",
        ];
        for bad in bad {
            let mut flow = Flow::default();
            let error = parse_flow(&mut flow, bad).unwrap_err();
            assert!(matches!(error, SettingError::Number { .. }), "{bad}: {error:?}");
            assert_eq!(flow, Flow::default());
        }
    }

    #[test]
    fn sws_follows_the_window_until_it_is_set() {
        assert_eq!(with(&["window:50"]).sws, 40);
        assert_eq!(with(&["window:50", "window:256"]), Flow::default());
        assert_eq!(with(&["window:2"]).sws, 1);
        let own = with(&["sws:60", "window:50"]);
        assert_eq!(
            check_flow(&own).unwrap_err().to_string(),
            "`sws` must be less than `window` (60 and 50)"
        );
    }

    #[test]
    fn what_came_from_elsewhere_is_checked_too() {
        let flow = Flow { window: 0, ackval: 0, ..Flow::default() };
        assert_eq!(flow_errors(&flow).len(), 3, "{:?}", flow_errors(&flow));
        let error = check_flow(&flow).unwrap_err();
        assert_eq!(error.to_string(), "`window` cannot be 0, only 2 to 4096");
    }

    #[test]
    fn rows_read_back() {
        let flow = with(&["window:50", "linkburst:0", "largepktlen:1500"]);
        let mut back = Flow::default();
        for (name, value) in flow_rows(&flow) {
            parse_flow(&mut back, &format!("{name}:{value}")).unwrap();
        }
        assert_eq!(back, flow);
    }
}
