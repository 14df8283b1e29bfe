//! The daemon gabd.
