-- Wireshark dissector for the frames of muster: LLT over Ethernet (type 0xCAFE) and over UDP, sealed
-- frames, the messages of GAB in them, and the questions of lltping. The formats are in docs/wire.md.

local llt = Proto("muster", "muster LLT")

local kinds = {
    [0x0a] = "HEARTBEAT", [0x0b] = "DATA", [0x0c] = "ACK", [0x0d] = "DATAGRAM",
    [0x0e] = "BYE", [0x0f] = "DUPLICATE", [0x10] = "PROBE", [0x11] = "HBREQ",
}
local messages = {
    [1] = "ORD", [2] = "DATA", [3] = "ACK", [4] = "NAK", [5] = "RETR", [6] = "SUBMIT",
    [7] = "P2P", [8] = "P2PACK", [16] = "HELLO", [17] = "COLLECT", [18] = "STATE",
    [19] = "REFUSE", [20] = "PROPOSE", [21] = "READY", [22] = "INSTALL",
}
local entry_kinds = { [0] = "message", [1] = "port opens", [2] = "port closes", [3] = "node leaves" }
local echo_kinds = { [1] = "question", [2] = "answer" }

local f = {
    -- the header of LLT
    magic = ProtoField.uint16("muster.magic", "Magic", base.HEX),
    newest = ProtoField.uint8("muster.version.newest", "Newest version"),
    oldest = ProtoField.uint8("muster.version.oldest", "Oldest version"),
    cluster = ProtoField.uint16("muster.cluster", "Cluster"),
    kind = ProtoField.uint8("muster.kind", "Kind", base.HEX, kinds),
    flags = ProtoField.uint8("muster.flags", "Flags", base.HEX),
    broadcast = ProtoField.bool("muster.flags.broadcast", "Broadcast", 8, nil, 0x01),
    src = ProtoField.uint8("muster.src", "Source node"),
    dst = ProtoField.uint8("muster.dst", "Destination node"),
    length = ProtoField.uint16("muster.length", "Body length"),
    sequence = ProtoField.uint32("muster.sequence", "Sequence on the link"),
    src_incarnation = ProtoField.uint64("muster.src_incarnation", "Source incarnation", base.HEX),
    dst_incarnation = ProtoField.uint64("muster.dst_incarnation", "Destination incarnation", base.HEX),
    src_session = ProtoField.uint16("muster.src_session", "Source session"),
    dst_session = ProtoField.uint16("muster.dst_session", "Destination session"),
    ack = ProtoField.uint64("muster.ack", "Acknowledged up to"),
    heartbeats = ProtoField.uint64("muster.heartbeats", "Heartbeats sent"),
    crc = ProtoField.uint32("muster.crc", "CRC-32C", base.HEX),
    -- heartbeats
    hb = ProtoField.uint64("muster.heartbeat", "Heartbeat"),
    hb_broadcast = ProtoField.uint32("muster.heartbeat.broadcast", "Last broadcast"),
    hb_mtu = ProtoField.uint16("muster.heartbeat.mtu", "MTU"),
    hb_window = ProtoField.uint16("muster.heartbeat.window", "Window"),
    hb_link = ProtoField.uint8("muster.heartbeat.link", "Link of the sender"),
    hb_first = ProtoField.uint8("muster.heartbeat.first", "Speaks of nodes from"),
    hb_last = ProtoField.uint8("muster.heartbeat.last", "Speaks of nodes to"),
    hb_count = ProtoField.uint8("muster.heartbeat.count", "Nodes in the list"),
    hb_beat = ProtoField.uint16("muster.heartbeat.beat", "Heartbeat period"),
    hb_dead = ProtoField.uint8("muster.heartbeat.dead", "Dead links", base.HEX),
    open_ports = ProtoField.uint32("muster.open_ports", "Open LLT ports", base.HEX),
    busy_ports = ProtoField.uint32("muster.busy_ports", "Busy LLT ports", base.HEX),
    hb_entry = ProtoField.none("muster.heartbeat.entry", "Node"),
    node = ProtoField.uint8("muster.heartbeat.node", "Node"),
    node_flags = ProtoField.uint8("muster.heartbeat.node.flags", "Flags", base.HEX),
    heard = ProtoField.bool("muster.heartbeat.node.heard", "Heard", 8, nil, 0x01),
    connected = ProtoField.bool("muster.heartbeat.node.connected", "Connected", 8, nil, 0x02),
    session = ProtoField.uint16("muster.heartbeat.node.session", "Session of the sender"),
    peer_session = ProtoField.uint16("muster.heartbeat.node.peer_session", "Session of the node"),
    echo = ProtoField.uint16("muster.heartbeat.node.echo", "Echo"),
    incarnation = ProtoField.uint64("muster.heartbeat.node.incarnation", "Incarnation", base.HEX),
    heard_probe = ProtoField.uint16("muster.heartbeat.node.probe", "Last probe heard"),
    -- data and datagrams
    packet = ProtoField.uint64("muster.packet", "Packet number"),
    message_length = ProtoField.uint32("muster.message.length", "Message length"),
    port = ProtoField.uint8("muster.port", "LLT port"),
    data_flags = ProtoField.uint8("muster.data.flags", "Flags", base.HEX),
    first = ProtoField.bool("muster.data.first", "First fragment", 8, nil, 0x01),
    last = ProtoField.bool("muster.data.last", "Last fragment", 8, nil, 0x02),
    more = ProtoField.bool("muster.data.more", "More parts of the packet follow", 8, nil, 0x04),
    offset = ProtoField.uint16("muster.data.offset", "Offset in the packet"),
    recipients = ProtoField.bytes("muster.recipients", "Recipients (bit n is node n)"),
    payload = ProtoField.bytes("muster.payload", "Payload"),
    -- acknowledgements
    missing = ProtoField.uint64("muster.ack.missing_before", "Asks for what is missing below"),
    delay = ProtoField.uint32("muster.ack.delay", "Delay in microseconds"),
    range = ProtoField.none("muster.ack.range", "Range"),
    range_first = ProtoField.uint64("muster.ack.range.first", "First"),
    range_last = ProtoField.uint64("muster.ack.range.last", "Last"),
    -- the rest of LLT
    older = ProtoField.uint64("muster.duplicate.older", "Older incarnation", base.HEX),
    probe = ProtoField.uint16("muster.probe", "Probe"),
    -- sealed frames
    key = ProtoField.uint32("muster.seal.key", "Key id", base.HEX),
    seal_link = ProtoField.uint8("muster.seal.link", "Link of the sender"),
    seal_incarnation = ProtoField.uint64("muster.seal.incarnation", "Source incarnation", base.HEX),
    seal_count = ProtoField.uint64("muster.seal.count", "Count"),
    sealed = ProtoField.bytes("muster.seal.sealed", "Encrypted frame"),
    tag = ProtoField.bytes("muster.seal.tag", "Tag"),
    -- GAB
    gab = ProtoField.none("muster.gab", "GAB"),
    gab_kind = ProtoField.uint8("muster.gab.kind", "Kind", base.DEC, messages),
    gab_round = ProtoField.uint64("muster.gab.view.round", "View: round"),
    gab_proposer = ProtoField.uint8("muster.gab.view.node", "View: proposer"),
    gab_incarnation = ProtoField.uint64("muster.gab.view.incarnation", "View: its incarnation", base.HEX),
    gab_ack = ProtoField.uint64("muster.gab.ack", "Holds all slots up to"),
    gab_busy = ProtoField.uint64("muster.gab.busy", "Busy ports", base.HEX),
    gab_body = ProtoField.bytes("muster.gab.body", "Body"),
    ord_stable = ProtoField.uint64("muster.gab.ord.stable", "Stable up to slot"),
    ord_high = ProtoField.uint64("muster.gab.ord.high", "Last slot"),
    ord_first = ProtoField.uint64("muster.gab.ord.first", "First slot of the entries"),
    entry = ProtoField.none("muster.gab.entry", "Entry"),
    entry_src = ProtoField.uint8("muster.gab.entry.src", "Source node"),
    entry_port = ProtoField.string("muster.gab.port", "Port"),
    entry_kind = ProtoField.uint8("muster.gab.entry.kind", "Kind", base.DEC, entry_kinds),
    entry_flags = ProtoField.uint8("muster.gab.entry.flags", "Flags", base.HEX),
    safe = ProtoField.bool("muster.gab.entry.safe", "SAFE", 8, nil, 0x01),
    reference = ProtoField.bool("muster.gab.entry.reference", "By reference", 8, nil, 0x02),
    entry_number = ProtoField.uint64("muster.gab.entry.number", "Number"),
    entry_length = ProtoField.uint32("muster.gab.entry.length", "Payload length"),
    entry_pack = ProtoField.uint16("muster.gab.entry.pack", "Messages in the pack"),
    slot = ProtoField.uint64("muster.gab.slot", "Slot"),
    slot_last = ProtoField.uint64("muster.gab.slot_last", "Last slot"),
    id_node = ProtoField.uint8("muster.gab.id.node", "Node"),
    id_incarnation = ProtoField.uint64("muster.gab.id.incarnation", "Incarnation", base.HEX),
    generation = ProtoField.uint64("muster.gab.generation", "Generation", base.HEX),
    number = ProtoField.uint64("muster.gab.number", "Number"),
    client_from = ProtoField.uint64("muster.gab.p2p.from", "From client"),
    client_to = ProtoField.uint64("muster.gab.p2p.to", "To client"),
    version_low = ProtoField.uint8("muster.gab.hello.version_low", "Lowest version"),
    version_high = ProtoField.uint8("muster.gab.hello.version_high", "Highest version"),
    seed_count = ProtoField.uint32("muster.gab.hello.seed_count", "Seed count"),
    data_offset = ProtoField.uint32("muster.gab.data.offset", "Offset"),
    -- lltping
    ping = ProtoField.none("muster.ping", "lltping"),
    ping_kind = ProtoField.uint8("muster.ping.kind", "Kind", base.DEC, echo_kinds),
    ping_token = ProtoField.uint64("muster.ping.token", "Token", base.HEX),
    ping_number = ProtoField.uint64("muster.ping.number", "Number"),
}
llt.fields = f

