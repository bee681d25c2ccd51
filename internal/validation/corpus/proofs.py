#!/usr/bin/env python3
"""Writes roots.tsv (leaves, last leaf, root) and proofs.tsv (kind, size, index or old size, leaf or old root, root,
path, verdict), by the definitions of RFC 6962, 2.1, as they stand there. The roots of one to eight leaves are those
that implementations have shared since Certificate Transparency's first."""
from hashlib import sha256

LEAVES = [bytes.fromhex(x) for x in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")]
ROOTS = """e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d
fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125
aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77
d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7
4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4
76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef
ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c
5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328""".split()


def split(n):
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def mth(d):
    if len(d) < 2:
        return sha256(b"\0" + d[0]).digest() if d else sha256().digest()
    k = split(len(d))
    return sha256(b"\1" + mth(d[:k]) + mth(d[k:])).digest()


def path(m, d):
    if len(d) == 1:
        return []
    k = split(len(d))
    return path(m, d[:k]) + [mth(d[k:])] if m < k else path(m - k, d[k:]) + [mth(d[:k])]


def subproof(m, d, whole):
    if m == len(d):
        return [] if whole else [mth(d)]
    k = split(len(d))
    if m <= k:
        return subproof(m, d[:k], whole) + [mth(d[k:])]
    return subproof(m - k, d[k:], False) + [mth(d[:k])]


def row(*columns):
    return "\t".join(str(c) for c in columns) + "\n"


def main():
    with open("roots.tsv", "w") as out:
        for n, root in enumerate(ROOTS):
            assert mth(LEAVES[:n]).hex() == root
            out.write(row(n, LEAVES[n - 1].hex() if n else "", root))
    with open("proofs.tsv", "w") as out:
        for size, index in (1, 0), (2, 1), (5, 4), (7, 3), (8, 0), (8, 5):
            d = LEAVES[:size]
            p, leaf = [h.hex() for h in path(index, d)], sha256(b"\0" + d[index]).hexdigest()
            out.write(row("inclusion", size, index, leaf, mth(d).hex(), " ".join(p), "holds"))
            bad = leaf[:-1] + ("0" if leaf[-1] != "0" else "1")
            out.write(row("inclusion", size, index, bad, mth(d).hex(), " ".join(p), "refused"))
        for size, old in (2, 1), (6, 2), (7, 6), (8, 3), (8, 4):
            d = LEAVES[:size]
            p = [h.hex() for h in subproof(old, d[:size], True)]
            out.write(row("consistency", size, old, mth(d[:old]).hex(), mth(d).hex(), " ".join(p), "holds"))
            other = mth([b"other"] + d[1:old]).hex()
            out.write(row("consistency", size, old, other, mth(d).hex(), " ".join(p), "refused"))


main()
