-- Wireshark/tshark dissector for claimwire: claims (type 0x01, 93 bytes), acks (0x02, 32 bytes) and Merkle batches (0x03,
-- a size that the head tells), README.md beside it.
--
--   wireshark -X lua_script:claimwire.lua          tshark -X lua_script:claimwire.lua -r FILE -Y claimwire
--
-- UDP: frames back to back in a datagram. TCP: `u32 length ‖ payload`, put together over segments; a payload is frames
-- or, when it begins with 0x80, a MessagePack control message. Port 9393 unless the preference says otherwise:
--   -o claimwire.port:9500

local CLAIM_TYPE, CLAIM_BYTES = 0x01, 93
local ACK_TYPE, ACK_BYTES = 0x02, 32
local MERKLE_TYPE, MERKLE_HEAD_BYTES = 0x03, 84
local BLOCK_LEAVES, LEAVES_MAX, LEAF_BYTES, HASH_BYTES = 64, 65536, 16, 32
local CONTROL_TYPE = 0x80
local STREAM_HEADER_BYTES, STREAM_PAYLOAD_BYTES_MAX = 4, 65536
local FIRST_REFUSAL = 16
local DEFAULT_PORT = 9393

-- Half the order of secp256k1, rounded down: a signature with a larger s is refused (by the ledger too).
local HALF_ORDER = ByteArray.new('7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0')

local TYPES = { [CLAIM_TYPE] = 'Claim', [ACK_TYPE] = 'Ack', [MERKLE_TYPE] = 'Merkle batch',
  [CONTROL_TYPE] = 'Control message' }
local STATUSES = {
  [0] = 'COMMITTED',
  [1] = 'ALREADY',
  [16] = 'UNKNOWN_CHANNEL',
  [17] = 'BAD_SIGNATURE',
  [18] = 'OVER_CAPACITY',
  [19] = 'CHANNEL_CLOSED',
  [20] = 'BAD_AMOUNT',
  [21] = 'OVERLOADED',
  [22] = 'BAD_SEQUENCE',
  [23] = 'MOVED',
  [24] = 'ROOT_EXPOSURE',
}

local claimwire = Proto('claimwire', 'claimwire payment-channel claims')
local claimwire_tcp = Proto('claimwire_tcp', 'claimwire over TCP')

local field = {
  type = ProtoField.uint8('claimwire.type', 'Type', base.HEX, TYPES),
  channel = ProtoField.uint64('claimwire.channel', 'Channel', base.DEC, nil, nil, 'u64 handle of the channel'),
  sequence = ProtoField.uint32('claimwire.sequence', 'Sequence', base.DEC),
  amount = ProtoField.uint64('claimwire.amount', 'Amount (drops)', base.DEC, nil, nil, 'Claim: cumulative. Ack: see status'),
  timestamp = ProtoField.double('claimwire.timestamp', 'Timestamp (ms since 1970)', "The payer's clock"),
  timestamp_bits = ProtoField.uint64('claimwire.timestamp_bits', 'Timestamp bits', base.HEX, nil, nil, 'As echoed'),
  signature = ProtoField.bytes('claimwire.signature', 'Signature', base.NONE, 'r‖s, or Ed25519'),
  signature_r = ProtoField.bytes('claimwire.signature.r', 'r', base.NONE),
  signature_s = ProtoField.bytes('claimwire.signature.s', 's', base.NONE),
  status = ProtoField.uint8('claimwire.status', 'Status', base.DEC, STATUSES),
  reserved = ProtoField.uint16('claimwire.reserved', 'Reserved', base.HEX),
  merkle_reserved = ProtoField.uint8('claimwire.merkle_reserved', 'Reserved', base.HEX),
  block = ProtoField.uint16('claimwire.block', 'Block of 64 leaves', base.DEC),
  tree = ProtoField.uint32('claimwire.tree', 'Leaves of the tree', base.DEC),
  path = ProtoField.bytes('claimwire.path', 'Path hash', base.NONE),
  leaves = ProtoField.uint32('claimwire.leaves', 'Leaves', base.DEC),
  length = ProtoField.uint32('claimwire.length', 'Payload length', base.DEC),
  control = ProtoField.bytes('claimwire.control', 'MessagePack', base.SPACE),
  undecoded = ProtoField.bytes('claimwire.undecoded', 'Undecoded', base.SPACE),
  claims = ProtoField.uint32('claimwire.claims', 'Claims', base.DEC),
  acks = ProtoField.uint32('claimwire.acks', 'Acks', base.DEC),
}
claimwire.fields = field

