//! The Wireshark dissector on frames of every kind, through lltdump and tshark.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use etherparse::{EtherType, Ethernet2Header, PacketBuilder};
use gab::wire::{Body, Head};
use gab::{Vid, echo};
use llt::wire::{
    AckRange, BROADCAST_NODE, Data, Header, Heard, HeartbeatHeader, Kind, emit_ack, emit_bye,
    emit_data, emit_datagram, emit_duplicate, emit_heartbeat, emit_probe, emit_request,
};
use llt::{ClusterId, Incarnation, LltPort, NodeId, NodeSet};
use pcap_file::pcap::{PcapPacket, PcapWriter};

fn header(kind: Kind, dst: u8) -> Header {
    Header {
        cluster: ClusterId(4711),
        kind,
        src: 0,
        dst,
        sequence: 12,
        src_incarnation: Incarnation(0xa0),
        dst_incarnation: Incarnation(if dst == BROADCAST_NODE { 0 } else { 0xb0 }),
        src_session: 1,
        dst_session: 2,
        ack: 510,
    }
}

fn node(id: u8) -> NodeId {
    NodeId::new(id).expect("below 128")
}

fn heartbeat(dst: u8, connected: bool) -> Bytes {
    let fixed = HeartbeatHeader {
        sequence: 99,
        broadcast_sequence: 1,
        mtu: 1500,
        window: 256,
        link: 1,
        dead: 0b10,
        beat: 0x3940,
        open_ports: 1 | 1 << 30,
        busy_ports: 1 << 20,
        covers: (0, 127),
    };
    let heard = Heard {
        node: node(1),
        heard: true,
        connected,
        session: 3,
        peer_session: 4,
        echo: 5,
        incarnation: Incarnation(0xb0),
        probe: 6,
    };
    emit_heartbeat(&header(Kind::Heartbeat, dst), &fixed, &[heard])
}

fn data(port: LltPort, payload: Bytes) -> Bytes {
    let data = Data {
        number: 42,
        port,
        first: true,
        last: true,
        message_len: u32::try_from(payload.len()).expect("short"),
        offset: 0,
        more: false,
        payload,
    };
    emit_data(&header(Kind::Data, 1), &data)
}

/// A frame of each kind, and what the info column says of it.
fn frames() -> Vec<(Bytes, &'static str)> {
    let ranges = [AckRange { first: 512, last: 515 }];
    let recipients: NodeSet = [node(1), node(2)].into_iter().collect();
    let refuse = Body::Refuse.encode(Head { vid: Vid::NONE, ack: 0, busy: 0 });
    let mut damaged = emit_bye(&header(Kind::Bye, 1)).to_vec();
    damaged[20] ^= 1;
    vec![
        (heartbeat(1, true), "node 0 > 1 HEARTBEAT 99 on link 1, hears 1"),
        (heartbeat(1, false), "node 0 > 1 CONN_REQ 99 on link 1, hears 1"),
        (heartbeat(BROADCAST_NODE, true), "node 0 > all HEARTBEAT 99 on link 1, hears 1"),
        (
            data(LltPort::PING, echo::question(5, 7, 64, true)),
            "node 0 > 1 DATA packet 42 port 30, 64 of 64 bytes: lltping question 7",
        ),
        (
            data(LltPort::GAB, refuse),
            "node 0 > 1 DATA packet 42 port 0, 36 of 36 bytes: GAB REFUSE view 0.0",
        ),
        (
            emit_ack(&header(Kind::Ack, 1), 517, 9, 1 << 20, &ranges),
            "node 0 > 1 ACK up to 510, and 512-515, asks below 517",
        ),
        (
            emit_datagram(
                &header(Kind::Datagram, BROADCAST_NODE),
                LltPort::new(5).expect("below 32"),
                recipients,
                b"xyz",
            ),
            "node 0 > all DATAGRAM port 5, 3 bytes",
        ),
        (emit_bye(&header(Kind::Bye, 1)), "node 0 > 1 BYE"),
        (emit_duplicate(&header(Kind::Duplicate, 1), Incarnation(9)), "node 0 > 1 DUPLICATE"),
        (emit_probe(&header(Kind::Probe, 1), 3, 1400), "node 0 > 1 PROBE number 3"),
        (emit_request(&header(Kind::Request, 1)), "node 0 > 1 HBREQ"),
        (damaged.into(), "node 0 > 1 BYE"),
    ]
}

