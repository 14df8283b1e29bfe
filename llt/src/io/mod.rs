//! Sockets, the clock, taps.
