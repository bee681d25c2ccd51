#!/usr/bin/env python3
"""Checks a disclosure bundle, tutela-bundle@v1, with Python 3.9 or later and its standard library alone:
    python3 verify.py [--policy FILE] [FOLDER or TAR]        exit code 0: it holds; 4: it does not
It follows bundle-format.md. Each need(…) is a rule; what meets all of them holds. Text is kept as bytes."""
import base64, bisect, datetime, hashlib, operator, os, re, stat, sys
def need(holds, why):
    if not holds: raise ValueError(why)
def number(b):
    need(re.fullmatch(rb"0|[1-9][0-9]{0,19}", b) and int(b) < 1 << 64, f"not a number: {b[:40]!r}")
    return int(b)
def unbase64(b):
    need(base64.b64encode(raw := base64.b64decode(b, validate=True)) == b, "base64 not in its one form")
    return raw
def is_name(b):  # no white space, control character or plus
    no = "\0-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000+"
    return len(b) < 256 and re.fullmatch(f"[^{no}]+", b.decode())
def is_value(b):  # of the header: no control characters, none that turns the direction of writing
    no = "\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
    return len(b) <= 1000 and re.fullmatch(f"(?! )[^{no}]+(?<! )", b.decode())
def sha256(b): return hashlib.sha256(b).digest()
# Ed25519, RFC 8032: points as (X, Y, Z, T). [S]B = R + [k]A is checked without cofactor, by the bytes of R.
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0])
    c, d = 2 * p[3] * q[3] * D, 2 * p[2] * q[2]
    return (b - a) * (d - c) % P, (d + c) * (b + a) % P, (d - c) * (d + c) % P, (b - a) * (b + a) % P
def times(n, p): return add(times(n >> 1, add(p, p)), p if n & 1 else (0, 1, 1, 0)) if n else (0, 1, 1, 0)
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
    have, rest = sorted(leaves), hashes(proof, len(h(b"")))
    need(have and have[-1] < size, "a proof of no leaves, or of too many")
    top = root(0, size)
    need(next(rest, None) is None, "a proof with a hash too many")
    return top
def hashes(proof, n):
    need(len(proof) % n == 0, "a proof with half a hash")
    return iter([proof[i:i + n] for i in range(0, len(proof), n)])
def consistent(old, old_root, new, new_root, proof):  # RFC 9162, 2.1.4, told as the tree is divided
    def roots(size, high, whole):  # of the first `size` and of all leaves of a range; whole: it begins at 0
        if size == high: return (old_root if whole else next(rest),) * 2
        half = 1 << (high - 1).bit_length() - 1
        if size <= half:
            a, b = roots(size, half, whole)
            return a, sha256(b"\1" + b + next(rest))
        (a, b), left = roots(size - half, high - half, False), next(rest)
        return sha256(b"\1" + left + a), sha256(b"\1" + left + b)
    rest = hashes(proof, 32)
    both = roots(old, new, True) if 0 < old < new else (sha256(b""), new_root)
    return old < new and both == (old_root, new_root) and next(rest, None) is None
# C2SP signed-note, tlog-checkpoint, tlog-cosignature. A key is (name, type, bytes); type 4 or 6 of a witness.
def vkey(text, *types):
    name, key_id, raw = text.split(b"+", 2)
    key = (name, unbase64(raw)[0], unbase64(raw)[1:])
    need(key[1] in types and len(key[2]) == (1312 if key[1] == 6 else 32), f"a bad key: {text[:50]!r}")
    need(is_name(name) and key_id == ident(key).hex().encode(), f"a key with a wrong name: {text[:50]!r}")
    return key
def ident(key): return sha256(key[0] + b"\n" + bytes([key[1]]) + key[2])[:4]
def checkpoint(text):
    origin, size, root = re.fullmatch(rb"([^\n]+)\n([0-9]+)\n([^\n]+)\n", text).groups()
    need(is_name(origin) and len(unbase64(root)) == 32, "a head of a log that is not in its one form")
    return origin, number(size), unbase64(root)
