"""
MessagePack as far as control messages use it: every encoding but extension types is read, short ones are written.
"""
import struct

NUMBERS = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
LENGTHS = {0xC4: (bytes, ">B"), 0xC5: (bytes, ">H"), 0xC6: (bytes, ">I"), 0xD9: (str, ">B"), 0xDA: (str, ">H"),
           0xDB: (str, ">I"), 0xDC: (list, ">H"), 0xDD: (list, ">I"), 0xDE: (dict, ">H"), 0xDF: (dict, ">I")}

def pack(value):
    if isinstance(value, int) and 0 <= value < 2**32: return bytes([value]) if value < 128 else struct.pack(">BI", 0xCE, value)
    if isinstance(value, str): return header(0xA0, 32, 0xD9, len(value.encode())) + value.encode()
    if isinstance(value, list): return header(0x90, 16, 0xDC, len(value)) + b"".join(map(pack, value))
    if isinstance(value, dict):
        return header(0x80, 16, 0xDE, len(value)) + b"".join(pack(key) + pack(item) for key, item in value.items())
    raise TypeError(f"expected a u32, a string, a list or a map, got {value!r}")

def header(short, limit, long, length):
    return bytes([short | length]) if length < limit else struct.pack(LENGTHS[long][1].replace(">", ">B"), long, length)

def unpack(data):
    value, end = read(data, 0, 0)
    if end != len(data): raise ValueError(f"expected one value, got {len(data) - end} bytes more")
    return value

def read(data, at, depth):
    """The value that begins at an offset, and where it ends."""
    if depth > 6: raise ValueError("expected at most 6 levels")
    kind, at = data[at], at + 1
    if kind < 0x80: return kind, at
    if kind >= 0xE0: return kind - 256, at
    if kind in (0xC0, 0xC2, 0xC3): return {0xC0: None, 0xC2: False, 0xC3: True}[kind], at
    if kind in NUMBERS: return struct.unpack_from(NUMBERS[kind], data, at)[0], at + struct.calcsize(NUMBERS[kind])
    if kind in LENGTHS:
        of, form = LENGTHS[kind]
        length, at = struct.unpack_from(form, data, at)[0], at + struct.calcsize(form)
    else:
        of, length = (dict, kind & 15) if kind < 0x90 else (list, kind & 15) if kind < 0xA0 else (str, kind & 31)
        if 0xC0 <= kind: raise ValueError(f"expected no extension type, got {kind:#x}")
    if of in (str, bytes):
        if at + length > len(data): raise ValueError("expected more bytes")
        return (data[at : at + length].decode() if of is str else data[at : at + length]), at + length
    items = []
    for _ in range(length * (2 if of is dict else 1)):
        item, at = read(data, at, depth + 1)
        items.append(item)
    return (items if of is list else dict(zip(items[::2], items[1::2]))), at
