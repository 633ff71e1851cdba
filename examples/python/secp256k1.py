"""
ECDSA over secp256k1 with RFC 6979's nonces, in the form that payment channels take: r and s of 32 bytes each, s low.

For learning and for small rates. The arithmetic takes a time that depends on the private key, so whoever can measure it
closely may learn the key: sign with a library where that matters.
"""
import hmac
from functools import lru_cache

# y² = x³ + 7 modulo P, and the point G of order N. None is the point at infinity.
P, N = 2**256 - 2**32 - 977, 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
     0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8)

def add(a, b):
    if a is None or b is None: return a or b
    (x1, y1), (x2, y2) = a, b
    if x1 == x2 and (y1 + y2) % P == 0: return None
    slope = 3 * x1 * x1 * pow(2 * y1, -1, P) if a == b else (y2 - y1) * pow(x2 - x1, -1, P)
    x = (slope * slope - x1 - x2) % P
    return x, (slope * (x1 - x) - y1) % P

@lru_cache(16)
def doublings(point):
    points = [point]
    while len(points) < 256: points.append(add(points[-1], points[-1]))
    return points

def multiply(number, point):
    total = None
    for bit in range(256):
        if number >> bit & 1: total = add(total, doublings(point)[bit])
    return total

def nonces(key, digest):
    """RFC 6979 by HMAC-SHA256."""
    seed = key.to_bytes(32, "big") + (int.from_bytes(digest, "big") % N).to_bytes(32, "big")
    mac = lambda *parts: hmac.digest(k, b"".join(parts), "sha256")
    k, v = bytes(32), b"\1" * 32
    for byte in b"\0", b"\1": k = mac(v, byte, seed); v = mac(v)
    while True:
        v = mac(v)
        yield int.from_bytes(v, "big")
        k = mac(v, b"\0"); v = mac(v)

def sign(key, digest):
    for nonce in nonces(key, digest):
        if not 0 < nonce < N: continue
        r = multiply(nonce, G)[0] % N
        s = pow(nonce, -1, N) * (int.from_bytes(digest, "big") + r * key) % N
        if r and s: return r.to_bytes(32, "big") + min(s, N - s).to_bytes(32, "big")  # the low s

def verify(public, digest, signature):
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (0 < r < N and 0 < s <= N // 2): return False
    z, w = int.from_bytes(digest, "big"), pow(s, -1, N)
    point = add(multiply(z * w % N, G), multiply(r * w % N, public))
    return point is not None and point[0] % N == r
