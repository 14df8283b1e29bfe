//! The local detach policy: a disk that one node alone cannot write stays in use for the others.

use cvm::model::{KernelState, VolumeState};
use tools::muster::testbed::UpOptions;
use tools::muster::wait;

use crate::hanging::Hanging;
use crate::process::{LIMIT, are_missing, beside_another, options, run};
use crate::process_fuse::is_barred;
use crate::process_volumes::{CLIENTS, check_on, fio, group, prepared_as, verified};

#[test]
fn a_node_that_alone_cannot_write_a_disk_does_not_write_until_it_sees_it_again() {
    if is_barred() || are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let cluster = prepared_as(
        UpOptions { io_timeout: 30, ..options() },
        &["vol1 8m layout=mirror logtype=drl shdg01 shdg02 shdg03"],
    );
    run(&cluster, 0, "vxdg -g shdg set diskdetpolicy=local");
    let disk = Hanging::instead_of(&cluster.cluster.root(1).join("dev/vx/dmp/disk_1"));
    let writes = |node: u8| group(&cluster, 0).volumes["vol1"].writers.contains(&node);
    let (goes_on, fails) = (fio(&cluster, 0, "vol1", "0"), fio(&cluster, 1, "vol1", "4m"));
    wait::until("both nodes write", LIMIT, || Ok((writes(0) && writes(1)).then_some(()))).unwrap();
    disk.fail();
    let failed = fails.wait_with_output().unwrap();
    assert!(!failed.status.success(), "{}", String::from_utf8_lossy(&failed.stdout));
    assert!(!writes(1), "what it has left is known before it is told");
    verified(goes_on);
    wait::until("the copies are equal", LIMIT, || {
        Ok((group(&cluster, 0).volumes["vol1"].state == VolumeState::Active).then_some(()))
    })
    .unwrap();
    let plexes = group(&cluster, 0).plexes;
    assert!(plexes.values().all(|plex| plex.kernel == KernelState::Enabled), "{plexes:?}");
    check_on(&cluster, 0, "vol1");
    // It reads by its other path.
    check_on(&cluster, 1, "vol1");
    assert!(!fio(&cluster, 1, "vol1", "4m").wait_with_output().unwrap().status.success());

    disk.answer();
    wait::until("node 1 writes again", LIMIT, || {
        let again = fio(&cluster, 1, "vol1", "4m").wait_with_output()?;
        Ok(again.status.success().then_some(()))
    })
    .unwrap();
    check_on(&cluster, 0, "vol1");
    drop(cluster);
}
