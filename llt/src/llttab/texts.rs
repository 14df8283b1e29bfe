//! Every text that a complaint consists of: what is wrong, what was expected there, what to do.
//!
//! They stand in one place so that the tests can prove that each is provoked by some file.

use std::fmt::Display;

macro_rules! texts {
    ($($name:ident($($arg:ident),*) = $text:literal;)*) => {
        $(pub(super) fn $name($($arg: impl Display),*) -> String { format!($text) })*

        /// All of them, with the names of what differs in braces.
        #[cfg(test)]
        pub(super) const ALL: &[&str] = &[$($text),*];
    };
}

texts! {
    // The form of a file and of a line.
    again() = "again";
    bytes_control() = "expected no control characters but tabs and line ends";
    bytes_expected() = "expected UTF-8";
    bytes_wrong() = "the file is not text";
    directive_expected() = "expected a directive";
    directive_known(list) = "known are {list}";
    directive_unknown(word) = "`{word}` is no directive of llttab";
    file_long(most) = "the file is longer than {most} bytes";
    file_long_expected(most) = "expected at most {most} bytes, all of them lines of a configuration";
    first_here() = "first here";
    given_again(what) = "`{what}` is given again; this one counts";
    given_twice(directive) = "`{directive}` is given twice";
    incomplete(directive) = "`{directive}` is not complete";
    line_ends(directive) = "`{directive}` ends before this";
    line_long(most) = "the line is longer than {most} bytes";
    line_long_expected(most) = "expected at most {most} bytes up to the end of this line";
    not_here(word) = "`{word}` does not belong here";
    nothing_expected() = "nothing was expected here";
    start_last() = "must be the last line";
    start_line() = "this one";
    start_not_last() = "there is a line after `start`";
    word_missing(expected) = "expected {expected} after this";

    // Simple values.
    checksum_expected() = "expected 0, 1, 10, 2 or 20";
    checksum_off() = "checksums cannot be turned off";
    cluster_expected() = "expected a cluster id from 0 to 65535";
    flag_expected() = "expected 0 or 1";
    links_min_expected(most) = "expected a number from 1 to {most}";
    range_expected() = "expected a node id or a range of them (2-31), up to 127";

    // Timers and limits.
    duration_expected() =
        "expected hundredths of a second (200), or a unit (2s, 150ms); 1 ms to one day";
    duration_or_never_expected() =
        "expected hundredths of a second (200), or a unit (2s, 150ms); at most one day, or 0 for never";
    limit_expected(unit, least, most) = "expected a number of {unit} from {least} to {most}";
    limit_unknown(list) = "expected a limit: {list}";
    setting_expected() = "expected name:value";
    setting_idle(name) =
        "`{name}` has no effect: clients are served at the end of every turn, which is sooner";
    setting_ignored(name) = "`{name}` means nothing here and is ignored: there are no RDMA links";
    setting_is(name, value) = "`{name}` is {value} here";
    setting_unset(name, value) = "`{name}` is not set and is {value}";
    settings_order(low, high) = "`{low}` must be less than `{high}`";
    settings_requests() =
        "`timetoreqhb` and five times `reqhbtime` must not take longer than `peerinact`";
    timer_unknown(list) = "expected a timer: {list}";

    // The own node.
    node_excluded(node) = "node {node} excludes itself";
    node_excluded_here() = "excluded here";
    node_expected() = "expected a node id, or a name of llthosts";
    node_file(path, error) = "cannot read {path}: {error}";
    node_file_empty(path) = "{path} holds no name";
    node_file_expected() = "expected a file whose first word is the name of this node";
    node_missing() = "the file does not say which node this is";
    node_missing_expected() = "expected `set-node`";
    node_this() = "this node";
    node_unknown(node) = "node `{node}` is not in llthosts";

    // llthosts.
    host_extra() = "a line of llthosts is a node id and a name";
    host_id(word) = "`{word}` is no node id";
    host_id_expected(most) = "expected a number from 0 to {most}";
    host_name_digits(name) = "`{name}` is a number, and would be taken for a node id";
    host_name_expected() = "expected a name after the node id";
    host_name_letters() = "expected a name with a letter in it";
    host_name_missing(node) = "node {node} has no name";
    host_name_other(node) = "the name of node {node} here";
    host_name_this(node) = "and of node {node} here";
    host_name_twice(name) = "{name} is the name of two nodes";
    host_none() = "llthosts names no node";
    host_none_expected() = "expected lines of a node id and a name";
    host_twice(node) = "node {node} is named twice";

    // Links, each by itself.
    broadcast_expected() = "expected an IPv4 broadcast or multicast address, or `-`";
    broadcast_own() = "expected an address that reaches every node of the link, or `-`";
    broadcast_v6_expected() = "expected an IPv6 multicast address, or `-` for that of LLT";
    device_expected() =
        "on Linux: an interface (eth1), or its address (eth-00:15:17:48:b5:80)";
    device_foreign(device) = "`{device}` is a device of another operating system";
    device_mac(device) = "`{device}` is not the address of an interface";
    device_name(device) = "`{device}` cannot be the name of an interface";
    ethertype_expected() = "expected an ethertype from 0x0600 to 0xFFFF (0xCAFE), or `-`";
    ethertype_taken(name) = "expected another ethertype: this one is {name}";
    ip_of_ether() = "expected `-`: an Ethernet link has no IP address";
    link_type_expected() = "expected a link type: `ether`, `udp` or `udp6`";
    link_type_rdma() = "RDMA links are not possible in user space";
    link_type_help() = "an Ethernet card carries `ether` links as well, an InfiniBand card `udp` links";
    local_expected() = "expected an IPv4 address of this node";
    local_scope() = "expected the interface of a link-local address with it: fe80::1%eth0";
    local_scope_unknown(name) = "there is no interface `{name}`, and the link will not open";
    local_v6_expected() = "expected an IPv6 address of this node";
    mtu_expected(least, most) = "expected `-` or a number of bytes from {least} to {most}";
    nodes_expected() = "expected `-`, a node id or a range of them (0-3)";
    port_expected() = "expected a UDP port from 1 to 65535, by custom from 49152; it has no default";
    port_low(port) =
        "port {port} is below 49152: the system may have given it to another program";
    tag_expected() = "expected a name for the link";

    // Links together.
    fate_address(first, second, ip) =
        "links `{first}` and `{second}` share the address {ip}: they fail together";
    fate_device(first, second, device) =
        "links `{first}` and `{second}` share the device {device}: they fail together";
    link_address(address) = "two links share the address {address}";
    link_address_help() = "each link needs an address or a port of its own";
    link_device(device, ethertype) = "two links share the device {device} and the ethertype {ethertype}";
    link_device_help() = "a second link on one device adds nothing: they fail together";
    link_lines() = "expected one `link` or `link-lowpri` line, and what belongs to it";
    link_none() = "no link is configured";
    link_none_expected() = "expected a `link` line";
    link_of_others() = "expected one for this node";
    link_of_others_all() = "every link is for other nodes";
    link_of_others_out(tag) = "link `{tag}` is for other nodes and left out";
    link_running(tag) = "link `{tag}` is there already";
    link_taken() = "already taken by this link";
    link_taken_again() = "this one too";
    link_tag(tag) = "two links have the tag `{tag}`";
    links_few(count) = "only {count} links are configured";
    links_few_last() = "the last link";
    links_few_required() = "more than that are required here";
    links_many(count) = "{count} links are configured";
    links_many_most(most) = "at most {most} are possible";

    // Addresses of other nodes.
    address_expected() =
        "expected an IP address without a port, or an Ethernet address (00:15:17:48:b5:80)";
    address_kind(address) = "`{address}` is of another kind than the link";
    address_kind_ether() = "expected an Ethernet address";
    address_kind_v4() = "expected an IPv4 address";
    address_kind_v6() = "expected an IPv6 address";
    address_link(tag) = "no link has the tag `{tag}`";
    address_link_expected() = "expected the tag of a link";
    address_many(address) = "`{address}` is not the address of one node";
    address_node(node) = "`{node}` is no node";
    address_node_help() = "addresses are only for nodes of llthosts";
    address_other() = "expected another address";
    address_own(node) = "node {node} has this node's own address on the link";
    address_shared(first, second, address) = "nodes {first} and {second} share {address}";
    address_single() = "expected the address of one node";
    address_twice(node, tag) = "node {node} has two addresses on link `{tag}`";
    reach_help() = "give every other node an address: set-addr NODE TAG ADDRESS";
    reach_link(tag) = "link `{tag}` looks for nobody by broadcast, and no node has an address on it";
    reach_nobody() = "no other node can be reached";
    reach_nobody_here() = "no link looks for nodes by broadcast, and no node has an address (`set-addr`)";
    reach_node(node) = "node {node} has no address on any link: it has to speak first";
}
