"""
The wire format of protocol/README.md: what is signed, acks taken apart, and a node reached over UDP or TCP.
"""
import hashlib, select, socket, struct, time
from messagepack import pack, unpack

def claim_digest(profile, ledger_id, head, stamp):
    """What is signed of a claim; head is its first 21 bytes and stamp its last 8."""
    if profile == "xrpl": return hashlib.sha512(b"CLM\0" + ledger_id + head[13:]).digest()[:32]
    return hashlib.sha256(b"claimwire/link/1" + ledger_id + head + stamp).digest()

def resume_digest(ledger_id, nonce):
    return hashlib.sha256(b"claimwire/resume/1" + ledger_id + nonce).digest()

STATUS = {16: "UNKNOWN_CHANNEL", 17: "BAD_SIGNATURE", 18: "OVER_CAPACITY", 19: "CHANNEL_CLOSED", 20: "BAD_AMOUNT",
          21: "OVERLOADED", 22: "BAD_SEQUENCE", 23: "MOVED"}
QUESTION = b"\xff" * 64  # the signature that nobody can make

def acks(payload):
    """(status, sequence, handle, amount, timestamp's bytes) of each ack; the walk ends at a cut frame or an unknown one."""
    at = 0
    while at < len(payload):
        size = {1: 93, 2: 32}.get(payload[at])
        if size is None or at + size > len(payload): return
        if payload[at] == 2: yield struct.unpack_from(">xBxxIQQ8s", payload, at)
        at += size

class Udp:
    name = "udp"
    def __init__(self, address):
        family, _, _, _, place = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.connect(place)  # datagrams of others are dropped
    def send(self, payload): self.socket.send(payload)
    def receive(self, wait):
        """Payloads that came within so many seconds."""
        return [self.socket.recv(65536)] if select.select([self.socket], [], [], max(wait, 0))[0] else []

class Tcp:
    name = "tcp"
    def __init__(self, address):
        self.socket, self.bytes = socket.create_connection(address, 5), b""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    def send(self, payload): self.socket.sendall(struct.pack(">I", len(payload)) + payload)
    def receive(self, wait):
        if select.select([self.socket], [], [], max(wait, 0))[0]:
            chunk = self.socket.recv(65536)
            if not chunk: raise ConnectionError("the node ended the connection")
            self.bytes += chunk
        return self.split()
    def split(self):
        payloads = []
        while len(self.bytes) >= 4:
            size = int.from_bytes(self.bytes[:4], "big")
            if not 1 <= size <= 65536: raise ConnectionError(f"expected a length of 1 to 65536, got {size}")
            if len(self.bytes) < 4 + size: break
            payloads.append(self.bytes[4 : 4 + size])
            self.bytes = self.bytes[4 + size :]
        return payloads
    def ask(self, request):
        """A control request and its reply, on a connection that carries no claims yet."""
        self.send(b"\x80" + pack(request))
        end = time.monotonic() + 12  # a node answers within 10 s, if only TIMED_OUT
        while time.monotonic() < end:
            for payload in self.receive(end - time.monotonic()):
                reply = unpack(payload[1:]) if payload[0] == 0x80 else {}
                if reply.get("id") != request["id"]: continue
                if reply["ok"]: return reply
                raise SystemExit(f"{request['type']} was refused: {reply['code']}: {reply['message']}")
        raise ConnectionError(f"no reply to {request['type']}")
