//! LLT: heartbeats, peer liveness and a reliable transport over up to eight links.
//!
//! The crate is a pure core ([`core::Llt`]) with its wire format ([`wire`]), the sealing of frames
//! ([`seal`], behind the feature `auth`) and, behind the feature `io`, the sockets, the clock and
//! the configuration files around it. A frame's way in: `io` receives it,
//! [`core::Llt::handle_frame`] judges it, [`core::Llt::poll_output`] tells the layer above. A
//! message's way out is the mirror image. `docs/architecture.md` draws both.

pub mod config;
pub mod core;
pub mod crc;
pub mod ids;
#[cfg(feature = "io")]
pub mod io;
pub mod limits;
#[cfg(feature = "io")]
pub mod llttab;
pub mod seal;
pub mod stats;
pub mod time;
pub mod wire;

pub use crate::config::Config;
pub use crate::core::Llt;
pub use crate::ids::{ClusterId, Id, Incarnation, LinkAddr, LinkId, LltPort, NodeId, NodeSet};
pub use crate::time::{Duration, Instant};
