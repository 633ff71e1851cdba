"""
Holds the payer's parts against protocol/vectors: signatures, claims, acks, datagrams, streams, control messages, resume.

Run it: python3 examples/python/test_vectors.py
"""
import json, os, struct, sys
from messagepack import pack, unpack
from secp256k1 import G, P, multiply, sign, verify
from wire import Tcp, acks, claim_digest, resume_digest

VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../protocol/vectors")
checked = 0

def vectors(name):
    with open(os.path.join(VECTORS, name + ".json")) as file: return json.load(file)["vectors"]

def same(what, got, expected):
    global checked
    checked += 1
    if got != expected: sys.exit(f"{what}: expected {expected}, got {got}")

def compressed(point): return (b"\3" if point[1] % 2 else b"\2") + point[0].to_bytes(32, "big")

def point(key):
    """The point of a compressed key."""
    x = int.from_bytes(key[1:], "big")
    y = pow(x**3 + 7, (P + 1) // 4, P)
    return x, y if y % 2 == key[0] % 2 else P - y

for v in vectors("rfc6979"):
    key, digest = int(v["privateKey"], 16), bytes.fromhex(v["digest"])
    same("rfc6979: key", compressed(multiply(key, G)).hex(), v["publicKey"])
    same("rfc6979: signature", sign(key, digest).hex(), v["signature"])

for v in vectors("claims"):
    if v["algorithm"] != "secp256k1": continue  # the standard library has no Ed25519
    stamp, ledger_id = bytes.fromhex(v["timestampBits"]), bytes.fromhex(v["ledgerChannelId"])
    head = struct.pack(">BQIQ", 1, int(v["channelId"]), v["sequence"], int(v["amount"]))
    digest = claim_digest(v["profile"], ledger_id, head, stamp)
    same(v["name"], digest.hex(), v["digest"])
    signature = sign(int(v["privateKey"], 16), digest)
    same(v["name"], (head + signature + stamp).hex(), v["wire"])
    same(v["name"], verify(point(bytes.fromhex(v["publicKey"])), digest, signature), True)

for v in vectors("acks"):
    ack = v["status"], v["sequence"], int(v["channelId"]), int(v["amount"]), bytes.fromhex(v["timestampBits"])
    same(v["name"], list(acks(bytes.fromhex(v["wire"]))), [ack])

for v in vectors("walks"): same(v["name"], len(list(acks(bytes.fromhex(v["wire"])))), v["frames"].count("a"))

for v in vectors("resume"):
    if v["publicKey"].startswith("ed"): continue
    digest = resume_digest(bytes.fromhex(v["ledgerChannelId"]), bytes.fromhex(v["nonce"]))
    signature = bytes.fromhex(v["signature"])
    if "digest" in v and v["valid"]: same(v["name"], digest.hex(), v["digest"])
    if "privateKey" in v: same(v["name"], sign(int(v["privateKey"], 16), digest).hex(), v["signature"])
    same(v["name"], verify(point(bytes.fromhex(v["publicKey"])), digest, signature), v["valid"])

for v in vectors("streams"):
    tcp, end = Tcp.__new__(Tcp), ""
    tcp.bytes, got = bytes.fromhex(v["stream"]), []
    try:
        got = tcp.split()
        end = "INSIDE" if tcp.bytes else "BOUNDARY"
    except ConnectionError: end = "LENGTH"
    same(v["name"], end, "LENGTH" if v["end"].startswith("LENGTH") else v["end"])
    if end != "LENGTH": same(v["name"], len(got), len(v["messages"]))

for v in vectors("control"):
    payload = bytes.fromhex(v["payload"])
    if "refusal" in v: continue  # what a node refuses
    message = v.get("request") or v["reply"]
    same(v["name"], {key: unpack(payload[1:]).get(key) for key in message}, message)
    if v["name"] in ("hello", "status", "resume") and "request" in v: same(v["name"], b"\x80" + pack(message), payload)

print(f"{checked} checks against the vectors hold")