def signed(key, text, sig):
    name, kind, key = key
    if kind == 1: return ed25519(key, text, sig)
    stamp, sig = sig[:8], sig[8:]
    need(len(stamp) == 8 and stamp[0] < 128, "a time out of range")
    if kind == 4: return ed25519(key, b"cosignature/v1\ntime %d\n" % int.from_bytes(stamp, "big") + text, sig)
    origin, size, root = checkpoint(text)
    return mldsa44(key, b"subtree/v1\n\0" + bytes([len(name)]) + name + stamp + bytes([len(origin)]) + origin
                   + bytes(8) + size.to_bytes(8, "big") + root, sig)
def signers(text, block, keys, strangers):
    """The keys that signed. Each line of theirs must hold; a stranger's, if allowed, be of the right form."""
    lines, known, found = block.split(b"\n"), {(k[0], ident(k)): k for k in keys}, []
    need(len(known) == len(set(keys)), "two keys of one name")
    need(lines.pop() == b"" and 1 <= len(lines) <= 100 and len(set(lines)) == len(lines), "bad signatures")
    for line in lines:
        name, raw = re.fullmatch("— ([^ ]+) ([^ ]+)".encode(), line).groups()
        raw = unbase64(raw)
        key = known.get((name, raw[:4]))
        need(is_name(name) and len(raw) > 4, "a bad signature line")
        need(signed(key, text, raw[4:]) if key else strangers, f"a signature of {name!r} does not hold")
        if key: found.append(key)
    need(len(set(found)) == len(found), "two signatures by one key")
    return set(found)
def policy(text, strict):
    """C2SP tlog-policy: keys of the log, keys of witnesses, and a function that tells a quorum of keys."""
    form = rb"(log \S+\n)+(witness \S+ \S+\n)*(group \S+ \d+( \S+)+\n)*quorum \S+\n" if strict \
        else rb"[\t\n -~\x80-\xff]*\n"
    need(re.fullmatch(form, text), "a policy that is not in its form")
    logs, witnesses, quorum, grouped, members = [], [], [], [b"none"], {b"none": lambda who: True}
    for word, *w in (re.split(rb"[\t ]+", line.strip(b"\t ")) for line in text.split(b"\n")):
        if word == b"" or word.startswith(b"#"): continue
        if word == b"log" and len(w) in (1, 2): logs.append(vkey(w[0], 1, 6))
        elif word == b"quorum" and len(w) == 1: quorum.append(members[w[0]])
        elif word == b"witness" and len(w) in (2, 3) and w[0] not in members:
            name, kind, key = vkey(w[1], *(1, 6) if strict else (1, 4, 6))
            witnesses.append((name, 6 if kind == 6 else 4, key))
            members[w[0]] = lambda who, key=witnesses[-1]: key in who
        else:
            need(word == b"group" and len(w) > 2 and w[0] not in members, f"a bad line: {word!r}")
            of, grouped = [members[name] for name in w[2:]], grouped + w[2:]
            k = number({b"any": b"1", b"all": b"%d" % len(of)}.get(w[1], w[1]))
            need(1 <= k <= len(of) and len(set(grouped)) == len(grouped), "a member twice, or too few")
            members[w[0]] = lambda who, k=k, of=of: sum(member(who) for member in of) >= k
    keys = logs + witnesses
    need(logs and len(quorum) == 1, "no log, or no quorum")
    need(len({k[2] for k in keys}) == len({(k[0], ident(k)) for k in keys}) == len(keys), "a key twice")
    need(not strict or len({k[0] for k in logs}) == 1 and all(map(is_name, members)), "two logs, a bad name")
    return logs, witnesses, quorum[0]
# Bodies, ledger-format.md
class Body:
    def __init__(self, b): self.b, self.at = b, 0
    def take(self, n):
        need(self.at + n <= len(self.b), "a body that ends too early")
        self.at += n
        return self.b[self.at - n:self.at]
    def uint(self):
        raw = self.take(1)
        while raw[-1] > 127 and len(raw) < 10: raw += self.take(1)
        n = sum((x & 127) << 7 * i for i, x in enumerate(raw))
        need(raw[-1] < 128 and (raw[-1] or len(raw) == 1) and n < 1 << 64, "an integer not in its one form")
        return n
    def int(self): return (n := self.uint()) >> 1 ^ -(n & 1)
    def text(self): return self.take(self.uint())
    def time(self):
        at = self.int(), self.uint()
        need(at[1] < 10**9, "a time out of range")
        return at
