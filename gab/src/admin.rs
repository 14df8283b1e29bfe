//! What administrators ask of gabd, as JSON over `run/gab.sock`. Ours.

mod options;

use serde::{Deserialize, Serialize};

pub use options::{GabQueue, MEANINGLESS, Meaningless, QueueError, protocol_version};

/// One request. The answer is JSON too: what each variant names, or an [`AdminError`].
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdminRequest {
    /// The configuration in force. Answer: [`RunningConfig`].
    Config,
    /// What the taps do to frames; only a gabd started with `--testbed` accepts it. Answer: `null`.
    Faults(FaultRequest),
    /// `gabconfig -c`. Answer: [`Configured`].
    GabConfigure(GabConfigure),
    /// `gabport -p PORT`: who is on a port, and how its supervised client fares. Answer: [`PortInfo`].
    GabPort {
        /// The letter.
        port: String,
    },
    /// `gabport -p PORT -h MS` and `-d`: another heartbeat timeout for the supervised client on a
    /// port, 100 ms to an hour, or what it registered with. Answer: the timeout in force, in
    /// milliseconds. Refused where nobody is supervised.
    GabPortHeartbeat {
        /// The letter.
        port: String,
        /// Milliseconds; `None` is the client's own.
        ms: Option<u64>,
    },
    /// `gabconfig -U`: refused while clients are registered. Answer: `null`, once the node has left.
    GabUnconfigure,
    /// `lltconfig -a`: addresses of peers. Answer: [`Changed`].
    LltAddress(AddressChange),
    /// `lltconfig -i`, `-x`: nodes that LLT ignores. Answer: [`Changed`].
    LltExclude(Exclude),
    /// `lltconfig -F`: limits of flow control, all or none. Answer: [`Changed`].
    LltFlow(Vec<Setting>),
    /// `lltconfig -t TAG -d DEVICE`: another link. Answer: [`Changed`].
    LltLinkAdd(LinkAdd),
    /// `lltconfig -t TAG -L enable|disable`. Answer: [`Changed`].
    LltLinkEnable {
        /// Which link.
        tag: String,
        /// Or disabled.
        enabled: bool,
    },
    /// `lltconfig -u TAG`: only a disabled link, and never the last. Answer: [`Changed`].
    LltLinkRemove {
        /// Which link.
        tag: String,
    },
    /// `lltconfig -T`: timers, all or none. Answer: [`Changed`].
    LltTimers(Vec<Setting>),
    /// `lltconfig -U`: refused while GAB is configured. Answer: `null`; gabd then ends.
    LltUnconfigure,
    /// `lltstat -z`. Answer: `null`.
    LltZero,
    /// `lltconfig --reload-keys`: read `etc/muster.key` again. Refused, and nothing changed, if the
    /// file is bad, if no key in force is in it, if it is gone, or if gabd runs without keys.
    /// Answer: [`KeysInForce`].
    ReloadKeys,
    /// Everything that listings show. Answer: [`Snapshot`](crate::snapshot::Snapshot).
    Snapshot,
}

/// What `lltconfig -a` changes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressChange {
    /// Forgets the address of a node on a link, be it set or learned.
    Delete {
        /// Its id, or its name in `llthosts`.
        node: String,
        /// The link.
        tag: String,
    },
    /// Forgets all that were learned.
    Flush,
    /// Sets the address of a node on a link; what it is heard from changes nothing about it.
    Set {
        /// Its id, or its name in `llthosts`.
        node: String,
        /// The link.
        tag: String,
        /// As `set-addr` takes it.
        address: String,
    },
}

/// What a change of LLT at run time did. It holds until gabd ends, also over an ejection; the
/// files are as they were.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Changed {
    /// One sentence for each thing that changed; empty if all was so already.
    pub changed: Vec<String>,
    /// Lines of `llttab` that make it last.
    pub keep: Vec<String>,
    /// What was accepted and means nothing here.
    pub warnings: Vec<String>,
}

/// Nodes that LLT is to ignore, or not to ignore any more.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Exclude {
    /// The lowest node id.
    pub low: u8,
    /// The highest.
    pub high: u8,
    /// Ignore them; else heed them.
    pub exclude: bool,
}

