//! What errors mean, in words.

use std::ffi::CStr;

use rustix::io::Errno;

/// The meaning of an errno, positive or negated, where GAB has a meaning for it of its own.
pub(crate) fn of(error: i32) -> Option<&'static CStr> {
    let errno = error.checked_abs()?;
    if errno == 0 {
        return Some(c"success");
    }
    MEANINGS.iter().find(|(number, _)| number.raw_os_error() == errno).map(|(_, text)| *text)
}

const MEANINGS: &[(Errno, &CStr)] = &[
    (Errno::AGAIN, c"no room to send now"),
    (Errno::BUSY, c"the port is taken"),
    (Errno::ACCESS, c"no access: port a belongs to GAB, or gabd's socket to others"),
    (Errno::CONNREFUSED, c"gabd is not running"),
    (Errno::CONNRESET, c"gabd is gone"),
    (Errno::INTR, c"a signal was handled while the call waited"),
    (Errno::INVAL, c"an argument makes no sense"),
    (Errno::MSGSIZE, c"the message is longer than 65536 bytes"),
    (Errno::NOBUFS, c"the program did not read its messages"),
    (Errno::NODEV, c"GAB is not configured"),
    (Errno::NOTCONN, c"not a member of the port"),
    (Errno::NOTRECOVERABLE, c"a fault in libgab; close the port"),
    (Errno::PIPE, c"the port is closed"),
    (Errno::PROTO, c"the protocol of gab.sock was broken"),
    (Errno::PROTONOSUPPORT, c"gabd speaks another version"),
    (Errno::SHUTDOWN, c"gabd was stopped"),
    (Errno::STALE, c"stale: the node was ejected, or the generation is not the newest"),
    (Errno::TIME, c"no heartbeat of the program in time"),
    (Errno::TIMEDOUT, c"gabd does not answer"),
    (Errno::TOOBIG, c"gab_options is of a later version and asks for what this one has not"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_signs_mean_the_same() {
        assert_eq!(of(-16), Some(c"the port is taken"));
        assert_eq!(of(16), of(-16));
        assert_eq!(of(0), Some(c"success"));
    }

    #[test]
    fn what_gab_never_says_has_no_meaning_of_its_own() {
        for error in [2, -2, 4096, i32::MAX, i32::MIN] {
            assert_eq!(of(error), None);
        }
    }
}