local expert = {
  unknown_type = ProtoExpert.new('claimwire.unknown_type', 'Unknown frame type: the rest is dropped', expert.group.MALFORMED,
    expert.severity.ERROR),
  cut_frame = ProtoExpert.new('claimwire.cut_frame', 'Frame cut off: the rest is dropped', expert.group.MALFORMED,
    expert.severity.ERROR),
  bad_length = ProtoExpert.new('claimwire.bad_length', 'Length outside 1..65536: the connection is closed',
    expert.group.MALFORMED, expert.severity.ERROR),
  high_s = ProtoExpert.new('claimwire.high_s', 'High-S signature (refused, unless the key is Ed25519)', expert.group.SECURITY,
    expert.severity.WARN),
  reserved_set = ProtoExpert.new('claimwire.reserved_set', 'Reserved bits are not 0', expert.group.PROTOCOL,
    expert.severity.WARN),
  unknown_status = ProtoExpert.new('claimwire.unknown_status', 'Status this version does not know', expert.group.PROTOCOL,
    expert.severity.WARN),
  refused = ProtoExpert.new('claimwire.refused', 'Claim refused', expert.group.RESPONSE_CODE, expert.severity.NOTE),
}
claimwire.experts = expert

local port_preference = DEFAULT_PORT
claimwire.prefs.port = Pref.uint('Port', DEFAULT_PORT, 'UDP and TCP port of the node')

-- Byte by byte: Lua compares strings by the rules of the locale.
local function is_high_s(s)
  for index = 0, HALF_ORDER:len() - 1 do
    local difference = s:get_index(index) - HALF_ORDER:get_index(index)
    if difference ~= 0 then return difference > 0 end
  end
  return false
end

local function claim(range, tree)
  local node = tree:add(claimwire, range, 'Claim')
  node:add(field.type, range(0, 1))
  node:add(field.channel, range(1, 8))
  node:add(field.sequence, range(9, 4))
  node:add(field.amount, range(13, 8))
  local signature = node:add(field.signature, range(21, 64))
  signature:add(field.signature_r, range(21, 32))
  local s = signature:add(field.signature_s, range(53, 32))
  if is_high_s(range(53, 32):bytes()) then s:add_proto_expert_info(expert.high_s) end
  node:add(field.timestamp, range(85, 8))
  node:add(field.timestamp_bits, range(85, 8))
  local channel, amount = tostring(range(1, 8):uint64()), tostring(range(13, 8):uint64())
  local text = string.format('channel %s seq %u amount %s', channel, range(9, 4):uint(), amount)
  node:append_text(', ' .. text)
  return 'Claim ' .. text
end

local function ack(range, tree)
  local node = tree:add(claimwire, range, 'Ack')
  node:add(field.type, range(0, 1))
  local code = range(1, 1):uint()
  local name = STATUSES[code] or ('STATUS_' .. code)
  local status = node:add(field.status, range(1, 1))
  if not STATUSES[code] then status:add_proto_expert_info(expert.unknown_status)
  elseif code >= FIRST_REFUSAL then status:add_proto_expert_info(expert.refused, 'Claim refused: ' .. name) end
  local reserved = node:add(field.reserved, range(2, 2))
  if range(2, 2):uint() ~= 0 then reserved:add_proto_expert_info(expert.reserved_set) end
  node:add(field.sequence, range(4, 4))
  node:add(field.channel, range(8, 8))
  node:add(field.amount, range(16, 8))
  node:add(field.timestamp, range(24, 8))
  node:add(field.timestamp_bits, range(24, 8))
  local channel, amount = tostring(range(8, 8):uint64()), tostring(range(16, 8):uint64())
  local text = string.format('%s channel %s seq %u amount %s', name, channel, range(4, 4):uint(), amount)
  node:append_text(', ' .. text)
  return 'Ack ' .. text
end

-- How many hashes lead from a block to the root of a tree of so many blocks: one a level, unless the node is the last of an odd number.
local function path_length(block, blocks)
  local length, at, last = 0, block, blocks - 1
  while last > 0 do
    if at % 2 == 1 or at < last then length = length + 1 end
    at, last = math.floor(at / 2), math.floor(last / 2)
  end
  return length
end

-- Bytes of a Merkle batch's frame, its leaves and its hashes, as its head says; nil where the head is none. A head that is cut off
-- says its own size.
local function merkle_size(range)
  if range:len() < MERKLE_HEAD_BYTES then return MERKLE_HEAD_BYTES end
  local block, leaves = range(2, 2):uint(), range(4, 4):uint()
  local blocks = math.ceil(leaves / BLOCK_LEAVES)
  if range(1, 1):uint() ~= 0 or leaves > LEAVES_MAX or block >= blocks then return nil end
  local count, hashes = math.min(BLOCK_LEAVES, leaves - BLOCK_LEAVES * block), path_length(block, blocks)
  return MERKLE_HEAD_BYTES + LEAF_BYTES * count + HASH_BYTES * hashes, count, hashes
end

