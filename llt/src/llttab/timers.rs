//! `set-timer` and `lltconfig -T` (facts 1.5): names, values, and what must hold between them.

use core::time::Duration;

use crate::config::Timers;
use crate::llttab::settings::{Applied, SettingError};
use crate::llttab::texts;
use crate::llttab::values::{DURATION_MAX, duration, setting, show};

impl Timers {
    /// The names in `set-timer` and `lltconfig -T`, in the order of [`timer_rows`]. `rpeerinact`
    /// is not among them: it is accepted, and ignored.
    pub const NAMES: [&'static str; TIMERS.len()] = {
        let mut names = [""; TIMERS.len()];
        let mut index = 0;
        while index < names.len() {
            names[index] = TIMERS[index].name;
            index += 1;
        }
        names
    };
}

/// Sets one timer: `name:value`, the value in hundredths of a second or with a unit (`150ms`,
/// `2s`), at most one day; `timetoreqhb`, `timetosendhb`, `arp` and `arpreq` may be 0, never.
///
/// `timetoreqhb` and `reqhbtime` follow `peerinact`, and `timetosendhb` follows `peertrouble`, as
/// long as they have the value that follows from it: a lower `peerinact` needs no other change.
/// Whether the timers agree with each other is for [`check_timers`] to say, once all are set.
///
/// # Errors
/// If the name is unknown or the value is not possible; nothing was changed then.
pub fn parse_timer(timers: &mut Timers, text: &str) -> Result<Applied, SettingError> {
    let (before, derived) = (*timers, Derived::from(timers));
    let mut next = before;
    let applied = set_timer(&mut next, text)?;
    // One that has its derived value was never set, or it makes no difference that it was.
    follow(&mut next, |name| {
        applied.name() == name || derived.value(name) != Some(value(&before, name))
    });
    *timers = next;
    Ok(applied)
}

/// Sets one timer and no other.
pub(super) fn set_timer(timers: &mut Timers, text: &str) -> Result<Applied, SettingError> {
    let (name, value) = setting(text).ok_or(SettingError::Form)?;
    let known = TIMERS.iter().find(|timer| timer.name == name);
    if known.is_none() && name != RDMA {
        return Err(SettingError::Timer);
    }
    let zero = known.is_some_and(|timer| timer.zero);
    let value = duration(value).filter(|value| zero || !value.is_zero());
    let value = value.ok_or(SettingError::Duration { zero })?;
    let Some(known) = known else { return Ok(Applied::Ignored(RDMA)) };
    *(known.field)(timers) = value;
    Ok(if known.name == SERVICE { Applied::Idle(SERVICE) } else { Applied::Set(known.name) })
}

/// Gives timers that nobody set the value that follows from those that were.
pub(super) fn follow(timers: &mut Timers, is_set: impl Fn(&str) -> bool) {
    let derived = Derived::from(timers);
    for timer in &TIMERS {
        if let Some(value) = derived.value(timer.name)
            && !is_set(timer.name)
        {
            *(timer.field)(timers) = value;
        }
    }
}

/// Values that follow from others. With the original's `peerinact` and `peertrouble` they are the
/// original's own: 14 s, 0.4 s, 2 s.
struct Derived {
    request_after: Duration,
    request_gap: Duration,
    starved_after: Duration,
}

impl Derived {
    fn from(timers: &Timers) -> Self {
        let default = Timers::default();
        let inact = timers.peer_inact;
        let gap = (inact / 40).clamp(MILLISECOND, default.request_gap);
        // The last request is to be answered before the link expires.
        let after = (inact / 8 * 7).min(inact.saturating_sub(gap * REQUESTS));
        Self {
            request_after: whole(after.min(default.request_after)),
            request_gap: whole(gap),
            starved_after: timers.peer_trouble.min(default.starved_after),
        }
    }

    fn value(&self, name: &str) -> Option<Duration> {
        match name {
            "reqhbtime" => Some(self.request_gap),
            "timetoreqhb" => Some(self.request_after),
            "timetosendhb" => Some(self.starved_after),
            _ => None,
        }
    }
}

/// Whole milliseconds, as a file can say them.
fn whole(duration: Duration) -> Duration {
    duration - Duration::from_nanos(u64::from(duration.subsec_nanos() % 1_000_000))
}

fn value(timers: &Timers, name: &str) -> Duration {
    let mut timers = *timers;
    let known = TIMERS.iter().find(|timer| timer.name == name);
    known.map_or(Duration::ZERO, |timer| *(timer.field)(&mut timers))
}

/// Do the timers agree with each other, and is each one possible?
///
/// # Errors
/// The first contradiction.
pub fn check_timers(timers: &Timers) -> Result<(), TimerError> {
    timer_errors(timers).into_iter().next().map_or(Ok(()), Err)
}

