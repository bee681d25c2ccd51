#!/usr/bin/env python3
"""Writes list.csv, a hash set, and lookups.tsv: what is looked up (kind, hexadecimal), how it is known ("sha256 at 0
bits") or "unknown". Digests are hashlib's, distances are counted bit by bit, against every row."""
from hashlib import md5, sha1, sha256

KNOWN = [b"known %d" % i for i in range(40)]
RADIUS = 31 # the farthest that a picture counts as alike, in bits


def pdq(i):
    return int.from_bytes(sha256(b"picture %d" % i).digest(), "big")


def flip(value, bits):
    for k in range(bits):
        value ^= 1 << (k * 37 + 5) % 256 # 37 has no divisor in common with 256: no bit twice
    return value


def nearest(value):
    d = min(bin(value ^ pdq(i)).count("1") for i in range(60))
    return "pdq at %d bits" % d if d <= RADIUS else "unknown"


def main():
    with open("list.csv", "w") as out:
        out.write("sha256,sha1,md5,pdq\n")
        for i, k in enumerate(KNOWN):
            columns = [sha256(k).hexdigest(), sha1(k).hexdigest(), md5(k).hexdigest()]
            out.write(",".join(c if i % 3 == n else "" for n, c in enumerate(columns)) + ",\n")
        for i in range(60):
            out.write(",,,%064x\n" % pdq(i))
    with open("lookups.tsv", "w") as out:
        for k, i in (("sha256", 0), ("sha1", 1), ("md5", 2), ("sha256", 39), ("sha1", 37), ("md5", 38)):
            out.write("%s\t%s\t%s at 0 bits\n" % (k, {"md5": md5, "sha1": sha1, "sha256": sha256}[k](KNOWN[i]).hexdigest(), k))
        for k, f in ("sha256", sha256), ("sha1", sha1), ("md5", md5):
            out.write("%s\t%s\tunknown\n" % (k, f(b"not known").hexdigest()))
        for i, bits in (0, 0), (7, 1), (23, 15), (41, 30), (59, 31), (59, 32), (12, 64):
            value = flip(pdq(i), bits)
            out.write("pdq\t%064x\t%s\n" % (value, nearest(value)))


main()
