//! What a cluster says to itself, by its size: frames and bytes of a message, and of the view change
//! after one node has died, beyond what it says when nothing happens. In virtual time over a perfect
//! wire on which a broadcast is one frame, with the timers of `muster up`.
//!
//! ```text
//! cargo run --release -p benches --bin cost [-- N...]     8 16 32 64 128 if not said
//! ```

use std::time::Duration;

use benches::{Mesh, Traffic};
use bytes::Bytes;
use gab::Level;

const MESSAGES: u32 = 100;
/// Between two messages.
const PAUSE: Duration = Duration::from_millis(1);
/// How long the cluster is listened to while nothing happens.
const IDLE: Duration = Duration::from_secs(2);

fn main() {
    let asked: Vec<u8> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let sizes = if asked.is_empty() { vec![8, 16, 32, 64, 128] } else { asked };
    println!("{:>4}  {:<14} {:>9} {:>9} {:>9}", "n", "what", "frames", "received", "KiB");
    for n in sizes {
        let mut mesh = Mesh::new(n, 9000);
        mesh.rest(IDLE);
        let idle = spent(&mut mesh, |mesh| {
            mesh.rest(IDLE);
            IDLE
        });
        show(n, "idle, a second", idle, Cost::default(), IDLE.as_secs_f64());
        for (name, level) in [("AGREED message", Level::Agreed), ("SAFE message", Level::Safe)] {
            let cost = spent(&mut mesh, |mesh| {
                for _ in 0..MESSAGES {
                    mesh.broadcast(1, level, Bytes::from_static(&[7; 64]));
                    mesh.rest(PAUSE);
                }
                // The last acknowledgements.
                mesh.rest(IDLE);
                PAUSE * MESSAGES + IDLE
            });
            show(n, name, cost, idle, MESSAGES.into());
        }
        let last = usize::from(n) - 1;
        mesh.kill(last);
        let cost = spent(&mut mesh, |mesh| mesh.until_members(last));
        show(n, "view change", cost, idle, 1.0);
    }
}

/// Traffic, and how long it took.
#[derive(Clone, Copy, Default)]
struct Cost {
    frames: f64,
    received: f64,
    bytes: f64,
    seconds: f64,
}

fn spent(mesh: &mut Mesh, act: impl FnOnce(&mut Mesh) -> Duration) -> Cost {
    let before = mesh.traffic();
    let seconds = act(mesh).as_secs_f64();
    let after = mesh.traffic();
    let count = |of: fn(&Traffic) -> u64| {
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let count = (of(&after) - of(&before)) as f64;
        count
    };
    Cost {
        frames: count(|traffic| traffic.frames),
        received: count(|traffic| traffic.received),
        bytes: count(|traffic| traffic.bytes),
        seconds,
    }
}

/// One line: the cost of one of `times`, without what is said anyhow in that time.
fn show(n: u8, what: &str, cost: Cost, idle: Cost, times: f64) {
    let share = if idle.seconds > 0.0 { cost.seconds / idle.seconds } else { 0.0 };
    let each = |cost: f64, idle: f64| (cost - idle * share) / times;
    let frames = each(cost.frames, idle.frames);
    let received = each(cost.received, idle.received);
    let bytes = each(cost.bytes, idle.bytes) / 1024.0;
    println!("{n:>4}  {what:<14} {frames:>9.1} {received:>9.1} {bytes:>9.1}");
}
