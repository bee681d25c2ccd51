"""Makes UDF volumes with mkudffs and fills them with one tree, in every way that
a file can lie on them; see make.sh. Writes NAME.img.gz, truth.tsv (what each
must hold) and deleted.tsv."""
import gzip, hashlib, os, random, struct, subprocess, sys, tempfile

here = sys.argv[1]
rnd = random.Random(7)


def crc(b):
    c = 0
    for x in b:
        c ^= x << 8
        for _ in range(8):
            c = (c << 1 ^ 0x1021 if c & 0x8000 else c << 1) & 0xFFFF
    return c


def tagged(ident, version, location, body, length=None):
    length = len(body) if length is None else length
    t = bytearray(struct.pack("<HHBBHHHI", ident, version, 0, 0, 1, crc(body[:length]), length, location))
    t[4] = sum(t) & 0xFF
    return bytes(t) + body


def d_name(s):
    try:
        return b"\x08" + s.encode("latin-1")
    except UnicodeEncodeError:
        return b"\x10" + s.encode("utf-16-be", "surrogatepass")


TIME = struct.pack("<HhBBBBBBBB", 1 << 12 | 120, 2024, 2, 29, 14, 34, 56, 12, 34, 56)  # two hours east
REGID = b"\0" + b"*fill".ljust(23, b"\0") + bytes(8)