class Event:
    def __init__(self, body):
        b, self.facts, self.signer, self.sig, self.previous = Body(body), [], b"", b"", 0
        need((tag := b.take(2)) in (b"E\1", b"E\2"), "not an event")
        self.kind, _, self.actor, self.case, self.exhibit = b.text(), b.time(), b.text(), b.text(), b.text()
        b.text(), b.text(), b.text()  # authority, detail, key
        if tag == b"E\2":
            self.facts = [(b.text(), b.uint(), b.text()) for _ in range(b.uint())]
            self.message = b"tutela-event@v2\n" + sha256(body[:b.at]).hex().encode() + b"\n"
            self.signer, self.sig, self.previous = b.text(), b.text(), b.uint()
            need(self.facts or self.signer or self.sig or self.previous, "version 2 of an event of version 1")
        need(b.at == len(body), "an event with bytes too many")
    def all(self, name): return [fact[2] for fact in self.facts if fact[0] == name]
def record(body):  # its size and SHA-256, if it has digests; read no further
    b = Body(body)
    need(b.take(2) == b"R\1", "not a record")
    flags = b.take(3)[0]  # kind, state
    size, _, _ = b.int(), b.text(), b.text()
    for _ in range(b.uint()): b.text(), b.text()
    need((told := b.take(1)[0]) < 16 and flags < 32 and flags & 10 != 8, "unknown flags of a record")
    for _ in range(bin(told).count("1")): need(b.time() != (-62135596800, 0), "a time that is none")
    for _ in range(2):
        for _ in range(b.uint()): b.int(), b.int()
    digests = b.take(68) if flags & 4 else None
    need(digests != bytes(68), "digests that are none")
    return size, digests and digests[36:]
# The bundle, bundle-format.md
PLACES = {kind: form.replace("#", "(0|[1-9][0-9]*)").replace("@", "(records|matches)").encode()
          for kind, form in {  # the files that a bundle may have
    "event": r"events/#\.entry", "leaf": r"trees/#-@/#\.open", "proof": r"trees/#-@/proof",
    "proof512": r"trees/#-@/proof-sha512", "content": "content/#-(records)/#", "head": r"prev/#\.checkpoint",
    "growth": r"prev/#\.proof", "stamp": r"time/#-#\.(tsr|ots)", "list": r"BUNDLE(?:\.sig)?",
    "one": "policy|checkpoint|events/proof", "tool": r"tool/(?:validation|build)\.txt",
    "people": r"README\.txt|verify\.py|report/(?!\.\.?$)[a-z0-9.-]+|gossip/[a-z0-9-]+\.checkpoint"}.items()}
def sort_out(files):
    """{kind of file: {the numbers and names in its path: the file}}, sorted by those."""
    found = {kind: {} for kind in PLACES}
    for path, data in files.items():
        hits = [(kind, m) for kind, form in PLACES.items() if (m := re.fullmatch(form, path))]
        need(hits and len(path) <= 100, f"a file that has no place here: {path!r}")
        (kind, match), most = hits[0], 64 << 20 if path.startswith(b"BUNDLE") else (16 << 20) + 32
        need(kind == "content" or len(data) <= most, f"a file that is too large: {path!r}")
        found[kind][tuple(number(g) if g.isdigit() else g for g in match.groups())] = data
    return {kind: dict(sorted(there.items())) for kind, there in found.items()}
TREES = {b"records": b"seal interim match-run renew admit", b"matches": b"match-run renew admit"}
FACTS = {name: kinds.split() for name, kinds in {  # which events may have them
    **TREES, **{name + b"-sha512": kinds for name, kinds in TREES.items()}, b"recovery-key": b"recovery-key",
    **dict.fromkeys([b"opened", b"to", b"purpose"], b"disclose"),
    **dict.fromkeys([b"actor", b"actor-key"], b"key-enrol key-withdraw"),
    **dict.fromkeys([b"log-key", b"retired-log-key"], b"key-rotate")}.items()}