/// All frames over Ethernet, then all over UDP.
fn write_pcap(path: &Path, frames: &[(Bytes, &str)]) {
    let file = std::fs::File::create(path).expect("a file");
    let mut writer = PcapWriter::new(file).expect("a header");
    let mut put = |packet: Vec<u8>| {
        let len = u32::try_from(packet.len()).expect("short");
        let packet = PcapPacket::new_owned(Duration::from_secs(1), len, packet);
        writer.write_packet(&packet).expect("room");
    };
    for (frame, _) in frames {
        let (source, destination) = ([2, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 1]);
        let ether_type = EtherType(0xCAFE);
        let header = Ethernet2Header { source, destination, ether_type };
        let mut packet = header.to_bytes().to_vec();
        packet.extend_from_slice(frame);
        put(packet);
    }
    for (frame, _) in frames {
        let mut packet = Vec::new();
        PacketBuilder::ethernet2([2, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 1])
            .ipv4([127, 77, 0, 0], [127, 77, 0, 1], 64)
            .udp(50_000, 50_000)
            .write(&mut packet, frame)
            .expect("it fits");
        put(packet);
    }
}

#[test]
fn tshark_shows_the_fields_of_every_kind() {
    if std::env::var_os("MUSTER_TSHARK").is_none() {
        println!("skipped: tshark is only asked for with MUSTER_TSHARK=1");
        return;
    }
    let found = Command::new("tshark").arg("--version").output();
    assert!(found.is_ok(), "MUSTER_TSHARK is set, and there is no tshark: apt-get install tshark");
    let folder = tempfile::tempdir().expect("a folder");
    let (written, through) = (folder.path().join("a.pcap"), folder.path().join("b.pcap"));
    let frames = frames();
    write_pcap(&written, &frames);
    let status = Command::new(env!("CARGO_BIN_EXE_lltdump"))
        .args(["-r".as_ref(), written.as_os_str(), "-w".as_ref(), through.as_os_str()])
        .status();
    assert!(status.expect("it starts").success());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("wireshark/muster.lua");
    let output = Command::new("tshark")
        .arg("-X")
        .arg(format!("lua_script:{}", script.display()))
        .arg("-r")
        .arg(&through)
        .args(["-T", "fields", "-E", "separator=|"])
        .args(["-e", "_ws.col.Protocol", "-e", "_ws.col.Info", "-e", "muster.cluster"])
        .args(["-e", "muster.bad_checksum", "-e", "_ws.malformed", "-e", "_ws.lua.error"])
        .args(["-e", "muster.open_ports", "-e", "muster.heartbeat.node.probe"])
        .output()
        .expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('|').collect()).collect();
    assert_eq!(lines.len(), 2 * frames.len(), "{text}\n{complaint}");
    for (number, line) in lines.iter().enumerate() {
        let (_, info) = &frames[number % frames.len()];
        assert_eq!(line[..3], ["LLT", *info, "4711"], "frame {number}: {line:?}\n{complaint}");
        let is_damaged = number % frames.len() == frames.len() - 1;
        assert_eq!(!line[3].is_empty(), is_damaged, "the checksum of frame {number}: {line:?}");
        assert_eq!(line[4..6], ["", ""], "frame {number}: {line:?}");
        if info.contains("99 on link") {
            assert_eq!(line[6..8], ["0x40000001", "6"], "frame {number}: {line:?}");
        }
    }
}