/// All contradictions.
pub(super) fn timer_errors(timers: &Timers) -> Vec<TimerError> {
    let mut errors = Vec::new();
    for timer in &TIMERS {
        let value = value(timers, timer.name);
        if value > DURATION_MAX || value < MILLISECOND && !(timer.zero && value.is_zero()) {
            errors.push(TimerError::Range { name: timer.name, value });
        }
    }
    for (low, high) in ORDER {
        let (low_value, high_value) = (value(timers, low), value(timers, high));
        if low_value >= high_value {
            errors.push(TimerError::Order { low, low_value, high, high_value });
        }
    }
    let (after, gap, inact) = (timers.request_after, timers.request_gap, timers.peer_inact);
    if !after.is_zero() && after.saturating_add(gap.saturating_mul(REQUESTS)) > inact {
        errors.push(TimerError::Requests { after, gap, inact });
    }
    errors
}

/// What is wrong between timers (facts 1.5). The values are as they were given.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TimerError {
    /// One must be less than another.
    #[error("{} ({} and {})", texts::settings_order(low, high), show(*low_value), show(*high_value))]
    Order {
        /// The name of the one.
        low: &'static str,
        /// Its value.
        low_value: Duration,
        /// The name of the other.
        high: &'static str,
        /// Its value.
        high_value: Duration,
    },
    /// Longer than a day, or less than a millisecond where 0 does not mean never.
    #[error("`{name}` cannot be {value:?}")]
    Range {
        /// Which timer.
        name: &'static str,
        /// Its value.
        value: Duration,
    },
    /// A link would expire before the requests for a heartbeat have been sent. The original keeps
    /// two seconds between `timetoreqhb` and `peerinact`, which is what its five requests take.
    #[error(
        "{} ({} and five times {}, and {})",
        texts::settings_requests(),
        show(*after),
        show(*gap),
        show(*inact)
    )]
    Requests {
        /// `timetoreqhb`.
        after: Duration,
        /// `reqhbtime`.
        gap: Duration,
        /// `peerinact`.
        inact: Duration,
    },
}

impl TimerError {
    /// What is wrong, without the values.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Order { low, high, .. } => texts::settings_order(low, high),
            Self::Range { .. } => self.to_string(),
            Self::Requests { .. } => texts::settings_requests(),
        }
    }

    /// The timers that it is about, with their values.
    pub(super) fn parties(&self) -> Vec<(&'static str, String)> {
        match *self {
            Self::Order { low, low_value, high, high_value } => {
                vec![(low, show(low_value)), (high, show(high_value))]
            }
            Self::Range { name, value } => vec![(name, show(value))],
            Self::Requests { after, gap, inact } => vec![
                ("timetoreqhb", show(after)),
                ("reqhbtime", show(gap)),
                ("peerinact", show(inact)),
            ],
        }
    }
}

/// Names and values as `lltconfig -T query` lists them: hundredths of a second, and what is no
/// whole number of them with its unit (`5ms`). Each value is one that [`parse_timer`] takes.
pub fn timer_rows(timers: &Timers) -> Vec<(&'static str, String)> {
    let row = |timer: &Timer| {
        let millis = value(timers, timer.name).as_millis();
        let is_whole = millis.is_multiple_of(10);
        let text = if is_whole { (millis / 10).to_string() } else { format!("{millis}ms") };
        (timer.name, text)
    };
    TIMERS.iter().map(row).collect()
}

struct Timer {
    name: &'static str,
    field: fn(&mut Timers) -> &mut Duration,
    /// 0 is possible, and means never.
    zero: bool,
}

const fn timer(name: &'static str, field: fn(&mut Timers) -> &mut Duration) -> Timer {
    Timer { name, field, zero: false }
}

const fn timer_or_never(name: &'static str, field: fn(&mut Timers) -> &mut Duration) -> Timer {
    Timer { name, field, zero: true }
}