OFFICE = b"key-enrol key-withdraw key-rotate recovery-key policy-change tool-validate clock-check".split()
def check_facts(e):
    names = {name: n for name, n, _ in e.facts}
    once = {fact if FACTS.get(fact[0]) == [b"key-rotate"] else fact[0] for fact in e.facts}
    need(len(once) == len(e.facts), "a fact that stands twice")
    for name, n, value in e.facts:
        if name not in FACTS: continue
        need(e.kind in FACTS[name], f"a fact {name!r} of an event {e.kind!r}")
        if name.endswith(b"-key"): vkey(value, *(1, 6) if name.endswith(b"log-key") else (1,))
        if name in (b"to", b"purpose"): need(is_value(value), f"bad {name!r}")
        if name.endswith(b"-sha512"):
            need((names.get(name[:-7]), 64) == (n, len(value)), "a second root that is alone, or short")
        elif name in TREES or name == b"opened": need(len(value) == 32, "a root of another length")
        else: need(n == 0, "a text with a number")
    for name, kinds in FACTS.items():
        need(name[:7] in TREES or e.kind not in kinds or name in names, f"{e.kind!r} without {name!r}")
def check(files, policies=()):
    """Raises an error unless the bundle holds. files: {path: bytes; of content its summary is enough}."""
    found, head = sort_out(files), check_list(files)
    (text, block), (logs, witnesses, quorum) = note(files[b"checkpoint"]), policy(files[b"policy"], True)
    (origin, size, root), by = checkpoint(text), signers(text, block, logs + witnesses, False)
    need(origin == logs[0][0] and by >= set(logs), "a key of the log has not signed its head")
    witnessed = len(by) - len(logs)
    need(quorum(by), "no quorum of witnesses has signed the head of the log")
    for other, others, quorum in (policy(p, False) for p in policies):
        other = [k for k in other if k[0] == origin]
        by = signers(text, block, other + others, True)
        need(other and by >= set(other) and quorum(by), "the policy that was given does not hold")
    leaves = {n: b"tutela-entry@v1\n" + sha256(b"\0" + data) for (n,), data in found["event"].items()}
    need(merkle(size, leaves, files[b"events/proof"]) == root, "events that do not stand in the log")
    events = {n: Event(data[32:]) for (n,), data in found["event"].items()}
    last, keys = check_chains(events, head)
    officer = signers(files[b"BUNDLE"], files[b"BUNDLE.sig"], keys.get(head[b"officer"], []), False)
    need(len(officer) == files[b"BUNDLE.sig"].count(b"\n") == 1, "a list that the officer has not signed")
    check_trees(found, events)
    check_opened(found, events, last, head)
    heads = {size}
    for (n,), data in found["head"].items():
        text, block = note(data)
        rotations = [e for m, e in events.items() if e.kind == b"key-rotate" and m >= n - 1]
        then = [vkey(k, 1, 6) for k in rotations[0].all(b"retired-log-key")] if rotations else logs
        need({k[0] for k in then} == {origin}, "keys of another log")
        need(signers(text, block, then, True) == set(then), "a key of the log has not signed an earlier head")
        need(checkpoint(text)[:2] == (origin, n), "an earlier head of another log or size")
        need(consistent(n, checkpoint(text)[2], size, root, found["growth"][n,]), "a log that was rewritten")
        heads.add(n)
    for (n,) in found["growth"]: need(n in heads - {size}, "a proof without a head")
    for n, _, _ in found["stamp"]: need(n in heads, "a time-stamp without a head")
    return head, size, root, logs, witnessed, sorted(last), len(found["stamp"])