local e = {
    form = ProtoExpert.new("muster.malformed", "Malformed", expert.group.MALFORMED, expert.severity.ERROR),
    version = ProtoExpert.new("muster.foreign_version", "Another version of the protocol",
        expert.group.PROTOCOL, expert.severity.WARN),
    sum = ProtoExpert.new("muster.bad_checksum", "The checksum does not match",
        expert.group.CHECKSUM, expert.severity.ERROR),
}
llt.experts = e

llt.prefs.ethertype = Pref.uint("Ethernet type", 0xCAFE, "The type (SAP) of LLT over Ethernet, decimal")
llt.prefs.checksum = Pref.bool("Verify the checksum", true, "CRC-32C over header and body")

local HEADER = 48
local CLEAR = 28
local TAG = 16

-- CRC-32C, reflected, with the polynomial 0x1EDC6F41. Wireshark up to 4.2 has Lua 5.2 with a library
-- for bits, later ones have Lua 5.4 with operators, which Lua 5.2 cannot even read.
local band, bxor, rshift
if bit32 then
    band, bxor, rshift = bit32.band, bit32.bxor, bit32.rshift
elseif bit then
    -- Wireshark's own; its results are signed.
    band, bxor, rshift = bit.band, bit.bxor, bit.rshift
else
    local code = "return function(a, b) return a & b end, function(a, b) return a ~ b end, " ..
        "function(a, n) return a >> n end"
    band, bxor, rshift = load(code)()