/// In the order of the original's listing as far as that is known, then those that it may lack.
const TIMERS: [Timer; 14] = [
    timer("heartbeat", |timers| &mut timers.heartbeat),
    timer("heartbeatlo", |timers| &mut timers.heartbeat_lo),
    timer("peertrouble", |timers| &mut timers.peer_trouble),
    timer("peertroublelo", |timers| &mut timers.peer_trouble_lo),
    timer("peerinact", |timers| &mut timers.peer_inact),
    timer("oos", |timers| &mut timers.oos),
    timer("retrans", |timers| &mut timers.retrans),
    timer("service", |timers| &mut timers.service),
    timer_or_never("arp", |timers| &mut timers.forget_addresses),
    timer_or_never("arpreq", |timers| &mut timers.discover),
    timer_or_never("timetoreqhb", |timers| &mut timers.request_after),
    timer("reqhbtime", |timers| &mut timers.request_gap),
    timer_or_never("timetosendhb", |timers| &mut timers.starved_after),
    timer("sendhbcap", |timers| &mut timers.starved_max),
];
/// The first must be less than the second.
const ORDER: [(&str, &str); 4] = [
    ("heartbeat", "peertrouble"),
    ("heartbeatlo", "peertroublelo"),
    ("peertrouble", "peerinact"),
    ("peertroublelo", "peerinact"),
];
/// The timer of RDMA channels.
const RDMA: &str = "rpeerinact";
/// How often the original serves its clients; ours are served at the end of every turn.
const SERVICE: &str = "service";
/// How many requests for a heartbeat there are, `reqhbtime` apart.
const REQUESTS: u32 = 5;
const MILLISECOND: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(settings: &[&str]) -> Timers {
        let mut timers = Timers::default();
        for setting in settings {
            parse_timer(&mut timers, setting).unwrap();
        }
        timers
    }

    #[test]
    fn the_defaults_and_the_fast_ones_agree_with_themselves() {
        check_timers(&Timers::default()).unwrap();
        check_timers(&Timers::fast()).unwrap();
        let mut followed = Timers::default();
        follow(&mut followed, |_| false);
        assert_eq!(followed, Timers::default());
    }

    #[test]
    fn each_name_sets_a_field_of_its_own() {
        let mut seen = std::collections::BTreeSet::new();
        for name in Timers::NAMES {
            let mut timers = Timers::default();
            let applied = set_timer(&mut timers, &format!("{name}:7ms")).unwrap();
            assert_eq!(applied.name(), name);
            assert_eq!(applied == Applied::Idle(name), name == SERVICE);
            assert_ne!(timers, Timers::default(), "{name}");
            assert!(seen.insert(format!("{timers:?}")), "{name}");
        }
        let mut timers = Timers::default();
        assert_eq!(parse_timer(&mut timers, "rpeerinact:700"), Ok(Applied::Ignored(RDMA)));
        assert_eq!(timers, Timers::default());
    }

    #[test]
    fn zero_is_never_where_never_is_possible() {
        for name in Timers::NAMES {
            let mut timers = Timers::default();
            let possible = ["arp", "arpreq", "timetoreqhb", "timetosendhb"].contains(&name);
            let set = parse_timer(&mut timers, &format!("{name}:0"));
            assert_eq!(set.is_ok(), possible, "{name}");
            assert_eq!(check_timers(&timers), Ok(()), "{name}");
        }
    }

    #[test]
    fn what_was_not_set_follows_and_what_was_does_not() {
        let short = with(&["peertrouble:300ms", "peertroublelo:600ms", "peerinact:1s"]);
        let asked = (short.request_after, short.request_gap, short.starved_after);
        let millis = Duration::from_millis;
        assert_eq!(asked, (millis(875), millis(25), millis(300)));
        check_timers(&Timers { heartbeat: millis(50), heartbeat_lo: millis(100), ..short })
            .unwrap();
        let long = with(&["peerinact:1s", "peerinact:32s"]);
        assert_eq!((long.request_after, long.request_gap), (millis(14_000), millis(400)));
        let never = with(&["timetoreqhb:0", "peerinact:8s"]);
        assert_eq!((never.request_after, never.request_gap), (Duration::ZERO, millis(200)));
        let own = with(&["timetoreqhb:13s", "peerinact:8s"]);
        let error = check_timers(&own).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`timetoreqhb` and five times `reqhbtime` must not take longer than `peerinact` \
             (13s and five times 200ms, and 8s)"
        );
    }

    #[test]
    fn the_last_request_may_go_out_just_before_the_end() {
        check_timers(&with(&["timetoreqhb:1400", "peerinact:1600"])).unwrap();
        let late = with(&["timetoreqhb:14001ms", "peerinact:1600"]);
        assert!(matches!(check_timers(&late), Err(TimerError::Requests { .. })));
    }

    #[test]
    fn what_came_from_elsewhere_is_checked_too() {
        let none = Timers { heartbeat: Duration::ZERO, ..Timers::default() };
        let range = TimerError::Range { name: "heartbeat", value: Duration::ZERO };
        assert_eq!(check_timers(&none), Err(range));
        let ages = Timers { starved_max: Duration::MAX, request_gap: Duration::MAX, ..none };
        assert_eq!(timer_errors(&ages).len(), 4, "{:?}", timer_errors(&ages));
    }

    #[test]
    fn rows_are_hundredths_or_have_a_unit() {
        let rows = timer_rows(&with(&["heartbeat:150ms", "oos:5ms", "arp:0"]));
        let of = |name| &rows.iter().find(|row| row.0 == name).unwrap().1;
        assert_eq!(
            (of("heartbeat"), of("oos"), of("arp")),
            (&"15".into(), &"5ms".into(), &"0".into())
        );
        assert_eq!(rows.len(), Timers::NAMES.len());
    }

    proptest! {
        #[test]
        fn a_lower_peerinact_alone_contradicts_no_request(millis in 1_u64..40_000) {
            let timers = with(&[&format!("peerinact:{millis}ms")]);
            let errors = timer_errors(&timers);
            let requests = errors.iter().any(|error| matches!(error, TimerError::Requests { .. }));
            prop_assert!(!requests, "{errors:?}");
        }

        #[test]
        fn rows_read_back(millis in 1_u64..100_000) {
            let timers = with(&[&format!("retrans:{millis}ms"), &format!("peerinact:{millis}ms")]);
            let mut back = Timers::default();
            for (name, value) in timer_rows(&timers) {
                parse_timer(&mut back, &format!("{name}:{value}")).unwrap();
            }
            prop_assert_eq!(back, timers);
        }
    }
}