/// A link to be added: the fields of a line in `llttab`. What is `None` is a `-` there.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct LinkAdd {
    /// Its name.
    pub tag: String,
    /// The device; for UDP a placeholder.
    pub device: String,
    /// `ether`, `udp` or `udp6`.
    pub kind: String,
    /// The ethertype, or the UDP port.
    pub sap: Option<String>,
    /// The largest frame in bytes.
    pub mtu: Option<String>,
    /// Own address; UDP only.
    pub address: Option<String>,
    /// Where one datagram reaches everybody; UDP only.
    pub broadcast: Option<String>,
    /// Low priority.
    pub lowpri: bool,
}

impl LinkAdd {
    /// The line as it stands in `llttab`.
    pub fn line(&self) -> String {
        let Self { tag, device, kind, .. } = self;
        let directive = if self.lowpri { "link-lowpri" } else { "link" };
        let or_dash = |field: &Option<String>| field.clone().unwrap_or_else(|| "-".to_owned());
        let mut line = format!("{directive} {tag} {device} - {kind}");
        for field in [&self.sap, &self.mtu] {
            line += &format!(" {}", or_dash(field));
        }
        if kind != "ether" || self.address.is_some() || self.broadcast.is_some() {
            for field in [&self.address, &self.broadcast] {
                line += &format!(" {}", or_dash(field));
            }
        }
        line
    }
}

/// A `name:value`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Setting {
    /// The name.
    pub name: String,
    /// The value as written.
    pub value: String,
}

/// What `gabconfig -c` and its switches change; what is absent stays.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct GabConfigure {
    /// `-c`: allow registrations and joining.
    pub configure: bool,
    /// `-n N`.
    pub count: Option<u32>,
    /// `-x`: seed now.
    pub seed: bool,
    /// `-t`: stable timeout in milliseconds.
    pub stable_ms: Option<u64>,
    /// `-q` or `-d`: only a majority goes on.
    pub quorum: Option<bool>,
    /// `-j` or `-J`: halt when thrown out.
    pub rejoin_halt: Option<bool>,
    /// `-s`: nobody asks for a majority.
    pub single_network: Option<bool>,
    /// `-f`: IOFENCE timeout in milliseconds.
    pub iofence_ms: Option<u64>,
    /// `-k`: never halt for a client that cannot be killed.
    pub keep_killing: Option<bool>,
    /// `-b` or `-B`: halt instead of killing a client without a heartbeat.
    pub missed_heartbeat_halt: Option<bool>,
    /// `-p` or `-P`: halt when the process of a supervised or kernel-type client dies.
    pub process_death_halt: Option<bool>,
    /// `-S`.
    pub set: Vec<GabTunable>,
    /// `-Q`; of several for one queue the last counts.
    pub queues: Vec<GabQueue>,
    /// `-V`: the protocol version to speak.
    pub version: Option<u8>,
}

/// A parameter that `gabconfig -S name:value` sets at run time (facts 2.6).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GabTunable {
    /// `client_stall`: a client that does not read for so many milliseconds is closed (ours).
    ClientStall(u32),
    /// `conn_wait`: a member that stalls view changes for so many stable times is dropped.
    ConnWait(u32),
    /// `drain_time`: a kernel-type client stays registered for so many milliseconds after its process
    /// is gone, or longer if its socket has not hung up by then (ours).
    DrainTime(u32),
    /// `isolate_time`: a process that was killed may live for so many milliseconds before the node
    /// halts.
    IsolateTime(u32),
    /// `kill_ntries`: attempts to kill a process, the last one with SIGKILL.
    KillNtries(u32),
    /// `rejoin_hold`: a node that comes back alive after it was removed has to be connected for so many
    /// stable times before it is let in again (ours).
    RejoinHold(u32),
    /// `rm_action`: what happens when a client that died has not registered again in time: `panic`,
    /// the node halts, or `syslog` (ours; facts 2.12).
    RmAction {
        /// `panic`.
        halt: bool,
    },
    /// `rm_timeout`: that time, in milliseconds (ours; facts 2.12).
    RmTimeout(u32),
}

