//! GAB: ports that clients register on, agreed memberships with generations, guaranteed
//! point-to-point messages and atomic broadcast.
//!
//! [`core::Gab`] is the pure protocol, [`stack::Stack`] puts it on top of LLT; gabd (feature
//! `daemon`) and the simulator run exactly that. Programs use [`client::Port`] (feature
//! `client`), which talks to gabd over `run/gab.sock` in the format of [`ipc`].
//! `docs/ordering.md` walks one message through all of it.

#[cfg(feature = "client")]
pub mod admin;
#[cfg(feature = "client")]
pub mod client;
pub mod core;
#[cfg(feature = "daemon")]
pub mod daemon;
pub mod echo;
pub mod event;
pub mod ids;
pub mod ipc;
#[cfg(feature = "client")]
pub mod lease;
pub mod limits;
pub mod pack;
pub mod snapshot;
pub mod stack;
pub mod wire;

pub use crate::event::{ClientEvent, CloseReason, Delivery, Level, PortView};
pub use crate::ids::{PortName, Versions, Vid, View};
pub use crate::stack::Stack;
