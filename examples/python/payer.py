"""
A payer in standard-library Python, written from protocol/README.md and its vectors alone: one claim after another over UDP,
or over TCP where UDP is silent, until the node says that all of them are durable.

Run it: python3 examples/python/payer.py HOST:PORT LEDGER_CHANNEL_ID KEY_FILE DROPS CLAIMS [xrpl|link]
DROPS is what each claim adds. KEY_FILE is what `claimwire keygen --out KEY_FILE` wrote; the channel has that key.

For learning and for some hundred claims a second: secp256k1.py is slow, and its time depends on the private key. Nothing
is stored: a payer that must know after a crash what it has promised writes the amount to its disk before it sends.
"""
import json, random, struct, sys, time
from secp256k1 import G, multiply, sign, verify
from wire import QUESTION, STATUS, Tcp, Udp, acks, claim_digest, resume_digest

class Payer:
    WINDOW = 15  # claims in flight: one that never sends more need not mind what OVERLOADED says of the window

    def __init__(self, address, ledger_id, key, profile="xrpl"):
        self.address, self.ledger_id, self.key, self.profile = address, ledger_id, key, profile
        self.handle, self.public = int.from_bytes(ledger_id[:8], "big"), multiply(key, G)
        self.sequence = self.amount = self.acked = 0
        self.newest, self.window, self.resent = b"", {}, False  # window: the amounts unanswered, by sequence
        self.smoothed, self.variation, self.pause = None, 0, 0  # of round trips; before the next connection
        self.clock = time.time() - time.monotonic()

    def stamp(self):
        return struct.pack(">d", (self.clock + time.monotonic()) * 1000)

    def timeout(self):
        """RFC 6298 in seconds, as "Time-outs" bounds it."""
        if self.smoothed is None: return 0.25
        return min(max(self.smoothed + 4 * self.variation, 2 * self.smoothed, 0.02), 60)

    # ── What is committed ────────────────────────────────────────────────────────────────────────────────────────────

    def open(self):
        """Finds a way to the node, and what the channel has paid."""
        try:
            self.link = Udp(self.address)
            anything = self.anything_durable()
        except (TimeoutError, ConnectionRefusedError):  # UDP is blocked, or nobody listens there
            self.link = Tcp(self.address)
            self.resume(self.link)
        else:
            if anything: self.resume(Tcp(self.address))
        self.first = self.acked = self.amount

    def anything_durable(self):
        """Asks over UDP whether 1 drop is durable: by a claim that nobody can have signed, known by its timestamp."""
        stamp = self.stamp()
        question = struct.pack(">BQIQ", 1, self.handle, 0, 1) + QUESTION + stamp
        for wait in 0.25, 0.5, 1:
            self.link.send(question)
            end = time.monotonic() + wait
            while time.monotonic() < end:
                for payload in self.link.receive(end - time.monotonic()):
                    for status, _, handle, amount, echo in acks(payload):
                        if handle != self.handle: continue
                        if status < 2 and amount >= 1: return True
                        if echo == stamp and status in (17, 18, 20): return False
                        if echo == stamp and status in (16, 19): return True  # only resume tells
        raise TimeoutError("UDP is silent")

    def resume(self, tcp):
        """The node's best claim, believed if our own key has signed it."""
        nonce = tcp.ask({"id": 1, "type": "hello", "client": "payer.py", "versions": [1]})["nonce"]
        proof = sign(self.key, resume_digest(self.ledger_id, bytes.fromhex(nonce))).hex().upper()
        best = tcp.ask({"id": 2, "type": "resume", "channelId": str(self.handle), "signature": proof})
        self.amount, self.sequence = int(best["committed"]), best["sequence"]
        if not self.amount: return
        head = struct.pack(">BQIQ", 1, self.handle, self.sequence, self.amount)
        digest = claim_digest(self.profile, self.ledger_id, head, bytes.fromhex(best["timestamp"]))
        if not verify(self.public, digest, bytes.fromhex(best["signature"])): raise SystemExit("resume: not our claim")

    # ── Paying ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def pay(self, drops):
        """Sends a claim of so many drops more, as soon as there is room in flight."""
        while len(self.window) >= self.WINDOW: self.wait()
        self.amount, self.sequence = self.amount + drops, (self.sequence + 1) % 2**32
        head, stamp = struct.pack(">BQIQ", 1, self.handle, self.sequence, self.amount), self.stamp()
        signature = sign(self.key, claim_digest(self.profile, self.ledger_id, head, stamp))
        if not self.window: self.progress = self.heard = time.monotonic()
        self.newest, self.window[self.sequence], self.resent = head + signature + stamp, self.amount, False
        self.send()
        self.read(0)

    def finish(self):
        """Returns when all that was signed is durable."""
        while self.window: self.wait()

    def send(self, wait=None):
        wait = self.timeout() if wait is None else wait
        self.backoff, self.due = wait, time.monotonic() + wait * random.uniform(1, 1.25)
        try: self.link.send(self.newest)
        except OSError: self.reconnect()

    def wait(self):
        """Waits for an answer up to the time-out, then sends the newest claim again."""
        self.read(self.due - time.monotonic())
        now = time.monotonic()
        if not self.window or now < self.due: return
        if now - self.progress > 10: self.give_up()
        if now - self.heard > max(2, 4 * self.timeout()): return self.reconnect()
        # Under link the timestamp is signed: the same bytes again.
        if self.profile == "xrpl": self.newest = self.newest[:85] + self.stamp()
        self.resent = True
        self.send(min(self.backoff * 2, max(1, self.timeout())))

    def give_up(self):
        raise SystemExit(f"no answer in 10 s: {self.acked} drops are durable, and {self.amount} may be")

    def reconnect(self):
        """A new connection after a silent or a lost one, and the newest claim on it."""
        self.link.socket.close()
        while time.monotonic() - self.progress < 10:
            time.sleep(self.pause)  # 0 if the last one has carried an ack
            self.pause = min(max(2 * self.pause, 0.05), 1)
            try:
                self.link = Tcp(self.address)
                self.link.send(self.newest)
            except OSError: continue
            self.heard, self.resent = time.monotonic(), True
            self.backoff, self.due = self.timeout(), self.heard + self.timeout()
            return
        self.give_up()

    def read(self, wait):
        try: payloads = self.link.receive(wait)
        except OSError: return self.reconnect()
        for payload in payloads:
            for ack in acks(payload): self.answered(*ack)

    def answered(self, status, sequence, handle, amount, echo):
        if handle != self.handle: return
        self.heard, self.pause = time.monotonic(), 0
        if status < 2 and amount <= self.amount:  # believed up to what was signed
            self.acked = max(self.acked, amount)
            if any(held <= amount for held in self.window.values()): self.progress = self.heard
            self.window = {at: held for at, held in self.window.items() if held > amount}
            if not (self.resent and self.profile == "link"): self.measure(struct.unpack(">d", echo)[0])
        elif status == 21 and sequence in self.window:
            self.due = self.heard + 2 * self.timeout()
        elif status >= 16 and sequence in self.window:
            raise SystemExit(f"refused: {STATUS.get(status, status)}, with {amount}; {self.acked} drops are durable")

    def measure(self, stamped):
        trip = self.clock + time.monotonic() - stamped / 1000
        if not 0 <= trip <= 60: return
        if self.smoothed is None: self.smoothed, self.variation = trip, trip / 2
        else:
            self.variation += (abs(self.smoothed - trip) - self.variation) / 4
            self.smoothed += (trip - self.smoothed) / 8

def main(node, ledger_id, key_file, drops, claims, profile="xrpl"):
    host, _, port = node.rpartition(":")
    with open(key_file) as file: key = int(json.load(file)["privateKey"], 16)
    payer = Payer((host.strip("[]"), int(port)), bytes.fromhex(ledger_id), key, profile)
    payer.open()
    for _ in range(int(claims)): payer.pay(int(drops))
    payer.finish()
    paid = payer.acked - payer.first
    print(f"reconciled: {claims} claims paid {paid} drops over {payer.link.name}; {payer.acked} in all are durable")

if __name__ == "__main__":
    try: main(*sys.argv[1:])
    except OSError as error: raise SystemExit(f"the node cannot be reached: {error}")
