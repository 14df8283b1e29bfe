//! What a cluster says to itself, by its size: frames and bytes of a message, and of the view change
//! after one node has died, without signs of life. In virtual time over a perfect wire on which a
//! broadcast is one frame, with the timers of `muster up`.
//!
//! ```text
//! cargo run --release -p benches --bin cost [-- N...]     8 16 32 64 128 if not said
//! ```

use std::time::Duration;

use benches::{Count, Mesh, Traffic};
use bytes::Bytes;
use gab::Level;

const MESSAGES: u32 = 100;
/// Between two messages.
const PAUSE: Duration = Duration::from_millis(1);
/// How long the cluster is listened to while nothing happens, or what was begun ends.
const REST: Duration = Duration::from_secs(2);

fn main() {
    let asked: Vec<u8> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let sizes = if asked.is_empty() { vec![8, 16, 32, 64, 128] } else { asked };
    println!("{:>4}  {:<22} {:>9} {:>9} {:>9}", "n", "what", "frames", "received", "KiB");
    for n in sizes {
        let mut mesh = Mesh::new(n, 9000);
        mesh.rest(REST);
        let idle = spent(&mut mesh, |mesh| mesh.rest(REST));
        show(n, "signs of life a second", idle.heartbeats, REST.as_secs_f64());
        for (name, level) in [("AGREED message", Level::Agreed), ("SAFE message", Level::Safe)] {
            let cost = spent(&mut mesh, |mesh| {
                for _ in 0..MESSAGES {
                    mesh.broadcast(1, level, Bytes::from_static(&[7; 64]));
                    mesh.rest(PAUSE);
                }
                // The last acknowledgements.
                mesh.rest(REST);
            });
            show(n, name, cost.frames, MESSAGES.into());
        }
        let last = usize::from(n) - 1;
        mesh.kill(last);
        let cost = spent(&mut mesh, |mesh| {
            mesh.until_members(last);
        });
        show(n, "view change", cost.frames, 1.0);
    }
}

fn spent(mesh: &mut Mesh, act: impl FnOnce(&mut Mesh)) -> Traffic {
    let before = mesh.traffic();
    act(mesh);
    let after = mesh.traffic();
    let count = |of: fn(&Traffic) -> Count| Count {
        sent: of(&after).sent - of(&before).sent,
        bytes: of(&after).bytes - of(&before).bytes,
        received: of(&after).received - of(&before).received,
    };
    Traffic { heartbeats: count(|traffic| traffic.heartbeats), frames: count(|t| t.frames) }
}

/// One line: the cost of one of `times`.
fn show(n: u8, what: &str, count: Count, times: f64) {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let each = |count: u64| count as f64 / times;
    let (sent, received, bytes) = (each(count.sent), each(count.received), each(count.bytes));
    println!("{n:>4}  {what:<22} {sent:>9.1} {received:>9.1} {:>9.1}", bytes / 1024.0);
}
