//! The C library of GAB: `gab.h`, `libgab.so` and `libgab.a` over `gab::client::Port`.
//!
//! `ffi` holds the functions of `gab.h`: it checks pointers and lengths and is the only module
//! that is unsafe. `port` is a port that several threads may use, `abi` the layout of what
//! goes over the border, `text` the words for errors. `docs/c-api.md` is the way in for users.

mod abi;
mod ffi;
mod port;
mod text;
