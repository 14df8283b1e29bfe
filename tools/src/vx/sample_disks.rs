//! What a vxconfigd may know, for tests: two nodes and one that is out, a shared and a private group,
//! and disks in every state.

use cvm::model::text::read_group;
use cvm::model::{Activation, Group};
use cvm::snapshot::{
    ClusterSnapshot, CopySnapshot, DiskSnapshot, GroupSnapshot, NodeSnapshot, RegionSnapshot,
    Snapshot,
};

const SHARED: &str = "\
dg shdg
    dgid=1283432345.33.serverA
    version=140
    cluster=clus1
    cds=on
    nconfig=2
    diskdetpolicy=local
    dgfailpolicy=leave
    serial=0.4
    next_rid=0.1030
dm shdg01 diskid=1283432300.1.serverA device=c1t1d0 publen=131072 privlen=65536 serial=0.4 rid=0.1024
dm shdg02 diskid=1283432300.2.serverA device=c1t2d0 publen=131072 privlen=65536 serial=0.4 rid=0.1025
dm shdg03 diskid=1283432300.3.serverA device=c1t3d0 publen=131072 privlen=65536 serial=0.4 spare=on rid=0.1026
sd shdg01-01 dm=shdg01 dmoffset=0 len=8192 rid=0.1027
sd shdg01-02 dm=shdg01 dmoffset=16384 len=4096 rid=0.1028
";

const PRIVATE: &str = "\
dg mydg
    dgid=1283432346.34.serverA
    version=140
    host=serverA
    noautoimport=on
    nossb=on
    nlog=all
    serial=0.2
    next_rid=0.1030
dm mydg01 diskid=1283432300.5.serverA device=c1t5d0 publen=131072 privlen=4096 serial=0.2 nohotuse=on rid=0.1024
dm mydg02 device=c1t6d0 publen=131072 privlen=4096 serial=0.2 removed=on rid=0.1025
dm mydg05 diskid=1283432300.9.serverA device=c1t9d0 publen=131072 privlen=4096 serial=0.2 rid=0.1026
dm mydg06 diskid=1283432300.7.serverA device=c9t9d9 publen=131072 privlen=4096 serial=0.2 reserve=on failing=on rid=0.1027
";

pub(super) fn snapshot() -> Snapshot {
    let node = |node: u8, name: &str, is_member| NodeSnapshot {
        node,
        name: name.to_owned(),
        is_member,
        is_joiner: false,
    };
    Snapshot {
        mode: "enabled".to_owned(),
        host: "serverA".to_owned(),
        cluster: ClusterSnapshot {
            name: "clus1".to_owned(),
            node: 0,
            state: "cluster member".to_owned(),
            master: Some(0),
            nodes: vec![
                node(0, "serverA", true),
                node(1, "serverB", true),
                node(7, "serverC", false),
            ],
            reconfig_seqnum: 0xf0_a810,
            preference: 5,
            protocol_minimum: 1,
            protocol_maximum: 1,
            has_iod: true,
            ..ClusterSnapshot::default()
        },
        disks: disks(),
        groups: vec![mydg(), shdg()],
        tasks: Vec::new(),
    }
}

fn group(text: &str) -> Group {
    read_group(text).unwrap()
}

fn copy(dm: &str, access: &str, config: Option<bool>, log: Option<bool>) -> CopySnapshot {
    CopySnapshot { dm: dm.to_owned(), access: access.to_owned(), config, log }
}

fn shdg() -> GroupSnapshot {
    GroupSnapshot {
        group: group(SHARED),
        tid: "0.1976".to_owned(),
        epoch: 4,
        local_activation: Some(Activation::ExclusiveWrite),
        activations: vec![(0, Activation::ExclusiveWrite), (1, Activation::Off)],
        disabled: false,
        copies: vec![
            copy("shdg01", "c1t1d0", Some(true), Some(true)),
            copy("shdg02", "c1t2d0", Some(false), Some(false)),
        ],
        config_blocks: 1456,
        config_free: 1448,
    }
}

fn mydg() -> GroupSnapshot {
    GroupSnapshot {
        group: group(PRIVATE),
        tid: "0.7".to_owned(),
        epoch: 1,
        local_activation: None,
        activations: Vec::new(),
        disabled: false,
        copies: vec![copy("mydg01", "c1t5d0", Some(true), Some(true))],
        config_blocks: 800,
        config_free: 790,
    }
}

fn disk(number: u8) -> DiskSnapshot {
    let region = |kind: &str, first, len, enabled| RegionSnapshot {
        kind: kind.to_owned(),
        first,
        len,
        enabled,
    };
    DiskSnapshot {
        access: format!("c1t{number}d0"),
        path: format!("/dev/vx/dmp/c1t{number}d0"),
        id: format!("1283432300.{number}.serverA"),
        created: 1_283_432_300,
        updated: 1_283_432_345,
        seqno: 33,
        private_offset: 128,
        private_len: 65_536,
        public_offset: 65_664,
        public_len: 131_072,
        headers: [0, 3128],
        config_len: 62_400,
        log_len: 2048,
        regions: vec![
            region("config", 3136, 62_400, true),
            region("log", 32, 2048, false),
            region("lockrgn", 2080, 1024, false),
        ],
        ..DiskSnapshot::default()
    }
}

fn member(number: u8, dm: &str, group: &str, imported: bool) -> DiskSnapshot {
    let (id, cluster, host, serial) = match group {
        "shdg" => ("1283432345.33.serverA", "clus1", "", "0.4"),
        "mydg" => ("1283432346.34.serverA", "", "serverA", "0.2"),
        _ => ("1283432000.1.serverD", "", "serverD", "0.1"),
    };
    DiskSnapshot {
        dm: dm.to_owned(),
        group: group.to_owned(),
        group_id: id.to_owned(),
        cluster: cluster.to_owned(),
        host: host.to_owned(),
        serial: serial.to_owned(),
        autoimport: group != "mydg",
        imported,
        ..disk(number)
    }
}

fn disks() -> Vec<DiskSnapshot> {
    let named = |number: u8| DiskSnapshot {
        access: format!("c1t{number}d0"),
        path: format!("/dev/vx/dmp/c1t{number}d0"),
        ..DiskSnapshot::default()
    };
    vec![
        member(1, "shdg01", "shdg", true),
        member(2, "shdg02", "shdg", true),
        DiskSnapshot { spare: true, ..member(3, "shdg03", "shdg", true) },
        disk(4),
        DiskSnapshot { nohotuse: true, ..member(5, "mydg01", "mydg", true) },
        DiskSnapshot { is_invalid: true, ..named(6) },
        DiskSnapshot { failing: true, ..member(7, "mydg06", "mydg", true) },
        member(8, "other01", "other", false),
        DiskSnapshot { error: "Input/output error (os error 5)".to_owned(), ..named(9) },
    ]
}
