//! Requests and what comes of them.
