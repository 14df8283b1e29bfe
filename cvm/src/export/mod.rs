//! How programs get at volumes.

pub mod nbd;
