//! Volumes as programs reach them: images that QEMU converts.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::Path;

use crate::process::{are_missing, beside_another};
use crate::process_volumes::{CLIENTS, check_on, output, prepared, qemu_io, succeeds, uri};

/// An image of QEMU's own kind, of 8 MB, that holds something here and nothing there.
fn image(path: &Path) {
    let path = path.to_str().unwrap();
    succeeds("qemu-img", &["create", "-q", "-f", "qcow2", path, "8m"]);
    qemu_io("qcow2", path, &["write -P 1 0 1m", "write -P 2 3m 512", "write -P 3 7m 1m"]);
}

/// True: QEMU says that the image and the volume hold the same. False: it says that they do not.
fn are_equal(image: &Path, volume: &str) -> bool {
    let words = ["compare", "-f", "qcow2", "-F", "raw", image.to_str().unwrap(), volume];
    let output = output("qemu-img", &words);
    match output.status.code() {
        Some(0) => true,
        Some(1) => false,
        _ => panic!("{}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// Done when of issue 7: qemu-img converts, compares and informs.
#[test]
fn qemu_img_converts_an_image_into_a_volume_and_back() {
    if are_missing(CLIENTS) || are_missing(&["qemu-img"]) {
        return;
    }
    let _room = beside_another();
    let cluster = prepared(&["vol1 8m layout=mirror", "sm 8m layout=stripe-mirror ncol=2"]);
    let (first, back) = (cluster.folder().join("first"), cluster.folder().join("back"));
    image(&first);
    for (volume, into, from) in [("vol1", 0, 1), ("sm", 1, 0)] {
        let (into, from) = (uri(&cluster, into, volume), uri(&cluster, from, volume));
        let told = succeeds("qemu-img", &["info", "--output=json", &from]);
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!((&told["virtual-size"], &told["format"]), (&(8 << 20).into(), &"raw".into()));
        assert!(!are_equal(&first, &from), "nothing was written yet");
        // The volume is there already: -n.
        let words = ["convert", "-n", "-f", "qcow2", "-O", "raw", first.to_str().unwrap(), &into];
        succeeds("qemu-img", &words);
        assert!(are_equal(&first, &into) && are_equal(&first, &from), "{volume}");
        let words = ["convert", "-f", "raw", "-O", "qcow2", &from, back.to_str().unwrap()];
        succeeds("qemu-img", &words);
        let words = ["compare", "-f", "qcow2", "-F", "qcow2"];
        let both = [first.to_str().unwrap(), back.to_str().unwrap()];
        succeeds("qemu-img", &[&words[..], &both].concat());
        // One sector less is noticed, and by the other node.
        qemu_io("raw", &from, &["write -P 9 3m 512"]);
        assert!(!are_equal(&first, &into), "{volume}");
        check_on(&cluster, 1, volume);
    }
    cluster.down().unwrap();
}
