//! What administrators ask of gabd, as JSON over `run/gab.sock`. Ours.

use serde::{Deserialize, Serialize};

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
    /// `gabconfig -U`: refused while clients are registered. Answer: `null`, once the node has left.
    GabUnconfigure,
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

/// `gabconfig -c`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct GabConfigure {
    /// `-c`: allow registrations and joining.
    pub configure: bool,
    /// `-n N`.
    pub count: Option<u32>,
    /// `-x`: seed now.
    pub seed: bool,
    /// `-t`: stable timeout in milliseconds.
    pub stable_ms: Option<u64>,
}

/// Answer to [`AdminRequest::GabConfigure`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Configured {
    /// Nothing changed: it already ran with that configuration.
    pub already: bool,
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
pub struct RunningConfig {
    /// Text of the `llttab` that gabd started with.
    pub llttab: String,
    /// Text of the `llthosts` that gabd started with.
    pub llthosts: String,
    /// gabd's process id.
    pub pid: u32,
    /// Started with `--testbed`.
    pub testbed: bool,
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
