//! The format of `run/gab.sock`, a `SOCK_SEQPACKET` socket. Drawn in `docs/wire.md`. Ours.
//!
//! A datagram of at most [`IPC_DATAGRAM_MAX`](crate::limits::IPC_DATAGRAM_MAX) bytes carries one or
//! more records, each padded to nothing, all integers most significant byte first:
//!
//! ```text
//!  0        4      5       6      7      8
//!  +--------+------+-------+------+------+---------- - -
//!  | length | kind | flags | node | zero | body
//!  +--------+------+-------+------+------+---------- - -
//! ```
//!
//! `length` counts the whole record. Client to gabd:
//!
//! | kind | body | meaning |
//! |---|---|---|
//! | 1 Open | version u16, port u8 (letter), name | register; flags: 1 ack, 2 kernel, 4 shared, 8 status |
//! | 2 Broadcast | bytes | flags: 1 SAFE. Costs one message and its bytes of credit |
//! | 3 Send | bytes | to `node`. Costs credit too |
//! | 4 Ack | generation u64 | recovery from this view is done |
//! | 5 Credit | messages u32, bytes u32 | gabd may send so much more |
//! | 6 Close | | unregister; all sent before is ordered first |
//! | 7 Admin | JSON of [`AdminRequest`](crate::admin::AdminRequest) | needs no registration |
//!
//! gabd to client:
//!
//! | kind | body | meaning |
//! |---|---|---|
//! | 65 Opened | version u16 | registered; `node` is the own node id |
//! | 66 Refused | errno u32, text | the Open or the last record was refused |
//! | 67 Deliver | generation u64, sequence u64, bytes | from `node`; flags: 1 SAFE, 2 broadcast. Costs credit |
//! | 68 View | generation u64, five node sets of 16 bytes: members, joined, left, jeopardy, visible | flags: 4 Status. Costs one message of credit |
//! | 69 Closed | errno u32 | the registration ended |
//! | 70 Credit | messages u32, bytes u32 | the client may send so much more |
//! | 71 Answer | JSON text, possibly a part | of Admin; flags: 1 more follows, 2 an [`AdminError`](crate::admin::AdminError) |
//!
//! Credit works both ways and starts at zero: neither side buffers more than it granted. gabd
//! grants what its send queue has room for right after Opened; a client grants what its receive
//! buffer has room for right after Open. A record that breaks the format, or a send without
//! credit, closes the connection with `EPROTO`.
