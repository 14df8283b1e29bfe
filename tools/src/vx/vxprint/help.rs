//! What `--help` says after the options, and which options are refused by name.

use crate::common::NotYet;

/// Options of the original for what there is none of here.
pub(super) static REFUSED: [NotYet; 4] = [
    NotYet {
        letter: 'c',
        takes_value: false,
        what: "it selects cache objects, which this version does not have",
        meaningless: true,
    },
    NotYet {
        letter: 'H',
        takes_value: false,
        what: "it adds replicated volume groups to -h, which has all that is here",
        meaningless: true,
    },
    NotYet {
        letter: 'P',
        takes_value: false,
        what: "it selects links of replication, which this version does not have",
        meaningless: true,
    },
    NotYet {
        letter: 'V',
        takes_value: false,
        what: "it selects volume sets and replicated volume groups, which this version does not have",
        meaningless: true,
    },
];

pub(super) const EXAMPLES: &str = "\
Examples:
  vxprint                    all records of the default group, else of all groups
  vxprint -g mydg -ht        one group, with what matters for each kind of record
  vxprint -htr vol1          a layered volume with all its layers
  vxprint -l vol1            all about a volume, also which nodes have it open; -lp of plexes, -ls, -ld,
                             -lG
  vxprint -g mydg -vn        names of volumes, for scripts
  vxprint -F \"%name %{len:12} %state\" -v
                             a line of one's own; v:FORMAT is for volumes only
  vxprint -e \"pl_state!=ACTIVE\"
                             the plexes that are not active
  vxprint -g mydg -hmv vol1 >vol1.desc; vxmake -g mydg -d vol1.desc
                             a volume as a description, and made again of it
  vxprint -D backup.cfg -ht  what a description says, without vxconfigd
  vxprint -A --json          all groups, for programs

-r and -L imply -h. Without options and with names only, -h and -r are in force. Without -h
lists have the group, disks, subdisks, plexes, volumes, each by name (subdisks by disk and offset).
Lengths and offsets are sectors of 512 bytes. A dash stands where there is no value. A log that is
kept is ACTIVE here and LOG in descriptions.

Flags of -l say whether a volume is open or closed if all nodes have answered, which is waited for some
seconds; opens is how many programs of which node have it.

Words: v2, p2 and s2 are what a layered volume consists of. STATE of a disk is REMOVED, NODEVICE
(this node has no path to it), FAILING, SPARE, NOHOTUSE or RESERVED. MODE of a subdisk is ENA, NDEV
(its disk has no path here), RMOV (it is removed) or DIS (its layer's volume is not enabled); of a
plex RW, or WO while it is copied to. NVOLLAYR counts layers of volumes, AM/NM active mirrors and
all.

Fields of -F and -e (-F prints a dash for those that a kind of record does not have):
  all        name type dgname assoc
  all but dg rid comment tutil0 tutil1 tutil2 putil0 putil1 putil2
  dg         dgid version cluster host shared autoimport cds minors nconfig nlog diskdetpolicy
             dgfailpolicy ssb serial next_rid
  dm         device path diskid publen privlen len serial state spare nohotuse reserve failing
             removed
  sd, sv     dm dmoffset device path volume len plex vol column ploffset mode orig_dmname
             orig_dmoffset
  pl         vol kstate state len layout ncolumn stwidth sd log loglen mode
  v          use_type kstate state len plex read_pol pref_plex minor path logtype loglen exclusive
             layer user group mode
A pattern of -e is one comparison; v_, pl_, sd_, sv_, dm_ and dg_ before the field select the kind.

JSON: a list of groups {group, tid, epoch, local_activation, activations, disabled, copies,
config_blocks, config_free}; group is an object with name, id, version, owner, autoimport, destroyed, cds, minors,
nconfig, nlog, detach_policy, fail_policy, ssb, serial, next_rid, and disks, subdisks, plexes,
volumes: objects of records by name; copies is a list of {dm, access, config, log}.

Exit codes: 0 done, 1 failed, 2 usage, 3 vxconfigd is not running.";
