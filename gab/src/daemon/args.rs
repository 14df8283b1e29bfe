//! The command line of gabd.

use std::path::PathBuf;

use clap::Parser;

/// LLT and GAB of one node: heartbeats, memberships, guaranteed and ordered messages.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "gabd",
    version,
    max_term_width = 100,
    after_help = "\
Files, below the root: etc/llttab, etc/llthosts, etc/gabtab (absent: GAB is not configured);
run/gab.sock, run/gabd.pid; var/log/gabd.log, var/incarnation.

Environment: MUSTER_LOG is a filter of the log (info, gab=debug, ...); MUSTER_NO_RT=1 asks for
neither real-time priority nor locked memory.

Exit status: 0 after a clean end; 1 if it could not start; 75 if the node was thrown out of the
cluster with a kernel-type client registered; 76 if an older node has the same id.

Examples:
  gabd                         run this machine's node
  gabd --check                 check the configuration and do nothing
  gabd --root /tmp/n0 --testbed  a node of a testbed, with fault injection"
)]
pub(super) struct Args {
    /// Folder that holds etc, run and var of this node
    #[arg(long, env = "MUSTER_ROOT", default_value = "/", value_name = "DIR")]
    pub(super) root: PathBuf,
    /// Accept fault injection through the socket, and run without real-time priority
    #[arg(long)]
    pub(super) testbed: bool,
    /// Do not read etc/gabtab: GAB waits for `gabconfig -c`
    #[arg(long)]
    pub(super) llt_only: bool,
    /// Check the configuration files and exit
    #[arg(long)]
    pub(super) check: bool,
    /// Stay in the foreground, which gabd always does
    #[arg(long, hide = true)]
    pub(super) stay_in_foreground: bool,
}