/// Why a text is no [`GabTunable`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TunableError {
    /// There is no such name, or no colon.
    #[error(
        "expected client_stall:MS, conn_wait:N, drain_time:MS, isolate_time:MS, kill_ntries:N, \
         rejoin_hold:N, rm_action:syslog, rm_action:panic or rm_timeout:MS"
    )]
    Name,
    /// The value is out of its range.
    #[error("expected {name} from {least} to {most}")]
    Value {
        /// Whose.
        name: &'static str,
        /// The least that it takes.
        least: u32,
        /// The most.
        most: u32,
    },
}

impl GabTunable {
    /// Its name, the least and the most that it takes, and its value.
    const fn range(self) -> Option<(&'static str, u32, u32, u32)> {
        Some(match self {
            Self::ClientStall(value) => ("client_stall", 100, HOUR_MS, value),
            Self::ConnWait(value) => ("conn_wait", 1, 256, value),
            Self::DrainTime(value) => ("drain_time", 0, HOUR_MS, value),
            Self::IsolateTime(value) => ("isolate_time", 16_000, 240_000, value),
            Self::KillNtries(value) => ("kill_ntries", 3, 10, value),
            Self::RejoinHold(value) => ("rejoin_hold", 0, 256, value),
            Self::RmAction { .. } => return None,
            Self::RmTimeout(value) => ("rm_timeout", 100, HOUR_MS, value),
        })
    }

    /// Is its value one that it takes?
    ///
    /// # Errors
    /// The range, if it is not.
    pub fn check(self) -> Result<Self, TunableError> {
        match self.range() {
            Some((name, least, most, value)) if value < least || value > most => {
                Err(TunableError::Value { name, least, most })
            }
            Some(_) | None => Ok(self),
        }
    }
}

impl std::str::FromStr for GabTunable {
    type Err = TunableError;

    fn from_str(text: &str) -> Result<Self, TunableError> {
        let (name, value) = text.split_once(':').ok_or(TunableError::Name)?;
        let make = match name {
            "client_stall" => Self::ClientStall,
            "conn_wait" => Self::ConnWait,
            "drain_time" => Self::DrainTime,
            "isolate_time" => Self::IsolateTime,
            "kill_ntries" => Self::KillNtries,
            "rejoin_hold" => Self::RejoinHold,
            "rm_timeout" => Self::RmTimeout,
            "rm_action" => {
                return match value {
                    "panic" => Ok(Self::RmAction { halt: true }),
                    "syslog" => Ok(Self::RmAction { halt: false }),
                    _ => Err(TunableError::Name),
                };
            }
            _ => return Err(TunableError::Name),
        };
        let digits = value.bytes().all(|byte| byte.is_ascii_digit());
        // What is no number is as far out of the range as the largest.
        let number = value.parse().ok().filter(|_| digits).unwrap_or(u32::MAX);
        make(number).check()
    }
}

impl GabConfigure {
    /// What the command would have refused: whoever connects may ask for anything.
    ///
    /// # Errors
    /// The text for people.
    pub fn check(&self) -> Result<(), String> {
        for (name, ms) in [("-t", self.stable_ms), ("-f", self.iofence_ms)] {
            if ms.is_some_and(|ms| !TIMEOUT_MS.contains(&ms)) {
                let (least, most) = (TIMEOUT_MS.start(), TIMEOUT_MS.end());
                return Err(format!("{name} takes from {least} to {most} milliseconds"));
            }
        }
        if self.count.is_some_and(|count| !(1..=128).contains(&count)) {
            return Err("-n takes from 1 to 128 nodes".to_owned());
        }
        for tunable in &self.set {
            tunable.check().map_err(|error| error.to_string())?;
        }
        if self.queues.iter().any(|queue| !queue.is_valid()) {
            return Err("-Q takes from 1 to 4096 messages".to_owned());
        }
        let version = self.version.map(|version| protocol_version(&version.to_string()));
        match version {
            Some(Err(spoken)) => Err(format!("-V: {spoken}")),
            Some(Ok(_)) | None => Ok(()),
        }
    }
}

/// What `-t` and `-f` take, in milliseconds.
pub const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 1..=600_000;
/// The longest time that a parameter of `-S` takes.
pub const HOUR_MS: u32 = 3_600_000;

