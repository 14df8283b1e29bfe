//! States of volumes and plexes (facts 1.2, 1.3), as the records keep them and listings print them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ids::ParseIdError;

/// An enumeration whose values are single words, in records, listings and JSON alike.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $expected:literal { $($(#[$each:meta])* $value:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
        )]
        #[serde(into = "String", try_from = "String")]
        pub enum $name {
            $($(#[$each])* $value,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$value),+];

            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let found = Self::ALL.iter().find(|value| value.as_str() == text).copied();
                found.ok_or_else(|| ParseIdError { text: text.to_owned(), expected: $expected })
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseIdError;

            fn try_from(text: String) -> Result<Self, ParseIdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.as_str().to_owned()
            }
        }
    };
}

words! {
    /// Accessibility of a volume or plex.
    KernelState: "one of DETACHED, DISABLED, ENABLED" {
        /// Not for applications; operations on plexes are accepted.
        Detached = "DETACHED",
        /// Not accessible.
        Disabled = "DISABLED",
        /// Read and written.
        Enabled = "ENABLED",
    }
}

words! {
    /// What is known of the contents of a volume.
    VolumeState: "a state of volumes such as ACTIVE" {
        /// Started, or was when the machine died: then the plexes may differ.
        Active = "ACTIVE",
        /// Not started, plexes known to be equal.
        Clean = "CLEAN",
        /// Contents never initialised.
        Empty = "EMPTY",
        /// An instant snapshot that is no point in time any more.
        Invalid = "INVALID",
        /// A resynchronisation is due at the next start.
        NeedSync = "NEEDSYNC",
        /// A resynchronisation is under way, or was when the machine died.
        Sync = "SYNC",
    }
}

words! {
    /// What is known of the contents of a plex.
    PlexState: "a state of plexes such as ACTIVE" {
        /// Takes part; or its volume ran when the machine died.
        Active = "ACTIVE",
        /// A consistent copy of a volume that was stopped in order.
        Clean = "CLEAN",
        /// Never initialised.
        Empty = "EMPTY",
        /// An uncorrectable error was seen while it was active: no source for a recovery.
        IoFail = "IOFAIL",
        /// A log plex, always.
        Log = "LOG",
        /// A disk of it is not there.
        NoDevice = "NODEVICE",
        /// Detached by the administrator and not updated.
        Offline = "OFFLINE",
        /// Its disk came back: it must be recovered.
        Recover = "RECOVER",
        /// Its disk was taken out for replacement.
        Removed = "REMOVED",
        /// A snapshot is being copied; after a crash plex and subdisks are removed.
        SnapAtt = "SNAPATT",
        /// Attached as a snapshot; after a crash it is dissociated.
        SnapDis = "SNAPDIS",
        /// Ready to be broken off as a snapshot.
        SnapDone = "SNAPDONE",
        /// A snapshot is being prepared.
        SnapTmp = "SNAPTMP",
        /// Not current, needs a copy.
        Stale = "STALE",
        /// Part of an operation of several steps: dissociated by the next start.
        Temp = "TEMP",
        /// The same, and removed.
        TempRm = "TEMPRM",
        /// The same, and removed with its subdisks.
        TempRmSd = "TEMPRMSD",
    }
}

words! {
    /// How plexes of a volume are chosen for reading (facts 2.2); `prefer` names a plex beside it.
    ReadPolicy: "one of prefer, round, select" {
        /// One plex as long as it is enabled.
        Prefer = "PREFER",
        /// All plexes in turn.
        Round = "ROUND",
        /// The striped plex if there is exactly one, else in turn.
        Select = "SELECT",
    }
}

words! {
    /// Which dirty region log a volume has (facts 2.3).
    LogType: "one of drl, drlseq, none" {
        /// Any region.
        Region = "REGION",
        /// Few regions at a time, for volumes that are written in sequence.
        Sequential = "DRLSEQ",
        /// None: after a crash everything is copied.
        None = "NONE",
    }
}

words! {
    /// Who stops using a plex that one node cannot write (facts 2.10).
    DetachPolicy: "global or local" {
        /// All nodes.
        Global = "global",
        /// That node alone, if others can write it.
        Local = "local",
    }
}