def check_trees(found, events):
    trees = {}
    for (n, name, i), data in found["leaf"].items(): trees.setdefault((n, name), {})[i] = data
    need(trees.keys() >= found["proof"].keys() | found["proof512"].keys(), "a proof of no leaves")
    for (n, name), leaves in trees.items():
        roots = {fact: (m, value) for fact, m, value in events[n].facts}
        for fact, proofs, sha in (name, "proof", "sha256"), (name + b"-sha512", "proof512", "sha512"):
            proof = found[proofs].get((n, name))
            need((fact in roots) == (proof is not None), f"a proof or a root is missing: event {n}")
            if proof is not None:
                size, root = roots[fact]
                need(merkle(size, leaves, proof, sha) == root, f"false leaves of event {n}")
        need(name in roots, f"event {n} names no such tree")
        for i, data in leaves.items():
            if name == b"matches": need(data[32:33] == b"M", "a leaf that is no match")
            else:
                told, content = record(data[32:]), found["content"].get((n, name, i))
                need(content is None or told == summary(content), "content that is not the record's")
    need(found["leaf"].keys() >= found["content"].keys(), "content of no record")
def check_opened(found, events, last, head):
    for exhibit, n in last.items():
        opened = [data for (m, *_), data in found["leaf"].items() if events[m].exhibit == exhibit]
        said = b"opened", len(opened), sha256(b"".join(sha256(b"\0" + data) for data in opened))
        need(said in events[n].facts, "other leaves than the log says were opened")
        need(events[n].all(b"to") == [head[b"to"]], "disclosed to somebody else, says the log")
        need(events[n].all(b"purpose") == [head[b"purpose"]], "disclosed for something else, says the log")
    need(number(head[b"opened"]) == len(found["leaf"]), "another number of opened leaves")
def check_list(files):
    lines, head, listed = files[b"BUNDLE"].split(b"\n"), {}, []
    need(lines[0] == b"tutela-bundle@v1" and lines.pop() == b"", "not a bundle of version 1")
    for name, line in zip(b"case to purpose issued officer opened".split(), lines[1:7]):
        key, _, head[name] = line.partition(b" ")
        need(key == name and is_value(head[name]), f"bad {name!r}")
    issued = re.fullmatch(rb"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z", head[b"issued"])
    datetime.datetime(*map(int, issued.groups()))
    for line in lines[7:]:
        sha, size, path = re.fullmatch(rb"([0-9a-f]{64}) ([0-9]+) ([^ ]+)", line).groups()
        told = number(size), bytes.fromhex(sha.decode())
        need(path in files and told == summary(files[path]), f"missing, or changed: {path!r}")
        listed.append(path)
    need(listed == sorted(set(files) - {b"BUNDLE", b"BUNDLE.sig"}), "a list of other files")
    need(len(files) <= 10**6, "too many files")
    return head
def check_chains(events, head):
    """The last event of each exhibit, and the keys of each person that are in force at the end."""
    last, keys, recovery = {}, {}, []
    for n, e in events.items():
        check_facts(e)
        need((e.exhibit == b"") == (e.kind in OFFICE) or e.kind == b"tool-validate", f"event {n} is misplaced")
        need(e.exhibit or e.previous == 0, f"event {n} names an event before, but no exhibit")
        need(not e.exhibit or e.case == head[b"case"], f"event {n} is of another case")
        need(not e.exhibit or e.previous == last.get(e.exhibit, -1) + 1, f"before event {n} there is a gap")
        need((e.kind == b"seize") == (e.exhibit != b"" and e.previous == 0), f"event {n}: no or two seizures")
        if e.exhibit: last[e.exhibit] = n
        if e.signer or e.sig:
            of = keys.get(e.actor, []) + (recovery if e.kind in (b"key-rotate", b"recovery-key") else [])
            of = list({k for k in of if ident(k).hex().encode() == e.signer})
            need(len(of) == 1, f"a signer of {n} that is unknown, or is two")
            need(ed25519(of[0][2], e.message, e.sig), f"the signature of {n} does not hold")
        these = [vkey(k, 1) for k in e.all(b"actor-key")]
        if e.kind == b"key-enrol": keys.setdefault(e.all(b"actor")[0], []).extend(these)
        if e.kind == b"recovery-key": recovery = [vkey(e.all(b"recovery-key")[0], 1)]
        if e.kind == b"key-withdraw": keys = {a: [k for k in ks if k not in these] for a, ks in keys.items()}
    need(last and all(events[n].kind == b"disclose" for n in last.values()), "a chain that does not end here")
    return last, keys
def note(data):
    text, block = data.rsplit(b"\n\n", 1)
    return text + b"\n", block