/// Answer to [`AdminRequest::GabConfigure`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Configured {
    /// Nothing changed: it already ran with that configuration.
    pub already: bool,
}

/// Answer to [`AdminRequest::GabPort`] (facts 2.12).
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct PortInfo {
    /// The letter.
    pub port: String,
    /// What this node has on the port: 1 a registration, 2 a shared one, 4 a kernel-type client, 8 a
    /// supervised client. Ours; what the original's mean is not known.
    pub flags: u32,
    /// Names of the members in `llthosts`, or their ids where they have none.
    pub members: Vec<String>,
    /// The heartbeat timeout of the supervised client in milliseconds; without one the default.
    pub heartbeat_ms: u64,
    /// It is warned of a missing heartbeat after so many milliseconds, and so often.
    pub warn_ms: u64,
    /// How many heartbeats came within each fifth of the timeout after the one before.
    pub buckets: [u64; 5],
}

impl PortInfo {
    /// A port without a supervised client, of which nothing else is known yet.
    pub fn unsupervised(port: &str) -> Self {
        Self { port: port.to_owned(), heartbeat_ms: 15_000, warn_ms: 1000, ..Self::default() }
    }
}

/// Answer to [`AdminRequest::ReloadKeys`].
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct KeysInForce {
    /// Their ids, eight hexadecimal digits each; the first seals. None: gabd runs without keys, and
    /// there is no file.
    pub keys: Vec<String>,
}

/// Answer to [`AdminRequest::Config`].
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct RunningConfig {
    /// Text of the `llttab` that gabd started with.
    pub llttab: String,
    /// Text of the `llthosts` that gabd started with.
    pub llthosts: String,
    /// gabd's process id.
    pub pid: u32,
    /// Started with `--testbed`.
    pub testbed: bool,
    /// It still listens for another node with its id.
    pub listening: bool,
    /// What was changed since, as lines of `llttab` or sentences, oldest first.
    pub changed: Vec<String>,
    /// What it complained of at start, beside what is wrong with `llttab`: links that were not opened,
    /// in the words of the original's `lltconfig`, and that frames are not authenticated.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// What the taps of one gabd do, both to what it sends and to what it receives. A request replaces
/// what was set before for the same links.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct FaultRequest {
    /// Only this link (0 to 7); all if absent.
    pub link: Option<u8>,
    /// Link is cut both ways.
    pub cut: Option<bool>,
    /// Every frame received is lost.
    #[serde(default)]
    pub deaf: Option<bool>,
    /// Every frame sent is lost.
    #[serde(default)]
    pub mute: Option<bool>,
    /// Nodes from and to which every frame is lost, on the named links.
    pub blocked: Option<Vec<u8>>,
    /// Probabilities and delay for frames sent.
    pub rates: Option<FaultRates>,
    /// First set everything back to no fault.
    pub clear: bool,
}

/// Faults per frame sent. Probabilities from 0 to 1.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct FaultRates {
    /// Lost.
    pub loss: f64,
    /// Sent twice.
    pub dup: f64,
    /// One bit flipped.
    pub corrupt: f64,
    /// Held back behind later ones.
    pub reorder: f64,
    /// Extra delay in microseconds.
    pub delay_us: u64,
}

/// Why a request was refused; nothing was changed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[error("{text}")]
pub struct AdminError {
    /// The original's message id (`V-15-1-20015`), where it has one.
    pub id: Option<String>,
    /// For people.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_reads_as_in_llttab() {
        let ether = LinkAdd {
            tag: "eth3".into(),
            device: "eth-00:15:17:48:b5:80".into(),
            kind: "ether".into(),
            ..LinkAdd::default()
        };
        assert_eq!(ether.line(), "link eth3 eth-00:15:17:48:b5:80 - ether - -");
        let udp = LinkAdd {
            tag: "l2".into(),
            device: "udp".into(),
            kind: "udp".into(),
            sap: Some("50002".into()),
            address: Some("192.168.1.1".into()),
            lowpri: true,
            ..LinkAdd::default()
        };
        assert_eq!(udp.line(), "link-lowpri l2 udp - udp 50002 - 192.168.1.1 -");
    }
}
