#!/usr/bin/env python3
"""Checks a disclosure bundle, tutela-bundle@v1, with Python 3.9 or later and its standard library alone:
    python3 verify.py [--policy FILE] [FOLDER or TAR]        exit code 0: it holds; 4: it does not
It follows bundle-format.md. Each need(…) is a rule; what meets all of them holds. Text is compared as bytes."""
import base64, bisect, datetime, hashlib, operator, os, re, stat, sys
def need(holds, why):
    if not holds: raise ValueError(why)
def number(b):
    need(re.fullmatch(rb"0|[1-9][0-9]{0,19}", b) and int(b) < 1 << 64, f"not a number: {b[:40]!r}")
    return int(b)
def unbase64(b):
    need(base64.b64encode(raw := base64.b64decode(b, validate=True)) == b, "base64 not in its one form")
    return raw
NAME = "[^\0-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000+]+"  # no space, control or plus
def sha256(b): return hashlib.sha256(b).digest()
# Ed25519, RFC 8032: points as (X, Y, Z, T). [S]B = R + [k]A is checked without cofactor, by the bytes of R.
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0])
    c, d = 2 * p[3] * q[3] * D, 2 * p[2] * q[2]
    return (b - a) * (d - c) % P, (d + c) * (b + a) % P, (d - c) * (d + c) % P, (b - a) * (b + a) % P
def times(n, p):
    q = (0, 1, 1, 0)
    for bit in bin(n)[2:]: q = add(add(q, q), p) if bit == "1" else add(q, q)
    return q