end
local crc_table = {}
for byte = 0, 255 do
    local crc = byte
    for _ = 1, 8 do
        crc = band(crc, 1) == 1 and bxor(rshift(crc, 1), 0x82F63B78) or rshift(crc, 1)
    end
    crc_table[byte] = crc
end

local function checksum(bytes)
    local crc = 0xFFFFFFFF
    for at = 0, bytes:len() - 1 do
        -- The checksum itself counts as zero.
        local byte = (at >= 44 and at < 48) and 0 or bytes:get_index(at)
        crc = bxor(crc_table[band(bxor(crc, byte), 0xFF)], rshift(crc, 8))
    end
    return band(bxor(crc, 0xFFFFFFFF), 0xFFFFFFFF) % 0x100000000
end

-- The numbers of the bits that are set.
local function bits(value, width)
    local out = {}
    for n = 0, width - 1 do
        if band(rshift(value, n), 1) == 1 then out[#out + 1] = tostring(n) end
    end
    return #out == 0 and "none" or table.concat(out, " ")
end

local function node_name(id)
    return id == 0xFF and "all" or tostring(id)
end

local function malformed(tree, what)
    tree:add_proto_expert_info(e.form, what)
end

-- Everything below takes a buffer of a body, the tree to add to, and gives words for the info column.

local function heartbeat(buf, tree, dst)
    if buf:len() < 32 then malformed(tree, "a heartbeat of 32 bytes at least") return "" end
    tree:add(f.hb, buf(0, 8))
    tree:add(f.hb_broadcast, buf(8, 4))
    tree:add(f.hb_mtu, buf(12, 2))
    tree:add(f.hb_window, buf(14, 2))
    tree:add(f.hb_link, buf(16, 1))
    tree:add(f.hb_first, buf(17, 1))
    tree:add(f.hb_last, buf(18, 1))
    tree:add(f.hb_count, buf(19, 1))
    tree:add(f.hb_dead, buf(20, 1)):append_text(" (" .. bits(buf(20, 1):uint(), 8) .. ")")
    tree:add(f.hb_beat, buf(22, 2))
    tree:add(f.open_ports, buf(24, 4)):append_text(" (" .. bits(buf(24, 4):uint(), 32) .. ")")
    tree:add(f.busy_ports, buf(28, 4)):append_text(" (" .. bits(buf(28, 4):uint(), 32) .. ")")
    local heard, is_connected = {}, false
    for n = 0, buf(19, 1):uint() - 1 do
        local at = 32 + 18 * n
        if buf:len() < at + 18 then malformed(tree, "a list as long as the heartbeat says") break end
        local id, flags = buf(at, 1):uint(), buf(at + 1, 1):uint()
        local sub = tree:add(f.hb_entry, buf(at, 18))
        sub:set_text("Node " .. id .. (band(flags, 1) == 1 and ": heard" or ": not heard") ..
            (band(flags, 2) == 2 and ", connected" or ""))
        sub:add(f.node, buf(at, 1))
        sub:add(f.node_flags, buf(at + 1, 1))
        sub:add(f.heard, buf(at + 1, 1))
        sub:add(f.connected, buf(at + 1, 1))
        sub:add(f.session, buf(at + 2, 2))
        sub:add(f.peer_session, buf(at + 4, 2))
        sub:add(f.echo, buf(at + 6, 2))
        sub:add(f.incarnation, buf(at + 8, 8))
        sub:add(f.heard_probe, buf(at + 16, 2))
        if band(flags, 1) == 1 then heard[#heard + 1] = tostring(id) end
        if id == dst and band(flags, 2) == 2 then is_connected = true end
    end
    local words = buf(0, 8):uint64() .. " on link " .. buf(16, 1):uint() .. ", hears " ..
        (#heard == 0 and "nobody" or table.concat(heard, " "))
    -- To a peer that is not connected a heartbeat asks for a connection.
    return words, (dst ~= 0xFF and not is_connected) and "CONN_REQ" or nil
end

local function entry(buf, tree, at)
    if buf:len() < at + 24 then malformed(tree, "an entry of 24 bytes at least") return nil end
    local flags, length = buf(at + 3, 1):uint(), buf(at + 12, 4):uint()
    local by_reference = band(flags, 2) == 2
    local size = 24 + (by_reference and 0 or length)
    if buf:len() < at + size then malformed(tree, "an entry with all of its payload") return nil end
    local sub = tree:add(f.entry, buf(at, size))
    local kind = entry_kinds[buf(at + 2, 1):uint()] or "unknown"
    sub:set_text("Entry: " .. kind .. " of node " .. buf(at, 1):uint() .. " on port " ..
        buf(at + 1, 1):string() .. ", " .. length .. " bytes")
    sub:add(f.entry_src, buf(at, 1))
    sub:add(f.entry_port, buf(at + 1, 1))
    sub:add(f.entry_kind, buf(at + 2, 1))
    sub:add(f.entry_flags, buf(at + 3, 1))
    sub:add(f.safe, buf(at + 3, 1))
    sub:add(f.reference, buf(at + 3, 1))
    sub:add(f.entry_number, buf(at + 4, 8))
    sub:add(f.entry_length, buf(at + 12, 4))
    -- Only a client's message can be a pack.
    if buf(at + 2, 1):uint() == 0 and buf(at + 20, 2):uint() > 0 then
        sub:add(f.entry_pack, buf(at + 20, 2))
        sub:append_text(", a pack of " .. buf(at + 20, 2):uint())
    end
    if size > 24 then sub:add(f.payload, buf(at + 24, size - 24)) end
    return at + size
end

local function ids(buf, tree, at)
    if buf:len() < at + 1 then malformed(tree, "a list of ids") return end
    local count = buf(at, 1):uint()
    at = at + 1
    for _ = 1, count do
        if buf:len() < at + 9 then malformed(tree, "as many ids as the list says") return end
        tree:add(f.id_node, buf(at, 1)):append_text("/" .. buf(at + 1, 8):uint64():tohex())
        tree:add(f.id_incarnation, buf(at + 1, 8))
        at = at + 9
    end
end

local bodies = {
    ORD = function(buf, tree)
        if buf:len() < 26 then return malformed(tree, "an ORD of 26 bytes at least") end
        tree:add(f.ord_stable, buf(0, 8))
        tree:add(f.ord_high, buf(8, 8))
        tree:add(f.ord_first, buf(16, 8))
        local at = 26
        while at and at < buf:len() do at = entry(buf, tree, at) end
        return "stable " .. buf(0, 8):uint64() .. " high " .. buf(8, 8):uint64()
    end,
    DATA = function(buf, tree)
        if buf:len() < 24 then return malformed(tree, "a DATA of 24 bytes at least") end
        tree:add(f.entry_port, buf(0, 1))
        tree:add(f.safe, buf(1, 1))
        if buf(2, 2):uint() > 0 then tree:add(f.entry_pack, buf(2, 2)) end
        tree:add(f.number, buf(8, 8))
        tree:add(f.entry_length, buf(16, 4))
        tree:add(f.data_offset, buf(20, 4))
        tree:add(f.payload, buf(24))
        return "port " .. buf(0, 1):string() .. " number " .. buf(8, 8):uint64() .. " from " ..
            buf(20, 4):uint() .. " of " .. buf(16, 4):uint()
    end,
    NAK = function(buf, tree)
        if buf:len() < 2 then return malformed(tree, "a NAK of 2 bytes at least") end
        for n = 0, buf(0, 2):uint() - 1 do
            local at = 2 + 16 * n
            if buf:len() < at + 16 then return malformed(tree, "as many ranges as the NAK says") end
            tree:add(f.slot, buf(at, 8))
            tree:add(f.slot_last, buf(at + 8, 8))
        end
        return buf(0, 2):uint() .. " ranges"
    end,
    RETR = function(buf, tree)
        if buf:len() < 2 then return malformed(tree, "a RETR of 2 bytes at least") end
        local at = 2
        for _ = 1, buf(0, 2):uint() do
            if not at or buf:len() < at + 8 then return malformed(tree, "as many slots as it says") end
            tree:add(f.slot, buf(at, 8))
            at = entry(buf, tree, at + 8)
        end
        return buf(0, 2):uint() .. " slots"
    end,
    SUBMIT = function(buf, tree)
        if buf:len() < 2 then return malformed(tree, "a SUBMIT of 2 bytes at least") end
        local at = 2
        for _ = 1, buf(0, 2):uint() do
            if not at then break end
            at = entry(buf, tree, at)
        end
        return buf(0, 2):uint() .. " entries"
    end,
    P2P = function(buf, tree)
        if buf:len() < 33 then return malformed(tree, "a P2P of 33 bytes at least") end
        tree:add(f.entry_port, buf(0, 1))
        tree:add(f.generation, buf(1, 8))
        tree:add(f.client_from, buf(9, 8))
        tree:add(f.client_to, buf(17, 8))
        tree:add(f.number, buf(25, 8))
        if buf:len() > 33 then tree:add(f.payload, buf(33)) end
        return "port " .. buf(0, 1):string() .. " number " .. buf(25, 8):uint64()
    end,
    P2PACK = function(buf, tree)
        if buf:len() < 25 then return malformed(tree, "a P2PACK of 25 bytes") end
        tree:add(f.entry_port, buf(0, 1))
        tree:add(f.client_from, buf(1, 8))
        tree:add(f.client_to, buf(9, 8))
        tree:add(f.number, buf(17, 8))
        return "port " .. buf(0, 1):string() .. " up to " .. buf(17, 8):uint64()
    end,
    HELLO = function(buf, tree)
        if buf:len() < 8 then return malformed(tree, "a HELLO of 8 bytes at least") end
        tree:add(f.version_low, buf(1, 1))
        tree:add(f.version_high, buf(2, 1))
        tree:add(f.seed_count, buf(3, 4))
        ids(buf, tree, 7)
    end,
    COLLECT = function(buf, tree) ids(buf, tree, 0) end,
}

local function gab(buf, tree)
    if buf:len() < 36 then return "GAB, cut off" end
    local name = messages[buf(0, 1):uint()] or "unknown"
    local sub = tree:add(f.gab, buf())
    sub:set_text("GAB " .. name)
    sub:add(f.gab_kind, buf(0, 1))
    sub:add(f.gab_round, buf(3, 8))
    sub:add(f.gab_proposer, buf(11, 1))
    sub:add(f.gab_incarnation, buf(12, 8))
    sub:add(f.gab_ack, buf(20, 8))
    sub:add(f.gab_busy, buf(28, 8))
    local words
    if buf:len() > 36 then
        local body = buf(36):tvb()
        if bodies[name] then
            words = bodies[name](body, sub)
        else
            sub:add(f.gab_body, body())
        end
    end
    return "GAB " .. name .. " view " .. buf(3, 8):uint64() .. "." .. buf(11, 1):uint() ..
        (words and " " .. words or "")
end

local function ping(buf, tree)
    if buf:len() < 24 or buf(0, 2):string() ~= "LP" then return nil end
    local sub = tree:add(f.ping, buf())
    sub:add(f.ping_kind, buf(2, 1))
    sub:add(f.ping_token, buf(8, 8))
    sub:add(f.ping_number, buf(16, 8))
    return "lltping " .. (echo_kinds[buf(2, 1):uint()] or "?") .. " " .. buf(16, 8):uint64()
end

-- What a whole message or datagram on an LLT port is.
local function payload(buf, tree, port)
    if buf:len() == 0 then return nil end
    if port == 0 then return gab(buf, tree) end
    local words = port == 30 and ping(buf, tree) or nil
    if not words then tree:add(f.payload, buf()) end
    return words
end

local function data(buf, tree)
    if buf:len() < 16 then malformed(tree, "a data header of 16 bytes") return "" end
    local port, flags = buf(12, 1):uint(), buf(13, 1):uint()
    tree:add(f.packet, buf(0, 8))
    tree:add(f.message_length, buf(8, 4))
    tree:add(f.port, buf(12, 1))
    tree:add(f.data_flags, buf(13, 1))
    tree:add(f.first, buf(13, 1))
    tree:add(f.last, buf(13, 1))
    tree:add(f.more, buf(13, 1))
    tree:add(f.offset, buf(14, 2))
    local length = buf:len() - 16
    local words = "packet " .. buf(0, 8):uint64() .. " port " .. port .. ", " .. length .. " of " ..
        buf(8, 4):uint() .. " bytes"
    if length == 0 then return words end
    local rest = buf(16):tvb()
    if band(flags, 7) == 3 and buf(14, 2):uint() == 0 then
        local inside = payload(rest, tree, port)
        if inside then words = words .. ": " .. inside end
    else
        tree:add(f.payload, rest())
    end
    return words
end

local function acknowledgement(buf, tree, ack)
    if buf:len() < 16 then malformed(tree, "an acknowledgement of 16 bytes at least") return "" end
    tree:add(f.missing, buf(0, 8))
    tree:add(f.delay, buf(8, 4))
    tree:add(f.busy_ports, buf(12, 4)):append_text(" (" .. bits(buf(12, 4):uint(), 32) .. ")")
    local ranges = {}
    for at = 16, buf:len() - 16, 16 do
        local text = buf(at, 8):uint64() .. "-" .. buf(at + 8, 8):uint64()
        local sub = tree:add(f.range, buf(at, 16))
        sub:set_text("Arrived beyond: " .. text)
        sub:add(f.range_first, buf(at, 8))
        sub:add(f.range_last, buf(at + 8, 8))
        ranges[#ranges + 1] = text
    end
    local words = "up to " .. ack
    if #ranges > 0 then words = words .. ", and " .. table.concat(ranges, " ") end
    if buf(0, 8):uint64() > UInt64(0) then words = words .. ", asks below " .. buf(0, 8):uint64() end
    return words
end

local function datagram(buf, tree, dst)
    local head = dst == 0xFF and 20 or 4
    if buf:len() < head then malformed(tree, "a datagram header") return "" end
    local port = buf(0, 1):uint()
    tree:add(f.port, buf(0, 1))
    if head == 20 then tree:add(f.recipients, buf(4, 16)) end
    local words = "port " .. port .. ", " .. (buf:len() - head) .. " bytes"
    if buf:len() > head then
        local inside = payload(buf(head):tvb(), tree, port)
        if inside then words = words .. ": " .. inside end
    end
    return words
end

local function frame(buf, pinfo, tree)
    local length = buf(10, 2):uint()
    -- What follows is padding of Ethernet, or the next frame of a batch.
    local whole = math.min(buf:len(), HEADER + length)
    local kind, src, dst = buf(6, 1):uint(), buf(8, 1):uint(), buf(9, 1):uint()
    local sub = tree:add(llt, buf(0, whole))
    sub:add(f.magic, buf(0, 2))
    sub:add(f.newest, buf(2, 1))
    sub:add(f.oldest, buf(3, 1))
    if buf(3, 1):uint() > 1 or buf(2, 1):uint() < 1 then
        sub:add_proto_expert_info(e.version)
        pinfo.cols.info:set("LLT, another version of the protocol")
        return buf:len()
    end
    sub:add(f.cluster, buf(4, 2))
    sub:add(f.kind, buf(6, 1))
    sub:add(f.flags, buf(7, 1))
    sub:add(f.broadcast, buf(7, 1))
    sub:add(f.src, buf(8, 1))
    sub:add(f.dst, buf(9, 1)):append_text(dst == 0xFF and " (all)" or "")
    sub:add(f.length, buf(10, 2))
    sub:add(f.sequence, buf(12, 4))
    sub:add(f.src_incarnation, buf(16, 8))
    sub:add(f.dst_incarnation, buf(24, 8))
    sub:add(f.src_session, buf(32, 2))
    sub:add(f.dst_session, buf(34, 2))
    sub:add(dst == 0xFF and f.heartbeats or f.ack, buf(36, 8))
    local crc = sub:add(f.crc, buf(44, 4))
    if llt.prefs.checksum and whole == HEADER + length then
        if checksum(buf(0, whole):bytes()) == buf(44, 4):uint() then
            crc:append_text(" (correct)")
        else
            crc:append_text(" (does not match)")
            sub:add_proto_expert_info(e.sum)
        end
    end
    local name = kinds[kind]
    if not name then
        malformed(sub, "a known kind")
        name = string.format("kind 0x%02x", kind)
    end
    if whole < HEADER + length then malformed(sub, "a body as long as the header says") end
    local body = whole > HEADER and buf(HEADER, whole - HEADER):tvb() or ByteArray.new():tvb("empty")
    local words, other = "", nil
    if name == "HEARTBEAT" then
        words, other = heartbeat(body, sub, dst)
    elseif name == "DATA" then
        words = data(body, sub)
    elseif name == "ACK" then
        words = acknowledgement(body, sub, buf(36, 8):uint64())
    elseif name == "DATAGRAM" then
        words = datagram(body, sub, dst)
    elseif name == "DUPLICATE" and body:len() >= 8 then
        sub:add(f.older, body(0, 8))
    elseif name == "PROBE" and body:len() >= 2 then
        sub:add(f.probe, body(0, 2))
        words = "number " .. body(0, 2):uint()
    end
    local text = "node " .. src .. " > " .. node_name(dst) .. " " .. (other or name) ..
        (words ~= "" and " " .. words or "")
    sub:append_text(", " .. text)
    pinfo.cols.info:append((tostring(pinfo.cols.info) ~= "" and "; " or "") .. text)
    return whole
end

local function sealed(buf, pinfo, tree)
    local dst = buf(9, 1):uint()
    local sub = tree:add(llt, buf())
    sub:add(f.magic, buf(0, 2))
    sub:add(f.newest, buf(2, 1))
    sub:add(f.oldest, buf(3, 1))
    sub:add(f.key, buf(4, 4))
    sub:add(f.src, buf(8, 1))
    sub:add(f.dst, buf(9, 1)):append_text(dst == 0xFF and " (all)" or "")
    sub:add(f.seal_link, buf(10, 1))
    sub:add(f.seal_incarnation, buf(12, 8))
    sub:add(f.seal_count, buf(20, 8))
    sub:add(f.sealed, buf(CLEAR, buf:len() - CLEAR - TAG))
    sub:add(f.tag, buf(buf:len() - TAG, TAG))
    local text = "node " .. buf(8, 1):uint() .. " > " .. node_name(dst) .. " SEALED with key " ..
        string.format("%08x", buf(4, 4):uint()) .. ", count " .. buf(20, 8):uint64()
    sub:append_text(", " .. text)
    pinfo.cols.info:append((tostring(pinfo.cols.info) ~= "" and "; " or "") .. text)
    return buf:len()
end

local function is_plain(buf)
    return buf:len() >= HEADER and buf(0, 2):uint() == 0x4C4C
end

local function is_sealed(buf)
    return buf:len() >= CLEAR + HEADER + TAG and buf(0, 2):uint() == 0x4C53
end

function llt.dissector(buf, pinfo, tree)
    if not is_plain(buf) and not is_sealed(buf) then return 0 end
    pinfo.cols.protocol:set("LLT")
    pinfo.cols.info:clear()
    -- A sender may hand several frames of one length to the system, which a device shows as one.
    local at = 0
    repeat
        local rest = buf(at):tvb()
        if is_plain(rest) then
            at = at + frame(rest, pinfo, tree)
        elseif is_sealed(rest) then
            at = at + sealed(rest, pinfo, tree)
        else
            break
        end
    until at >= buf:len()
    return at
end

local ethertypes = DissectorTable.get("ethertype")
local registered = llt.prefs.ethertype
ethertypes:add(registered, llt)

function llt.prefs_changed()
    if llt.prefs.ethertype ~= registered then
        ethertypes:remove(registered, llt)
        registered = llt.prefs.ethertype
        ethertypes:add(registered, llt)
    end
end

-- Over UDP the ports are whatever llttab says: the first word tells.
llt:register_heuristic("udp", function(buf, pinfo, tree)
    if not is_plain(buf) and not is_sealed(buf) then return false end
    llt.dissector(buf, pinfo, tree)
    return true
end)