# Folder and tar
def summary(data): return data if isinstance(data, tuple) else (len(data), sha256(data))
def take(f, path, size):  # content may be larger than memory: its summary is enough
    if not path.startswith(b"content/"): return f.read(min(size, 65 << 20))
    h, left = hashlib.sha256(), size
    while piece := f.read(min(left, 1 << 20)):
        h.update(piece)
        left -= len(piece)
    return size - left, h.digest()
def from_folder(root):
    def fail(error): raise error
    files = {}
    for at, folders, names in os.walk(root, onerror=fail):
        need(names or folders, f"an empty folder: {at!r}")
        for path in (os.path.join(at, name) for name in names + folders):
            info, inside = os.lstat(path), os.path.relpath(path, root).replace(os.fsencode(os.sep), b"/")
            need(stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode), f"a link or a device: {inside!r}")
            if stat.S_ISREG(info.st_mode):
                with open(path, "rb") as f: files[inside] = take(f, inside, info.st_size)
    return files
def from_tar(path):
    files, last = {}, b""
    with open(path, "rb") as f:
        while (head := f.read(512)) != bytes(512):
            name, size = head[:100].rstrip(b"\0"), int(re.fullmatch(rb"([0-7]{11})\0", head[124:136])[1], 8)
            before = name.ljust(100, b"\0") + b"0000644\0" + 2 * b"0000000\0" + b"%011o\0%011o\0" % (size, 0)
            after = b"0" + bytes(100) + b"ustar\x0000" + bytes(64) + 2 * b"0000000\0" + bytes(167)
            total = b"%06o\0 " % sum(before + b" " * 8 + after)
            need(head == before + total + after and name > last, "a tar that is not in its one form")
            last, files[name] = name, take(f, name, size)
            need(summary(files[name])[0] == size, "a tar that ends too early")
            need(f.read(-size % 512) == bytes(-size % 512), "a tar with bytes between its files")
        need(f.read(513) == bytes(512), "a tar with bytes behind its end")
    return files
PAGE = """OK. This bundle holds.
Case {case}, to {to}, for {purpose}; issued {issued} by {officer}
PROVEN
- {officer} signed the list of these files, and none was changed, added or taken away.
- The history of {exhibits} is complete from seizure to this disclosure, and stands in the log.
- {opened} leaves were opened, as the log says. They stand in the trees that it names, unchanged since then.
- All keys of the log signed its head, and so did {witnesses} witnesses; so many are enough for the policy.
  Head: {size} entries, root {root}
NOT PROVEN
- That {stamps} time-stamps hold: this program does not check them. Other times are the agency's clock.
- That a device was what its label says, that what was found is what it is called, that a seizure was lawful.
- That no key was withdrawn later, and that report, tool and gossip are true.
- That you should trust these keys. Compare them with those you got by another way:
  policy {policy}
"""
def main(words):
    policies, where = [], []
    while words:
        if (word := words.pop(0)) == "--policy" and words:
            with open(words.pop(0), "rb") as f: policies.append(f.read())
        else: where.append(word)
    if len(where) > 1 or where and where[0].startswith("-"): sys.exit(__doc__)
    where = os.fsencode(where[0]) if where else os.path.dirname(os.path.abspath(os.fsencode(__file__)))
    try:
        files = from_folder(where) if os.path.isdir(where) else from_tar(where)
        head, size, root, logs, witnessed, exhibits, stamps = check(files, policies)
    except Exception as why:  # whatever cannot be read does not hold
        print("REFUSED. This bundle does not hold:", ascii(str(why) or repr(why)))
        return 4
    words = {name.decode(): value.decode() for name, value in head.items()}
    exhibits = ", ".join(repr(e)[2:-1] for e in exhibits)
    text = PAGE.format(**words, size=size, root=root.hex(), stamps=stamps, exhibits=exhibits,
                       witnesses=witnessed, policy=sha256(files[b"policy"]).hex())
    text += "".join(f"  log {key[0].decode()} {ident(key).hex()}\n" for key in logs)
    sys.stdout.buffer.write(text.encode())
    return 0
if __name__ == "__main__": sys.exit(main(sys.argv[1:]))