class Image:
    def __init__(self, name, bs, blocks, options, efe=True, meta=False):
        self.name, self.bs, self.efe = name, bs, efe
        self.path = os.path.join(tempfile.mkdtemp(), name)
        subprocess.run(["mkudffs", "--new-file", "-b", str(bs), "-u", "1234567890abcdef", *options, self.path, str(blocks)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.b = bytearray(open(self.path, "rb").read())
        self.meta = None
        self.unique = 16
        self.read()
        if meta:
            self.add_metadata()

    def sector(self, n):
        return self.b[n * self.bs:(n + 1) * self.bs]

    def read(self):
        main_len, main = struct.unpack_from("<II", self.sector(256), 16)
        self.maps = []
        for n in range(main, main + main_len // self.bs):
            s = self.sector(n)
            ident = struct.unpack_from("<H", s)[0]
            if ident == 5:
                self.start, self.length = struct.unpack_from("<II", s, 188)
                self.bitmap = struct.unpack_from("<II", s, 64)
                self.freed = struct.unpack_from("<II", s, 88)
            if ident == 6:
                self.version = struct.unpack_from("<H", s, 2)[0]
                self.fsd = struct.unpack_from("<IIH", s, 248)
                count = struct.unpack_from("<I", s, 268)[0]
                at = 440
                for _ in range(count):
                    self.maps.append(bytes(s[at:at + s[at + 1]]))
                    at += s[at + 1]
        self.vat = None
        if any(b"Virtual" in m for m in self.maps):
            self.load_vat()
        bm = self.bitmap if self.bitmap[0] else self.freed
        if bm[0]:
            at = self.place(0, bm[1]) + 24
            bits = struct.unpack_from("<I", self.b, at - 8)[0]
            self.bits, self.nbits = at, bits
            self.next = next(i for i in range(bits) if self.free(i))
        else:
            self.bits = None
            self.next = len(self.b) // self.bs - self.start
        fsd = self.get(self.fsd[2], self.fsd[1])
        self.root = struct.unpack_from("<IIH", fsd, 400)

    def free(self, i):
        return self.b[self.bits + i // 8] >> (i % 8) & 1

    def place(self, part, block):
        m = self.maps[part]
        if b"Virtual" in m:
            block = self.vat[block]
        if b"Metadata" in m:
            block = self.meta[block]
        if b"Sparable" in m:
            packet = struct.unpack_from("<H", m, 40)[0]
            return self.spare(m, block - block % packet, block % packet)
        return (self.start + block) * self.bs

    def spare(self, m, packet, within):
        table = struct.unpack_from("<I", m, 48)[0] * self.bs
        for i in range(struct.unpack_from("<H", self.b, table + 48)[0]):
            a, to = struct.unpack_from("<II", self.b, table + 56 + 8 * i)
            if a == packet:
                return (to + within) * self.bs
        return (self.start + packet + within) * self.bs

    def get(self, part, block):
        at = self.place(part, block)
        return self.b[at:at + self.bs]

    def load_vat(self):
        n = len(self.b) // self.bs - 1
        s = self.sector(n)
        self.vat_icb = s
        size = struct.unpack_from("<Q", s, 56)[0]
        head = 216 if struct.unpack_from("<H", s)[0] == 266 else 176
        la = struct.unpack_from("<I", s, head - 8)[0]
        if s[34] & 7 == 3:
            data = bytes(s[head + la:head + la + size])
        else:
            pos = struct.unpack_from("<II", s, head + la)[1]
            data = bytes(self.b[(self.start + pos) * self.bs:][:size])
        if s[27] == 248:
            h = struct.unpack_from("<H", data)[0]
            self.vat_head, data, self.vat_tail = data[:h], data[h:], b""
        else:
            self.vat_head, self.vat_tail, data = b"", data[-36:], data[:-36]
        self.vat = list(struct.unpack("<%dI" % (len(data) // 4), data))

    def alloc(self, count=1):
        """blocks of the plain partition (number 0), one behind the other"""
        while True:
            if self.bits is None:
                at = self.next
                self.next += count
                need = (self.start + self.next) * self.bs
                if need > len(self.b):
                    self.b += bytes(need - len(self.b))
                return at
            at = self.next
            if all(self.free(at + i) for i in range(count)):
                for i in range(count):
                    self.b[self.bits + (at + i) // 8] &= ~(1 << (at + i) % 8)
                self.next = at + count
                return at
            self.next += 1

    def release(self, at, count=1):
        for i in range(count):
            self.b[self.bits + (at + i) // 8] |= 1 << (at + i) % 8

    def put(self, block, data, part=0):
        for i in range(0, len(data), self.bs):
            at = self.place(part, block + i // self.bs)
            piece = data[i:i + self.bs]
            self.b[at:at + len(piece)] = piece

    def store(self, data):
        block = self.alloc((len(data) + self.bs - 1) // self.bs)
        self.put(block, data)
        return block

    def icb(self):
        """a place for a file entry: partition and block in it"""
        if self.meta:
            self.metas += 1
            return 1, self.metas
        block = self.alloc()
        if self.vat is not None:
            self.vat.append(block)
            return len(self.maps) - 1, len(self.vat) - 1
        return 0, block

    def entry(self, kind, size, how, ads, place=None, links=1, streams=None, attributes=b"", unique=None, strategy=4):
        place = place or self.icb()
        self.unique += 1
        unique = self.unique if unique is None else unique
        icbtag = struct.pack("<IHHHBBIHH", 0, strategy, 0, 1, 0, kind, 0, 0, how)
        body = icbtag + struct.pack("<IIIHBBIQ", 0, 0, 0x14A5, links, 0, 0, 0, size)
        if self.efe:
            body += struct.pack("<QQ", size, (size + self.bs - 1) // self.bs) + TIME * 4 + struct.pack("<II", 1, 0) + bytes(16)
            body += struct.pack("<IIHHI", *(self.bs, streams[1], streams[0], 0, 0)) if streams else bytes(16)
        else:
            body += struct.pack("<Q", (size + self.bs - 1) // self.bs) + TIME * 3 + struct.pack("<I", 1) + bytes(16)
        body += REGID + struct.pack("<QII", unique, len(attributes), len(ads)) + attributes + ads
        self.put(place[1], tagged(266 if self.efe else 261, self.version, place[1], body), place[0])
        return place[0], place[1], unique

    def short(self, block, length, kind=0):
        return struct.pack("<II", length | kind << 30, block)

    def long(self, block, length, kind=0, part=0):
        return struct.pack("<IIHHI", length | kind << 30, block, part, 0, 0)

    def fid(self, name, icb, marks=0, clear=False):
        ident = d_name(name) if name else b""
        body = struct.pack("<HBB", 1, marks, len(ident)) + (bytes(16) if clear else struct.pack("<IIHHI", self.bs, icb[1], icb[0], 0, icb[2] & 0xFFFFFFFF)) + struct.pack("<H", 0) + ident
        body += bytes(-(16 + len(body)) % 4)
        return tagged(257, self.version, icb[1], body)

    def directory(self, names, parent, place=None, unique=None, kind=4):
        data = (self.fid("", parent, 10) if kind == 4 else b"") + b"".join(names)
        if len(data) < 300:
            return self.entry(kind, len(data), 3, data, place, unique=unique)
        # two pieces that are apart
        cut = self.bs * ((len(data) + self.bs - 1) // self.bs // 2)
        if cut == 0:
            return self.entry(kind, len(data), 1, self.long(self.store(data), len(data)), place, unique=unique)
        a = self.store(data[:cut])
        self.alloc()
        b = self.store(data[cut:])
        return self.entry(kind, len(data), 1, self.long(a, cut) + self.long(b, len(data) - cut), place, unique=unique)

    def add_metadata(self):
        """all file entries in a file of two pieces, and a mirror of its entry (UDF 2.2.13)"""
        a = self.alloc(70)
        self.alloc()
        b = self.alloc(60)
        self.meta, self.metas = list(range(a, a + 70)) + list(range(b, b + 60)), 1
        ads = self.short(a, 70 * self.bs) + self.short(b, 60 * self.bs)
        files = [self.alloc(), self.alloc()]
        for kind, at in zip((250, 251), files):
            self.entry(kind, 130 * self.bs, 0, ads, (0, at))
        m = struct.pack("<BBH", 2, 64, 0) + b"\0" + b"*UDF Metadata Partition".ljust(23, b"\0") + struct.pack("<HBB4x", 0x250, 0, 0)
        m += struct.pack("<HHIIIIHB5x", 1, 0, files[0], files[1], 0xFFFFFFFF, 32, 1, 0)
        fsd = self.get(self.fsd[2], self.fsd[1])
        struct.pack_into("<IIH", fsd, 400, self.bs, 1, 1)
        self.maps.append(m)
        self.put(0, tagged(256, self.version, 0, bytes(fsd[16:512])), 1)
        self.root = (self.bs, 1, 1)
        for base in struct.unpack_from("<I4xI", self.sector(256), 20):
            for n in range(base, base + 16):
                s = self.sector(n)
                if struct.unpack_from("<H", s)[0] != 6:
                    continue
                struct.pack_into("<IIH", s, 248, self.bs, 0, 1)
                struct.pack_into("<II", s, 264, 70, 2)
                s[440:446] = self.maps[0]
                s[446:510] = m
                self.b[n * self.bs:(n + 1) * self.bs] = tagged(6, self.version, n, bytes(s[16:self.bs]), 496)

    def exchange(self):
        """moves a packet of file entries away, as a drive with a bad spot would"""
        m = next(m for m in self.maps if b"Sparable" in m)
        packet = struct.unpack_from("<H", m, 40)[0]
        victim = (self.root[1] + packet) // packet * packet
        old = (self.start + victim) * self.bs
        for table in struct.unpack_from("<%dI" % m[42], m, 48):
            at = table * self.bs
            n = struct.unpack_from("<H", self.b, at + 48)[0]
            to = struct.unpack_from("<I", self.b, at + 60)[0]
            struct.pack_into("<I", self.b, at + 56, victim)
            body = bytes(self.b[at + 16:at + 56 + 8 * n])
            self.b[at:at + 56 + 8 * n] = tagged(0, self.version, table, body)
        self.b[to * self.bs:(to + packet) * self.bs] = self.b[old:old + packet * self.bs]
        self.b[old:old + packet * self.bs] = b"bad!" * (packet * self.bs // 4)

    def finish(self):
        if any(b"Sparable" in m for m in self.maps):
            self.exchange()
        if self.vat is not None:
            data = self.vat_head + struct.pack("<%dI" % len(self.vat), *self.vat) + self.vat_tail
            block = self.store(data)
            at = self.alloc()
            efe, self.efe = self.efe, struct.unpack_from("<H", self.vat_icb)[0] == 266
            self.entry(self.vat_icb[27], len(data), 0, self.short(block, len(data)), (0, at))
            self.efe = efe
            self.b = self.b[:(self.start + at + 1) * self.bs]
        with open(os.path.join(here, self.name + ".img.gz"), "wb") as f:
            f.write(gzip.compress(bytes(self.b), 9, mtime=0))
        with open(self.path, "wb") as f:
            f.write(self.b)
        if len(sys.argv) > 2:
            os.rename(self.path, os.path.join(sys.argv[2], self.name + ".img"))


truth, deleted = {}, {}


def text(tag, n):
    return (b"%s: the quick brown fox jumps over the lazy dog\n" % tag.encode() * (n // 40 + 1))[:n]


def note(where, path, data):
    where[path] = "%s\t%d\t%s" % (path, len(data), hashlib.sha256(data).hexdigest())
    return data


def fill(im):
    bs = im.bs
    root = (im.root[2], im.root[1], 0)
    names = []

    def add(path, icb, marks=0):
        names.append(im.fid(path.rsplit("/")[-1], icb, marks))

    d = note(truth, "embedded", text("embedded", 150))
    add("embedded", im.entry(5, len(d), 3, d))
    d = note(truth, "empty", b"")
    add("empty", im.entry(5, 0, 0, b""))
    d = note(truth, "long", text("long", 30001))
    in_pieces = b""
    for i in range(0, len(d), 4096):
        part = d[i:i + 4096]
        in_pieces += im.long(im.store(part), len(part))
        im.alloc()
    linked = im.entry(5, len(d), 1, in_pieces, links=2)
    add("long", linked)
    # short descriptors belong to the partition of the entry: none where that is not the plain one
    plain = im.vat is None and im.meta is None
    short, how = (im.short, 0) if plain else (im.long, 1)
    d = note(truth, "short", text("short", 5000))
    add("short", im.entry(5, len(d), how, short(im.store(d), len(d))))
    d = note(truth, "holes", text("a", 4096) + bytes(8192) + bytes(4096) + text("b", 777))
    add("holes", im.entry(5, len(d), how, short(im.store(d[:4096]), 4096) + short(0, 8192, 2) + short(im.store(text("never", 4096)), 4096, 1) + short(im.store(d[-777:]), 777)))
    d = note(truth, "behind", text("behind", 4096 * 5 + 3))
    pieces = [d[i:i + 4096] for i in range(0, len(d), 4096)]
    ads = [short(im.store(p), len(p)) for p in pieces]
    later = im.alloc()
    rest = b"".join(ads[2:])
    im.put(later, tagged(258, im.version, later, struct.pack("<II", 0, len(rest)) + rest))
    add("behind", im.entry(5, len(d), how, b"".join(ads[:2]) + short(later, bs, 3)))
    d = text("name", 10)
    truth["ünï-日本-😀"] = "%s\t%d\t%s" % ("ünï-日本-😀", len(d), hashlib.sha256(d).hexdigest())
    names.append(im.fid("ünï-日本-\ud83d\ude00", im.entry(5, len(d), 3, d)))
    target = b"".join(struct.pack("<BBH", t, len(n), 0) + n for t, n in ((3, b""), (5, d_name("long"))))
    add("link", im.entry(12, len(target), 3, target))
    ea = tagged(262, im.version, 0, struct.pack("<II", 24, 0xFFFFFFFF)) + struct.pack("<IBBHIIII", 12, 1, 0, 0, 24, 0, 1, 3)
    add("null", im.entry(7, 0, 3, b"", attributes=ea))
    add("pipe", im.entry(9, 0, 3, b""))
    if im.efe:
        d = note(streams, "streamed:second", text("stream", 3000))
        inner = im.entry(5, len(d), how, short(im.store(d), len(d)))
        sd = im.directory([im.fid("second", inner, 16)], root, kind=13)
        d = note(truth, "streamed", text("streamed", 99))
        add("streamed", im.entry(5, len(d), 3, d, streams=sd))
    # an entry that another took the place of, which lies where the block behind leads
    first, second = im.alloc(2), im.alloc(2)
    add("chained", im.entry(5, 3, 3, b"old", (0, first), strategy=4096))
    d = note(truth, "chained", b"new content")
    im.entry(5, len(d), 3, d, (0, second), strategy=4096)
    im.put(first + 1, tagged(259, im.version, first + 1, struct.pack("<IHHHBBIHH", 1, 4096, 0, 1, 0, 3, 0, 0, 0) + im.long(second, bs)))
    # a directory of its own, over several blocks
    sub = im.icb()
    inner = [im.fid("second-name", linked)]
    for i in range(70):
        d = note(truth, "sub/a-rather-long-name-for-a-file-%02d" % i, b"%d\n" % i)
        inner.append(im.fid("a-rather-long-name-for-a-file-%02d" % i, im.entry(5, len(d), 3, d)))
    truth["sub/second-name"] = truth["long"].replace("long", "sub/second-name", 1)
    add("sub", im.directory(inner, root, sub), 2)
    # deleted: still there, taken by a live file, cleared, in a deleted directory
    d = note(deleted, "gone", text("gone", 9000))
    block = im.store(d)
    names.append(im.fid("gone", im.entry(5, len(d), how, short(block, len(d)), links=0), 4))
    names.append(im.fid("renamed", linked, 4))
    names.append(im.fid("cleared", linked, 4, clear=True))
    d = note(deleted, "gone-dir/inside", text("inside", 120))
    inside = im.entry(5, len(d), 3, d)
    names.append(im.fid("gone-dir", im.directory([im.fid("inside", inside)], root), 6))
    taken = im.entry(5, 5, 3, b"other")
    names.append(im.fid("taken", (taken[0], taken[1], 99999), 4))
    if im.bits is not None:
        im.release(block, 9000 // bs + 1)
    # the root again, in its old place
    if im.vat is not None:
        at = im.alloc()
        im.vat[im.root[1]] = at
    im.directory(names, root, (im.root[2], im.root[1]), unique=0)
    im.finish()


streams = {}
for args in (
    ("hd512", 512, 3000, ["-m", "hd", "-r", "2.01"]),
    ("dvd", 2048, 700, ["-m", "dvd", "-r", "1.02"], False),
    ("hd4096", 4096, 500, ["-m", "hd", "-r", "2.01", "--space=freedbitmap"]),
    ("cdrw", 2048, 1800, ["-m", "cdrw", "-r", "2.01", "--sparspace=32"]),
    ("cdr", 2048, 900, ["-m", "cdr", "-r", "1.50"], False),
    ("bdr", 2048, 900, ["-m", "bdr", "-r", "2.50"]),
    ("metadata", 2048, 900, ["-m", "hd", "-r", "2.01"], True, True),
):
    im = Image(*args)
    fill(im)
for name, rows in (("truth", truth), ("streams", streams), ("deleted", deleted)):
    with open(os.path.join(here, name + ".tsv"), "w") as f:
        f.write("".join(row + "\n" for _, row in sorted(rows.items())))