def point(b):
    y = int.from_bytes(b, "little") % 2**255 % P
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square: x = x * pow(2, (P - 1) // 4, P) % P
    need(x * x % P == square, "a key that is no point of the curve")
    if x % 2 != b[31] >> 7: x = P - x
    return x, y, 1, x * y % P
def ed25519(key, text, sig):
    if len(sig) != 64 or (s := int.from_bytes(sig[32:], "little")) >= L: return False
    k, (x, y, z, t) = int.from_bytes(hashlib.sha512(sig[:32] + key + text).digest(), "little") % L, point(key)
    x, y, z, t = add(times(s, point(b"\x58" + b"\x66" * 31)), times(k, (-x, y, z, -t)))
    x, y = x * pow(z, -1, P) % P, y * pow(z, -1, P) % P
    return (y + (x % 2 << 255)).to_bytes(32, "little") == sig[:32]
# ML-DSA-44, FIPS 204; the numbers of its algorithms stand behind. NTT: a polynomial's values at 256 points.
Q, POWERS = 8380417, [pow(1753, i, 8380417) for i in range(512)]
NTT = [[POWERS[(2 * int(f"{i:08b}"[::-1], 2) + 1) * j % 512] for j in range(256)] for i in range(256)]
BACK = [[pow(256, -1, Q) * POWERS[-(2 * int(f"{i:08b}"[::-1], 2) + 1) * j % 512] % Q for i in range(256)]
        for j in range(256)]
def apply(m, w): return [sum(map(operator.mul, row, w)) % Q for row in m]
def unpack(b, bits): return [int.from_bytes(b, "little") >> bits * i & (1 << bits) - 1 for i in range(256)]
def matrix(seed):  # 30
    b = hashlib.shake_128(seed).digest(1344)
    return [t for i in range(0, 1344, 3) if (t := int.from_bytes(b[i:i + 3], "little") & 0x7fffff) < Q][:256]
def ball(seed):  # 29
    c, b = [0] * 256, hashlib.shake_256(seed).digest(4096)
    signs, stream = int.from_bytes(b[:8], "little"), iter(b[8:])
    for i in range(217, 256):
        j = next(b for b in stream if b <= i)
        c[i], c[j] = c[j], 1 - 2 * (signs >> i - 217 & 1)
    return c
def high(r, hint):  # 36, 40
    low = (r + 95231) % 190464 - 95231
    top, low = (0, low - 1) if r - low == Q - 1 else ((r - low) // 190464, low)
    return (top + (1 if low > 0 else -1) * hint) % 44
def mldsa44(key, text, sig):  # 8, with an empty context; 21 in the loop
    if len(sig) != 2420: return False
    z, hints, at = [[131072 - x for x in unpack(sig[i:i + 576], 18)] for i in range(32, 2336, 576)], [], 0
    for end in sig[2416:]:
        hints.append(sig[2336 + at:2336 + end])
        if not at <= end <= 80 or any(a >= b for a, b in zip(hints[-1], hints[-1][1:])): return False
        at = end
    if any(sig[2336 + at:2416]) or any(abs(x) >= 130994 for row in z for x in row): return False
    c, z, w1 = apply(NTT, ball(sig[:32])), [apply(NTT, row) for row in z], b""
    for row in range(4):
        t = apply(NTT, [x << 13 for x in unpack(key[32 + 320 * row:352 + 320 * row], 10)])
        a = [matrix(key[:32] + bytes([column, row])) for column in range(4)]
        w = apply(BACK, [sum(a[i][j] * z[i][j] for i in range(4)) - c[j] * t[j] for j in range(256)])
        w1 += sum(high(r, j in hints[row]) << 6 * j for j, r in enumerate(w)).to_bytes(192, "little")
    mu = hashlib.shake_256(hashlib.shake_256(key).digest(64) + b"\0\0" + text).digest(64)
    return hashlib.shake_256(mu + w1).digest(32) == sig[:32]
# Merkle trees, RFC 6962. `leaves` is {index: bytes}; `proof` the ranges without such leaves, left to right.
def merkle(size, leaves, proof, sha="sha256"):
    def h(b): return hashlib.new(sha, b).digest()
    def root(low, high):
        if bisect.bisect_left(have, low) == bisect.bisect_left(have, high): return next(rest)
        if high - low == 1: return h(b"\0" + leaves[low])
        middle = low + (1 << (high - low - 1).bit_length() - 1)
        return h(b"\1" + root(low, middle) + root(middle, high))
    have, rest = sorted(leaves), iter(re.findall(b"(?s)" + b"." * len(h(b"")), proof))
    need(have and have[-1] < size and len(proof) % len(h(b"")) == 0, "a proof of no leaves, or of too many")
    top = root(0, size)
    need(next(rest, None) is None, "a proof with a hash too many")
    return top
def consistent(old, old_root, new, new_root, proof):  # RFC 9162, 2.1.4.2, told as the tree is divided
    def roots(size, high, whole):  # of the first `size` and of all `high` leaves of a range; whole: it begins at 0
        if size == high: return (old_root if whole else next(rest),) * 2
        half = 1 << (high - 1).bit_length() - 1
        if size <= half:
            a, b = roots(size, half, whole)
            return a, sha256(b"\1" + b + next(rest))
        (a, b), left = roots(size - half, high - half, False), next(rest)
        return sha256(b"\1" + left + a), sha256(b"\1" + left + b)
    rest = iter(re.findall(b"(?s)" + b"." * 32, proof))
    need(old < new and len(proof) % 32 == 0, "a consistency proof for other sizes")
    need((roots(old, new, True) if old else (sha256(b""), new_root)) == (old_root, new_root) and
         next(rest, None) is None, "a head that is not the beginning of the log")
# C2SP signed-note, tlog-checkpoint, tlog-cosignature. A key is (name, type, bytes); witnesses have type 4 or 6.
def vkey(text, *types):
    name, key_id, raw = text.split(b"+", 2)
    key = (name, unbase64(raw)[0], unbase64(raw)[1:])
    need(key[1] in types and len(key[2]) == (1312 if key[1] == 6 else 32) and len(name) < 256 and
         re.fullmatch(NAME, name.decode()) and key_id == ident(key).hex().encode(), f"a bad key: {text[:50]!r}")
    return key
def ident(key): return sha256(key[0] + b"\n" + bytes([key[1]]) + key[2])[:4]
def checkpoint(text):
    origin, size, root = re.fullmatch(rb"([^\n]+)\n([0-9]+)\n([^\n]+)\n", text).groups()
    need(re.fullmatch(NAME, origin.decode()) and len(origin) < 256 and len(unbase64(root)) == 32, "a bad head")
    return origin, number(size), unbase64(root)
def signed(key, text, sig):
    name, kind, key = key
    if kind == 1: return ed25519(key, text, sig)
    stamp, sig = int.from_bytes(sig[:8], "big"), sig[8:]
    need(stamp < 1 << 63, "a time out of range")
    if kind == 4: return ed25519(key, b"cosignature/v1\ntime %d\n" % stamp + text, sig)
    origin, size, root = checkpoint(text)
    return mldsa44(key, b"subtree/v1\n\0" + bytes([len(name)]) + name + stamp.to_bytes(8, "big") + bytes(
        [len(origin)]) + origin + bytes(8) + size.to_bytes(8, "big") + root, sig)
def signers(text, block, keys, strangers):
    """The keys that signed; all lines by them must hold. Strangers' lines are of the right form, or none."""
    lines, known, found = block.split(b"\n"), {(k[0], ident(k)): k for k in keys}, set()
    need(lines.pop() == b"" and 1 <= len(lines) <= 100 and len(set(lines)) == len(lines), "no signature lines")
    for line in lines:
        name, raw = re.fullmatch("— ([^ ]+) ([^ ]+)".encode(), line).groups()
        raw, key = unbase64(raw), known.get((name, unbase64(raw)[:4]))
        need(re.fullmatch(NAME, name.decode()) and len(name) < 256 and len(raw) > 4, "a bad signature line")
        need(signed(key, text, raw[4:]) if key else strangers, f"a signature of {name!r} does not hold")
        need(key not in found, "two signatures by one key")
        found |= {key} - {None}
    return found
def policy(text, strict):
    """C2SP tlog-policy as (keys of logs, keys of witnesses, whether a set of keys is a quorum)."""
    need(re.fullmatch(rb"(?:[\t -~\x80-\xff]*\n)+", text), "a policy with a control character")
    lines = [re.split(rb"[\t ]+", line.strip(b"\t ")) for line in text.split(b"\n")[:-1]]
    logs, witnesses, quorum, members, keywords = [], [], [], {}, [b"log", b"witness", b"group", b"quorum"]
    lines = [w for w in lines if w[0] and not w[0].startswith(b"#")]
    for word, *w in lines:
        if word == b"log" and 1 <= len(w) <= 2: logs.append(vkey(w[0], 1, 6))
        elif word == b"quorum" and len(w) == 1 and not quorum:
            quorum.append((lambda s: True) if w == [b"none"] else members[w[0]])
        else:
            need(word in keywords[1:3] and len(w) > 1 and w[0] not in members and w[0] != b"none", "a bad policy")
            if word == b"witness" and len(w) <= 3:
                key = vkey(w[1], *(1, 6) if strict else (1, 4, 6))
                witnesses.append((key[0], 4 if key[1] == 1 else key[1], key[2]))
                members[w[0]] = lambda s, key=witnesses[-1]: key in s
            else:
                need(word == b"group" and len(w) == len(set(w[2:])) + 2, "a bad group")
                k = 1 if w[1] == b"any" and not strict else len(w) - 2 if w[1] == b"all" and not strict else number(w[1])
                need(1 <= k <= len(w) - 2, "a group that asks for none, or for more than it has")
                members[w[0]] = lambda s, k=k, of=[members[m] for m in w[2:]]: sum(m(s) for m in of) >= k
        need(not strict or word == b"group" or len(w) == (2 if word == b"witness" else 1), "an address in a policy")
    names, keys = [k[0] for k in logs], logs + witnesses
    need(logs and quorum and len({k[2] for k in keys}) == len({(k[0], ident(k)) for k in keys}) == len(keys),
         "a policy without logs or quorum, or with a key twice")
    need(not strict or len(set(names)) == 1 and all(len(m) < 256 and re.fullmatch(NAME, m.decode()) for m in members) and
         text == b"".join(b" ".join(w) + b"\n" for w in sorted(lines, key=lambda w: keywords.index(w[0]))),
         "a policy that is not in its one form")
    return logs, witnesses, quorum[0]
# Bodies, ledger-format.md
class Body:
    def __init__(self, b): self.b, self.at = b, 0
    def take(self, n):
        need(self.at + n <= len(self.b), "a body that ends too early")
        self.at += n
        return self.b[self.at - n:self.at]
    def uint(self):
        raw = b""
        while not raw or raw[-1] > 127 and len(raw) < 10: raw += self.take(1)
        n = sum((x & 127) << 7 * i for i, x in enumerate(raw))
        need(raw[-1] < 128 and (len(raw) == 1 or raw[-1]) and n < 1 << 64, "an integer that is not in its one form")
        return n
    def int(self): return (n := self.uint()) >> 1 ^ -(n & 1)
    def text(self): return self.take(self.uint())
    def time(self):
        need((at := (self.int(), self.uint()))[1] < 10**9, "a time out of range")
        return at
class Event:
    def __init__(self, body):
        b, self.facts, self.signer, self.sig, self.previous = Body(body), [], b"", b"", 0
        need((tag := b.take(2)) in (b"E\1", b"E\2"), "not an event")
        self.kind, _, self.actor, self.case, self.exhibit = b.text(), b.time(), b.text(), b.text(), b.text()
        _, _, _ = b.text(), b.text(), b.text()  # authority, detail, key
        if tag == b"E\2":
            self.facts = [(b.text(), b.uint(), b.text()) for _ in range(b.uint())]
            self.message = b"tutela-event@v2\n" + sha256(body[:b.at]).hex().encode() + b"\n"
            self.signer, self.sig, self.previous = b.text(), b.text(), b.uint()
            need(self.facts or self.signer or self.sig or self.previous, "version 2 of an event of version 1")
        need(b.at == len(body), "an event with bytes too many")
    def all(self, name): return [value for n, _, value in self.facts if n == name]
def record(body):  # up to its digests: (size, SHA-256)
    b = Body(body)
    need(b.take(2) == b"R\1", "not a record")
    flags, _ = b.take(1)[0], b.take(2)
    need(flags < 32 and flags & 10 != 8, "unknown flags of a record")
    size, _, _ = b.int(), b.text(), b.text()
    for _ in range(b.uint()): b.text(), b.text()
    told = b.take(1)[0]
    need(told < 16, "unknown times of a record")
    for _ in range(bin(told).count("1")): need(b.time() != (-62135596800, 0), "a time that is none")
    for _ in range(2):
        for _ in range(b.uint()): b.int(), b.int()
    digests = b.take(68) if flags & 4 else None
    need(digests != bytes(68), "digests that are none")
    return size, digests and digests[36:]
# The bundle, bundle-format.md
PATHS = (r"BUNDLE(\.sig)?|README\.txt|verify\.py|policy|checkpoint|events/(#\.entry|proof)|report/(?!\.\.?$)[a-z0-9.-]+"
         r"|trees/#-(records|matches)/(#\.open|proof|proof-sha512)|content/#-records/#|prev/#\.(checkpoint|proof)"
         r"|time/#-#\.(tsr|ots)|tool/(validation|build)\.txt|gossip/[a-z0-9-]+\.checkpoint"
         ).replace("#", "(0|[1-9][0-9]*)").encode()
TREES = {b"records": b"seal interim match-run renew admit".split(), b"matches": b"match-run renew admit".split()}
FACTS = {**TREES, **{name + b"-sha512": kinds for name, kinds in TREES.items()}, b"recovery-key": [b"recovery-key"],
         **{name: [b"disclose"] for name in (b"opened", b"to", b"purpose")},
         **{name: [b"key-enrol", b"key-withdraw"] for name in (b"actor", b"actor-key")},
         **{name: [b"key-rotate"] for name in (b"log-key", b"retired-log-key")}}
OFFICE = b"key-enrol key-withdraw key-rotate recovery-key policy-change".split()
def facts(e):
    names = [name for name, _, _ in e.facts]
    for name, n, value in e.facts:
        need(names.count(name) == 1 or name in FACTS and FACTS[name] == [b"key-rotate"], "a fact that stands twice")
        need(e.kind in FACTS.get(name, [e.kind]), f"a fact {name!r} of {e.kind!r}")
        if name[-7:] == b"-sha512" and name in FACTS:
            need(len(value) == 64 and n in [m for x, m, _ in e.facts if x == name[:-7]], "a second root of no tree")
        elif name in TREES or name == b"opened": need(len(value) == 32, "a root of another length")
        else: need(n == 0 or name not in FACTS, "a fact with a number")
        if name == b"actor-key": vkey(value, 1)
        if name[-4:] == b"-key" and name in FACTS: vkey(value, 1, 6)
    for name in FACTS:
        need(name in TREES or name[:-7] in TREES or e.kind not in FACTS[name] or name in names, f"no fact {name!r}")
def check(files, policies=()):
    """Raises unless the bundle holds. files: {path as bytes: bytes, or something with len() and pieces()}."""
    def find(form):
        found = ((re.fullmatch(form.replace(b"N", b"([0-9]+)"), path), files[path]) for path in sorted(files))
        found = {tuple(number(g) if g.isdigit() else g for g in m.groups()): data for m, data in found if m}
        return dict(sorted(found.items()))
    for path, data in files.items():
        need(re.fullmatch(PATHS, path) and len(path) <= 100, f"a file of a name that is not allowed: {path!r}")
        most = 64 << 20 if path in (b"BUNDLE", b"BUNDLE.sig") else (16 << 20) + 32
        need(len(data) <= most or path.startswith(b"content/"), f"a file that is too large: {path!r}")
    need(len(files) <= 1000000, "too many files")
    lines = re.split(b"\n", files[b"BUNDLE"])
    names = b"case to purpose issued officer opened".split()
    head = {}
    need(lines[0] == b"tutela-bundle@v1" and lines[-1] == b"", "not a bundle of version 1")
    for name, line in zip(names, lines[1:7]):
        key, _, value = line.partition(b" ")
        need(key == name and 1 <= len(value) <= 1000 and re.fullmatch("(?! )[^\0-\x1f\x7f-\x9f\u2028\u2029]+(?<! )",
             value.decode()), f"a bad header: {line[:50]!r}")
        head[name] = value
    issued = re.fullmatch(rb"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z", head[b"issued"])
    datetime.datetime(*map(int, issued.groups()))
    listed = []
    for line in lines[7:-1]:
        digest, size, path = re.fullmatch(rb"([0-9a-f]{64}) ([0-9]+) ([^ ]+)", line).groups()
        need(not listed or listed[-1] < path, "a list that is not sorted")
        listed.append(path)
        h = hashlib.sha256()
        need(path in files and number(size) == len(files[path]), f"missing, or of another size: {path!r}")
        for piece in pieces(files[path]): h.update(piece)
        need(h.hexdigest().encode() == digest, f"changed: {path!r}")
    need(set(listed) == set(files) - {b"BUNDLE", b"BUNDLE.sig"} and {b"policy", b"checkpoint"} < set(listed), "a file not in the list")
    # the head, and who signed it
    text, block = notes(files[b"checkpoint"])
    logs, witnesses, quorum = policy(files[b"policy"], True)
    by, (origin, size, root) = signers(text, block, logs + witnesses, False), checkpoint(text)
    need(by >= set(logs) and origin == logs[0][0] and quorum(by), "a key of the log, or a quorum, has not signed")
    for other in policies:
        logs2, witnesses2, quorum2 = policy(other, False)
        logs2 = [k for k in logs2 if k[0] == origin]
        by = signers(text, block, logs2 + witnesses2, True)
        need(logs2 and by >= set(logs2) and quorum2(by), "the other policy does not hold")
    # the events
    entries = {n: data for (n,), data in find(rb"events/N\.entry").items()}
    need(merkle(size, {n: b"tutela-entry@v1\n" + sha256(b"\0" + data) for n, data in entries.items()}, files[b"events/proof"])
         == root, "events that do not stand in the log")
    events, keys, last = {n: Event(data[32:]) for n, data in entries.items()}, {}, {}
    for n, e in events.items():
        facts(e)
        need((e.kind in OFFICE) == (e.exhibit == b""), f"event {n} of a kind that has no place")
        if e.exhibit:
            need(e.case == head[b"case"] and (e.kind == b"seize") == (e.previous == 0) == (e.exhibit not in last), "a chain that does not begin with its seizure, or is of another case")
            need(e.exhibit not in last or e.previous == last[e.exhibit] + 1, "a chain with a gap")
            last[e.exhibit] = n
        else: need(e.previous == 0, "a link of no exhibit")
        if e.signer or e.sig:
            need(any(ident(k).hex().encode() == e.signer and ed25519(k[2], e.message, e.sig) for k in keys.get(e.actor, [])), f"the signature of event {n} does not hold")
        key = [vkey(k, 1) for k in e.all(b"actor-key")]
        if e.kind == b"key-withdraw": keys = {actor: [k for k in ks if k not in key] for actor, ks in keys.items()}
        if e.kind == b"key-enrol": keys.setdefault(e.all(b"actor")[0], []).extend(key)
    need(signers(files[b"BUNDLE"], files[b"BUNDLE.sig"], dict.fromkeys(keys.get(head[b"officer"], [])), False) and files[b"BUNDLE.sig"].count(b"\n") == 1, "not signed by the officer")
    # the trees
    opened, total = {x: [] for x in last}, 0
    for n, name in sorted({k[:2] for k in find(rb"trees/N-(records|matches)/(?:.*)")}):
        folder = b"trees/%d-%s/" % (n, name)
        leaves = {i: data for (i,), data in find(re.escape(folder) + rb"N\.open").items()}
        e = events[n]
        for fact, sha, file in (name, "sha256", b"proof"), (name + b"-sha512", "sha512", b"proof-sha512"):
            if sha == "sha512" and not e.all(fact):
                need(folder + file not in files, "a proof without a root")
                continue
            (many, top), = [(m, v) for x, m, v in e.facts if x == fact]
            need(merkle(many, leaves, files[folder + file], sha) == top, "leaves that do not stand in their tree")
        for i, data in leaves.items():
            need(len(data) >= 32, "a leaf without salt")
            if name == b"matches": need(data[32:33] == b"M", "not a match")
            else:
                length, digest = record(data[32:])
                content = files.get(b"content/%d-records/%d" % (n, i))
                if content is not None:
                    need(digest and length == len(content) and hash_of(content) == digest, "content that is not the record's")
            opened[e.exhibit].append(sha256(b"\0" + data))
            total += 1
    for n, i in find(rb"content/N-records/N"): need(b"trees/%d-records/%d.open" % (n, i) in files, "content of no record")
    need(last, "no exhibit")
    for exhibit, n in last.items():
        e = events[n]
        need(e.kind == b"disclose", "a chain that does not end with its disclosure")
        need([f[1:] for f in e.facts if f[0] == b"opened"] == [(len(opened[exhibit]), sha256(b"".join(opened[exhibit])))], "not the files that the log says were opened")
        need(e.all(b"to") == [head[b"to"]] and e.all(b"purpose") == [head[b"purpose"]], "not what the log says")
    need(number(head[b"opened"]) == total == len(find(rb"trees/N-(records|matches)/N\.open")), "another number of opened files")
    # earlier heads
    heads = {size}
    for (n,), data in find(rb"prev/N\.checkpoint").items():
        text, block = notes(data)
        then = next((e for m, e in events.items() if e.kind == b"key-rotate" and m >= n - 1), None)
        then = [vkey(k, 1, 6) for k in then.all(b"retired-log-key")] if then else logs
        need(signers(text, block, then, True) == set(then) and {k[0] for k in then} == {origin}, "an earlier head that was not signed")
        need(checkpoint(text)[:2] == (origin, n), "an earlier head of another size or log")
        consistent(n, checkpoint(text)[2], size, root, files[b"prev/%d.proof" % n])
        heads.add(n)
    for (n,) in find(rb"prev/N\.proof"): need(n in heads and n != size, "a proof without a head")
    for n, _, _ in find(rb"time/N-N\.(tsr|ots)"): need(n in heads, "a time-stamp without a head")
    return head, files, logs, origin, size, find(rb"time/N-N\.(tsr|ots)")
def notes(data):
    text, block = data.rsplit(b"\n\n", 1)
    return text + b"\n", block
def hash_of(data):
    h = hashlib.sha256()
    for piece in pieces(data): h.update(piece)
    return h.digest()
def pieces(data): return [data] if isinstance(data, bytes) else data.pieces()
class Stretch:
    def __init__(self, path, at, size): self.path, self.at, self.size = path, at, size
    def __len__(self): return self.size
    def pieces(self):
        with open(self.path, "rb") as f:
            f.seek(self.at)
            for at in range(0, self.size, 1 << 20): yield f.read(min(1 << 20, self.size - at))
def keep(name, path, at, size):
    whole = Stretch(path, at, size)
    return whole if name.startswith(b"content/") or size > 64 << 20 else b"".join(whole.pieces())
def from_folder(root):
    files = {}
    def fail(err): raise err
    for at, folders, names in os.walk(root, onerror=fail):
        need(names or folders, "an empty folder")
        for name in names + folders:
            path = os.path.join(at, name)
            mode, size = os.lstat(path).st_mode, os.lstat(path).st_size
            need(stat.S_ISREG(mode) or stat.S_ISDIR(mode) and name in folders, f"a link or device: {path!r}")
            inside = os.path.relpath(path, root).replace(os.sep.encode(), b"/")
            if name in names: files[inside] = keep(inside, path, 0, size)
    return files
def from_tar(path):
    files, last, at = {}, b"", 0
    with open(path, "rb") as f:
        while (head := f.read(512)) != bytes(512):
            name, size = head[:100].rstrip(b"\0"), int(re.fullmatch(rb"([0-7]{11})\0", head[124:136])[1], 8)
            form = name.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"0" * 11 + b"\0%s0" + bytes(100) + b"ustar\x0000" + bytes(64) + b"0000000\0" * 2 + bytes(167)
            sum_ = sum(form.replace(b"%s", b" " * 8))
            need(head == form.replace(b"%s", b"%06o\0 " % sum_) and name > last, "a tar that is not in its one form")
            last, at = name, f.tell()
            files[name] = keep(name, path, at, size)
            f.seek(at + size)
            need(f.read(-size % 512) == bytes(-size % 512), "a tar with bytes between its files")
        need(f.read(1024) == bytes(512), "a tar with bytes behind its end")
    return files
def main(words):
    policies = []
    while "--policy" in words:
        i = words.index("--policy")
        policies.append(open(words[i + 1], "rb").read())
        del words[i:i + 2]
    where = os.fsencode(words[0]) if words else os.path.dirname(os.path.abspath(os.fsencode(__file__)))
    try: head, files, logs, origin, size, stamps = check((from_folder if os.path.isdir(where) else from_tar)(where), policies)
    except Exception as why:
        print("REFUSED. This bundle does not hold:", why)
        return 4
    print("OK")
    return 0
if __name__ == "__main__": sys.exit(main(sys.argv[1:]))
