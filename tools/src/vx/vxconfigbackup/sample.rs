//! A group for tests: two mirrors on two disks, and a volume with one copy.

use cvm::model::text::read_group;
use cvm::snapshot::GroupSnapshot;

pub(in crate::vx) fn group() -> GroupSnapshot {
    GroupSnapshot {
        disabled: false,
        group: read_group(TEXT).unwrap(),
        tid: "0.1976".to_owned(),
        epoch: 3,
        local_activation: None,
        activations: Vec::new(),
        copies: Vec::new(),
        config_blocks: 81_440,
        config_free: 81_400,
    }
}

const TEXT: &str = "\
dg mydg dgid=1283432345.33.host1 version=140 cluster=clus1 cds=on serial=0.1 next_rid=0.2000
dm mydg01 diskid=1283432300.1.host1 device=disk_1 publen=131072 privlen=65536 serial=0.1 rid=0.1024
dm mydg02 diskid=1283432300.2.host1 device=disk_2 publen=131072 privlen=65536 serial=0.1 rid=0.1025
dm mydg03 publen=131072 privlen=65536 serial=0.1 removed=on rid=0.1026
sd mydg01-01 dm=mydg01 dmoffset=0 len=8192 rid=0.1027
sd mydg02-01 dm=mydg02 dmoffset=0 len=8192 rid=0.1028
sd mydg02-02 dm=mydg02 dmoffset=8192 len=4096 rid=0.1029
plex vol1-01 sd=mydg01-01:0/0 state=ACTIVE kstate=ENABLED rid=0.1030
plex vol1-02 sd=mydg02-01:0/0 state=ACTIVE kstate=ENABLED rid=0.1031
plex vol2-01 sd=mydg02-02:0/0 state=ACTIVE kstate=ENABLED rid=0.1032
vol vol1 use_type=fsgen len=8192 plex=vol1-01,vol1-02 state=ACTIVE kstate=ENABLED minor=0 rid=0.1033
vol vol2 use_type=fsgen len=4096 plex=vol2-01 state=ACTIVE kstate=ENABLED minor=1 rid=0.1034
";