words! {
    /// What happens when the master cannot write the configuration anywhere (facts 2.10).
    FailPolicy: "dgdisable or leave" {
        /// The group is disabled on all nodes.
        DgDisable = "dgdisable",
        /// The master leaves the cluster; another takes over.
        Leave = "leave",
    }
}

words! {
    /// What a node may do with the volumes of a shared group (facts 3.8).
    Activation: "one of exclusivewrite, readonly, sharedread, sharedwrite, off" {
        /// Read and write, nobody else may activate for writing or `readonly`.
        ExclusiveWrite = "exclusive-write",
        /// Nothing.
        Off = "off",
        /// Read, and nobody may activate for writing.
        ReadOnly = "read-only",
        /// Read, whatever others do.
        SharedRead = "shared-read",
        /// Read and write, `exclusivewrite` and `readonly` fail elsewhere.
        SharedWrite = "shared-write",
    }
}

impl Activation {
    /// A mode in any of the ways that it is written: with a hyphen, without, or short.
    pub fn from_any(text: &str) -> Option<Self> {
        let plain: String = text.chars().filter(|letter| *letter != '-').collect();
        let spelt = |mode: &&Self| {
            mode.short() == text || mode.as_str().chars().filter(|c| *c != '-').eq(plain.chars())
        };
        Self::ALL.iter().find(spelt).copied()
    }

    /// Two letters, as `cluster-actv-modes` prints it; `off` as it is.
    pub const fn short(self) -> &'static str {
        match self {
            Self::ExclusiveWrite => "ew",
            Self::Off => "off",
            Self::ReadOnly => "ro",
            Self::SharedRead => "sr",
            Self::SharedWrite => "sw",
        }
    }

    /// May one node hold `self` while another holds `other`? Symmetric (facts 3.8).
    pub const fn agrees_with(self, other: Self) -> bool {
        match (self, other) {
            (Self::Off | Self::SharedRead, _) | (_, Self::Off | Self::SharedRead) => true,
            (Self::ReadOnly, Self::ReadOnly) | (Self::SharedWrite, Self::SharedWrite) => true,
            (
                Self::ExclusiveWrite | Self::ReadOnly | Self::SharedWrite,
                Self::ExclusiveWrite | Self::ReadOnly | Self::SharedWrite,
            ) => false,
        }
    }

    /// Volumes can be opened for reading.
    pub const fn reads(self) -> bool {
        !matches!(self, Self::Off)
    }

    /// Volumes can be opened for writing.
    pub const fn writes(self) -> bool {
        matches!(self, Self::ExclusiveWrite | Self::SharedWrite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CVM-39, facts 3.8: all 25 pairs. Row: held; column: attempted.
    #[test]
    fn cvm_39_the_matrix_of_activation_modes() {
        use Activation::{ExclusiveWrite, Off, ReadOnly, SharedRead, SharedWrite};
        let columns = [ExclusiveWrite, ReadOnly, SharedRead, SharedWrite, Off];
        let rows = [
            (ExclusiveWrite, [false, false, true, false, true]),
            (ReadOnly, [false, true, true, false, true]),
            (SharedRead, [true, true, true, true, true]),
            (SharedWrite, [false, false, true, true, true]),
            (Off, [true, true, true, true, true]),
        ];
        for (held, allowed) in rows {
            for (attempted, allowed) in columns.into_iter().zip(allowed) {
                assert_eq!(held.agrees_with(attempted), allowed, "{held} held, {attempted} tried");
                assert_eq!(attempted.agrees_with(held), allowed, "the other way round");
            }
        }
    }

    #[test]
    fn modes_are_read_in_every_spelling() {
        for &mode in Activation::ALL {
            assert_eq!(Activation::from_any(mode.as_str()), Some(mode));
            assert_eq!(Activation::from_any(mode.short()), Some(mode));
        }
        assert_eq!(Activation::from_any("exclusivewrite"), Some(Activation::ExclusiveWrite));
        assert_eq!(Activation::from_any("write"), None);
    }

    #[test]
    fn words_are_read_back() {
        for &state in PlexState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        let error = "active".parse::<KernelState>().unwrap_err();
        assert_eq!(error.to_string(), "\"active\" is not one of DETACHED, DISABLED, ENABLED");
    }
}
