//! The command line of gabd.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::client::{BUSY_POLL, default_root};
use crate::daemon::halt::HaltPolicy;

/// LLT and GAB of one node: heartbeats, memberships, guaranteed and ordered messages.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "gabd",
    version,
    max_term_width = 100,
    after_help = "\
Files, below the root: etc/llttab, etc/llthosts, etc/gabtab (absent: GAB is not configured);
run/gab.sock, run/metrics.sock, run/lease (what vxiod looks at), run/gabd.pid, run/gabd.halted (why the
last gabd halted); var/log/gabd.log, var/incarnation.

Environment: MUSTER_LOG is a filter of the log (info, gab=debug, ...); MUSTER_NO_RT=1 asks for
neither real-time priority nor locked memory; MUSTER_BUSY_POLL is the default of --busy-poll, and of
programs that use the library.

Exit status: 0 after a clean end; 1 if it could not start; 75 if the node halted: it was
thrown out of the cluster with a kernel-type client registered or under gabconfig -j, it was on the
side without a majority under gabconfig -q, or a supervised client hung and could not be killed, or
died under gabconfig -p; 76 if another node has the same id.

Examples:
  gabd                         run this machine's node
  gabd --check                 check the configuration and do nothing
  gabd --halt reboot --watchdog /dev/watchdog
                               reboot the machine when the node must not go on
  gabd --root /tmp/n0 --testbed  a node of a testbed, with fault injection"
)]
pub(super) struct Args {
    /// Folder that holds etc, run and var of this node; else that of MUSTER_ROOT, else /
    #[arg(long, default_value_os_t = default_root(), hide_default_value = true, value_name = "DIR")]
    pub(super) root: PathBuf,
    /// Accept fault injection through the socket, and run without real-time priority
    #[arg(long)]
    pub(super) testbed: bool,
    /// Do not read etc/gabtab: GAB waits for `gabconfig -c`
    #[arg(long)]
    pub(super) llt_only: bool,
    /// Do not listen for another node with this id before LLT starts
    #[arg(long, short = 'o')]
    pub(super) override_duplicates: bool,
    /// Listen for so many milliseconds; 5000 by default, 0 with --testbed
    #[arg(long, value_name = "MS", conflicts_with = "override_duplicates")]
    listen: Option<u32>,
    /// What the node does when it must not go on; without the right to reboot it exits with 75
    #[arg(long, value_enum, default_value_t = HaltPolicy::Exit, value_name = "POLICY")]
    pub(super) halt: HaltPolicy,
    /// Feed this watchdog device while the node works; only a clean end stops it
    #[arg(long, value_name = "DEVICE")]
    pub(super) watchdog: Option<PathBuf>,
    /// Serve metrics over HTTP on this address, too; they are always on run/metrics.sock
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) metrics: Option<SocketAddr>,
    /// Where a `b` reboots the machine
    #[arg(long, hide = true, default_value = "/proc/sysrq-trigger", value_name = "FILE")]
    pub(super) sysrq: PathBuf,
    /// After messages look for more without sleeping for so many microseconds, up to 1000: less
    /// latency, for processor time that nobody else wants
    #[arg(
        long,
        env = BUSY_POLL,
        hide_env = true,
        default_value_t = 0,
        value_name = "US",
        value_parser = clap::value_parser!(u32).range(0..=1000)
    )]
    busy_poll: u32,
    /// Check the configuration files and exit
    #[arg(long)]
    pub(super) check: bool,
    /// Stay in the foreground, which gabd always does
    #[arg(long, hide = true)]
    pub(super) stay_in_foreground: bool,
}

impl Args {
    /// How long to listen for another node with this id (facts 1.9).
    pub(super) fn listen(&self) -> Duration {
        let default = if self.testbed { 0 } else { LISTEN_MS };
        let listen = if self.override_duplicates { 0 } else { self.listen.unwrap_or(default) };
        Duration::from_millis(listen.into())
    }

    /// How long to look for more after messages before sleeping.
    pub(super) fn busy_poll(&self) -> Duration {
        Duration::from_micros(self.busy_poll.into())
    }
}

/// As `lltconfig` of the original.
const LISTEN_MS: u32 = 5000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_can_be_left_out() {
        let listen = |line: &str| {
            let args = Args::try_parse_from(line.split(' ')).unwrap();
            args.listen().as_millis()
        };
        assert_eq!(listen("gabd"), 5000);
        assert_eq!(listen("gabd -o"), 0);
        assert_eq!(listen("gabd --override-duplicates"), 0);
        assert_eq!(listen("gabd --testbed"), 0);
        assert_eq!(listen("gabd --testbed --listen 300"), 300);
        assert!(Args::try_parse_from(["gabd", "-o", "--listen", "1"]).is_err());
    }
}
