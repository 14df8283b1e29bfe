//! Groups for the tests of listings.

use cvm::snapshot::Snapshot;

use super::source;

/// The group of the facts' sample.
pub(in crate::vx) fn facts() -> Snapshot {
    let mut snapshot = read(FACTS);
    for disk in &mut snapshot.disks {
        disk.path = format!("/dev/{}", disk.access);
    }
    snapshot
}

/// A layered volume: a stripe of mirrors.
pub(in crate::vx) fn layered() -> Snapshot {
    read(LAYERED)
}

/// A group that one disk is missing of, and one was removed from; others have flags.
pub(in crate::vx) fn missing() -> Snapshot {
    let mut snapshot = read(MISSING);
    snapshot.disks.retain(|disk| disk.access != "disk_2");
    snapshot
}

/// A group without anything, which the original does not have.
pub(in crate::vx) fn empty() -> Snapshot {
    read(
        "dg empty dgid=1283432399.7.host1 version=140 serial=0.1 next_rid=0.1024 nconfig=2 nlog=all\n",
    )
}

fn read(text: &str) -> Snapshot {
    source::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

const FACTS: &str = "\
dg mydg dgid=1283432345.33.host1 version=140 cluster=clus1 cds=on minors=15000
    serial=0.1 next_rid=0.1100
dm mydg01 diskid=1283432300.1.host1 device=c1t1d0 publen=71060352 privlen=65536 serial=0.1 rid=0.1024
dm mydg02 diskid=1283432300.2.host1 device=c1t2d0 publen=71060352 privlen=65536 serial=0.1 rid=0.1025
dm mydg03 diskid=1283432300.3.host1 device=c1t3d0 publen=71060352 privlen=65536 serial=0.1 rid=0.1026
sd mydg01-01 dm=mydg01 dmoffset=0 len=2097152 rid=0.1030
sd mydg01-02 dm=mydg01 dmoffset=2097152 len=528 rid=0.1031
sd mydg02-01 dm=mydg02 dmoffset=0 len=1048576 rid=0.1032
sd mydg03-01 dm=mydg03 dmoffset=0 len=1048576 rid=0.1033
plex vol1-01 sd=mydg01-01:0/0 state=ACTIVE kstate=ENABLED rid=0.1040
plex vol1-02 layout=stripe ncolumn=2 stwidth=128 sd=mydg02-01:0/0,mydg03-01:1/0
    state=ACTIVE kstate=ENABLED rid=0.1041
plex vol1-03 log=mydg01-02 state=LOG kstate=ENABLED rid=0.1042
vol vol1 use_type=fsgen len=2097152 plex=vol1-01,vol1-02,vol1-03 state=ACTIVE kstate=ENABLED
    minor=15000 logtype=REGION comment=\"of the facts\" tutil0=ATT rid=0.1050
";

const LAYERED: &str = "\
dg laydg dgid=1283432346.34.host1 version=140 host=host1 cds=on minors=16000 serial=0.1
    next_rid=0.1100
dm laydg01 diskid=1283432301.1.host1 device=disk_4 publen=131072 privlen=65536 serial=0.1 rid=0.1024
dm laydg02 diskid=1283432301.2.host1 device=disk_5 publen=131072 privlen=65536 serial=0.1 rid=0.1025
dm laydg03 diskid=1283432301.3.host1 device=disk_6 publen=131072 privlen=65536 serial=0.1 rid=0.1026
dm laydg04 diskid=1283432301.4.host1 device=disk_7 publen=131072 privlen=65536 serial=0.1 rid=0.1027
sd laydg01-01 dm=laydg01 dmoffset=0 len=10240 rid=0.1030
sd laydg02-01 dm=laydg02 dmoffset=0 len=10240 rid=0.1031
sd laydg03-01 dm=laydg03 dmoffset=0 len=10240 rid=0.1032
sd laydg04-01 dm=laydg04 dmoffset=0 len=10240 rid=0.1033
sd vol1-S01 volume=vol1-L01 len=10240 rid=0.1034
sd vol1-S02 volume=vol1-L02 len=10240 rid=0.1035
plex vol1-01 layout=stripe ncolumn=2 stwidth=128 sd=vol1-S01:0/0,vol1-S02:1/0
    state=ACTIVE kstate=ENABLED rid=0.1040
plex vol1-P01 sd=laydg01-01:0/0 state=ACTIVE kstate=ENABLED rid=0.1041
plex vol1-P02 sd=laydg02-01:0/0 state=ACTIVE kstate=ENABLED rid=0.1042
plex vol1-P03 sd=laydg03-01:0/0 state=ACTIVE kstate=ENABLED rid=0.1043
plex vol1-P04 sd=laydg04-01:0/0 state=STALE kstate=ENABLED rid=0.1044
vol vol1 use_type=fsgen len=20480 plex=vol1-01 state=ACTIVE kstate=ENABLED minor=16000 rid=0.1050
vol vol1-L01 use_type=fsgen len=10240 plex=vol1-P01,vol1-P02 state=ACTIVE kstate=ENABLED
    minor=16001 layer=on rid=0.1051
vol vol1-L02 use_type=fsgen len=10240 plex=vol1-P03,vol1-P04 state=ACTIVE kstate=ENABLED
    minor=16002 layer=on rid=0.1052
";

const MISSING: &str = "\
dg hurt dgid=1283432347.35.host1 version=140 cluster=clus1 cds=on minors=17000 serial=0.1
    next_rid=0.1100
dm hurt01 diskid=1283432302.1.host1 device=disk_1 publen=131072 privlen=65536 serial=0.1 rid=0.1024
    spare=on
dm hurt02 diskid=1283432302.2.host1 device=disk_2 publen=131072 privlen=65536 serial=0.1 rid=0.1025
dm hurt03 device=disk_3 publen=131072 privlen=65536 serial=0.1 rid=0.1026 removed=on
sd hurt01-01 dm=hurt01 dmoffset=0 len=8192 rid=0.1030
sd hurt01-02 dm=hurt01 dmoffset=8192 len=8192 orig_dmname=hurt02 orig_dmoffset=16384 rid=0.1031
sd hurt02-01 dm=hurt02 dmoffset=0 len=8192 rid=0.1032
sd hurt02-02 dm=hurt02 dmoffset=8192 len=8192 rid=0.1033
sd hurt03-01 dm=hurt03 dmoffset=0 len=8192 rid=0.1034
plex vol1-01 sd=hurt01-01:0/0 state=ACTIVE kstate=ENABLED rid=0.1040
plex vol1-02 sd=hurt02-01:0/0 state=NODEVICE kstate=DISABLED rid=0.1041
plex vol1-03 sd=hurt03-01:0/0 state=REMOVED kstate=DISABLED rid=0.1042
plex vol2-01 sd=hurt02-02:0/0 state=ACTIVE kstate=DISABLED rid=0.1043
plex vol3-01 sd=hurt01-02:0/0 state=CLEAN kstate=DISABLED rid=0.1044
plex loose state=EMPTY kstate=DISABLED rid=0.1045
vol vol1 use_type=fsgen len=8192 plex=vol1-01,vol1-02,vol1-03 state=ACTIVE kstate=ENABLED
    minor=17000 rid=0.1050
vol vol2 use_type=gen len=8192 plex=vol2-01 state=ACTIVE kstate=DISABLED minor=17001 rid=0.1051
vol vol3 use_type=gen len=8192 plex=vol3-01 state=CLEAN kstate=DISABLED minor=17002 rid=0.1052
    read_pol=PREFER pref_plex=vol3-01
";