local function merkle(range, tree)
  local node = tree:add(claimwire, range, 'Merkle batch')
  local _, count, hashes = merkle_size(range)
  node:add(field.type, range(0, 1))
  node:add(field.merkle_reserved, range(1, 1))
  node:add(field.block, range(2, 2))
  node:add(field.tree, range(4, 4))
  node:add(field.sequence, range(8, 4))
  node:add(field.timestamp, range(12, 8))
  node:add(field.timestamp_bits, range(12, 8))
  local signature = node:add(field.signature, range(20, 64))
  signature:add(field.signature_r, range(20, 32))
  local s = signature:add(field.signature_s, range(52, 32))
  if is_high_s(range(52, 32):bytes()) then s:add_proto_expert_info(expert.high_s) end
  for index = 0, count - 1 do
    local leaf = range(MERKLE_HEAD_BYTES + LEAF_BYTES * index, LEAF_BYTES)
    local entry = node:add(leaf, string.format('Leaf, channel %s amount %s', leaf(0, 8):uint64(), leaf(8, 8):uint64()))
    entry:add(field.channel, leaf(0, 8))
    entry:add(field.amount, leaf(8, 8))
  end
  local path = MERKLE_HEAD_BYTES + LEAF_BYTES * count
  for index = 0, hashes - 1 do node:add(field.path, range(path + HASH_BYTES * index, HASH_BYTES)) end
  local text = string.format('seq %u block %u, %u of %u leaves', range(8, 4):uint(), range(2, 2):uint(), count, range(4, 4):uint())
  node:append_text(', ' .. text)
  return 'Merkle batch ' .. text, count
end

-- Walks frames back to back, as protocol/frames.ts does, and says in a few words what they were.
local function frames(range, tree)
  local offset, bytes = 0, range:len()
  local claims, acks, leaves = 0, 0, 0
  local first, fault
  while offset < bytes and not fault do
    local type = range(offset, 1):uint()
    local size = type == CLAIM_TYPE and CLAIM_BYTES or type == ACK_TYPE and ACK_BYTES
      or type == MERKLE_TYPE and merkle_size(range(offset))
    if not size or offset + size > bytes then
      local rest = tree:add(field.undecoded, range(offset))
      fault = size and 'cut frame' or string.format('unknown type 0x%02x', type)
      rest:add_proto_expert_info(size and expert.cut_frame or expert.unknown_type,
        string.format('%s at byte %u: the last %u bytes are dropped', fault, offset, bytes - offset))
    else
      local text
      if type == CLAIM_TYPE then
        text, claims = claim(range(offset, size), tree), claims + 1
      elseif type == MERKLE_TYPE then
        local count
        text, count = merkle(range(offset, size), tree)
        leaves = leaves + count
      else
        text, acks = ack(range(offset, size), tree), acks + 1
      end
      first = first or text
      offset = offset + size
    end
  end
  tree:add(field.claims, range, claims):set_generated()
  tree:add(field.acks, range, acks):set_generated()
  if leaves > 0 then tree:add(field.leaves, range, leaves):set_generated() end
  local info = first or ''
  if claims + acks > 1 then info = string.format('%u claims, %u acks: %s …', claims, acks, first) end
  if fault then info = info .. (first and ' ' or '') .. '[' .. fault .. ']' end
  return info
end

local function payload(range, tree)
  if range(0, 1):uint() ~= CONTROL_TYPE then return frames(range, tree) end
  tree:add(field.type, range(0, 1))
  if range:len() > 1 then tree:add(field.control, range(1)) end
  return string.format('Control message, %u bytes', range:len() - 1)
end

function claimwire.dissector(buffer, packet, root)
  packet.cols.protocol = 'claimwire'
  if buffer:len() == 0 then return 0 end
  packet.cols.info = frames(buffer(), root:add(claimwire, buffer()))
  return buffer:len()
end

local function bad_length(length)
  return length == 0 or length > STREAM_PAYLOAD_BYTES_MAX
end

-- A stream with a bad length cannot be followed any further: all there is in this segment is one faulty message.
local function message_bytes(buffer, _, offset)
  local length = buffer(offset, STREAM_HEADER_BYTES):uint()
  if bad_length(length) then return buffer:len() - offset end
  return STREAM_HEADER_BYTES + length
end

local function message(buffer, packet, root)
  local tree = root:add(claimwire, buffer())
  local length = buffer(0, STREAM_HEADER_BYTES):uint()
  local header = tree:add(field.length, buffer(0, STREAM_HEADER_BYTES))
  local text
  if bad_length(length) then
    header:add_proto_expert_info(expert.bad_length)
    text = string.format('[bad length %u]', length)
  else
    text = payload(buffer(STREAM_HEADER_BYTES), tree)
  end
  packet.cols.info:append((packet.cols.info ~= nil and ' | ' or '') .. text)
  return buffer:len()
end

function claimwire_tcp.dissector(buffer, packet, root)
  packet.cols.protocol = 'claimwire'
  packet.cols.info:clear()
  dissect_tcp_pdus(buffer, root, STREAM_HEADER_BYTES, message_bytes, message, true)
  return buffer:len()
end

local function bind(port)
  DissectorTable.get('udp.port'):add(port, claimwire)
  DissectorTable.get('tcp.port'):add(port, claimwire_tcp)
end

local function unbind(port)
  DissectorTable.get('udp.port'):remove(port, claimwire)
  DissectorTable.get('tcp.port'):remove(port, claimwire_tcp)
end

function claimwire.prefs_changed()
  if claimwire.prefs.port == port_preference then return end
  if port_preference ~= 0 then unbind(port_preference) end
  port_preference = claimwire.prefs.port
  if port_preference ~= 0 then bind(port_preference) end
end

bind(port_preference)
