//! What both daemons share: their files, their clock, framed sockets, and waiting.

mod clock;
mod files;
mod framed;
mod jobs;
mod mail;
mod wait;

pub(crate) use clock::{incarnation, now, wall_micros, wall_seconds};
pub(crate) use files::{Lock, end_with_any_thread, install_log, listen, root_of};
pub(crate) use framed::Framed;
pub(crate) use jobs::Jobs;
pub(crate) use mail::{Inbox, Mail, mailbox};
pub(crate) use wait::{interest, wait};
