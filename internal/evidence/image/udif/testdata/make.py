#!/usr/bin/env python3
"""Makes the images of this folder: the disk of evidencetest.Pattern in every
kind of block of UDIF. LZFSE is compressed by Apple's reference implementation
(github.com/lzfse/lzfse), whose program is the first argument."""
import base64, bz2, lzma, os, struct, subprocess, sys, tempfile, zlib
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "../../../../evidencetest/testdata"))
from pattern import pattern

DISK = pattern(3147264)


def lzfse(b):
    with tempfile.TemporaryDirectory() as d:
        open(d + "/in", "wb").write(b)
        subprocess.run([sys.argv[1], "-encode", "-i", d + "/in", "-o", d + "/out"], check=True)
        return open(d + "/out", "rb").read()


def adc(b):
    """Runs of one byte, repeats from 32 bytes back, and literals."""
    out, i, lit = bytearray(), 0, bytearray()

    def flush():
        while lit:
            out.append(0x80 | len(lit[:128]) - 1)
            out.extend(lit[:128])
            del lit[:128]
    while i < len(b):
        best = (0, 0)
        for back in (1, 32, 1500):
            n = 0
            while back <= i and i + n < len(b) and n < 67 and b[i + n] == b[i + n - back]:
                n += 1
            best = max(best, (n, -back))
        n, back = best[0], -best[1]
        if n >= 4 and (back > 1024 or n > 18):
            flush()
            out.extend(bytes([0x40 | n - 4]) + struct.pack(">H", back - 1))
        elif 3 <= n <= 18 and back <= 1024:
            flush()
            out.extend(bytes([n - 3 << 2 | back - 1 >> 8, back - 1 & 255]))
        else:
            lit.append(b[i])
            n = 1
        i += n
    flush()
    return bytes(out)


PACK = {
    "raw": (1, lambda b: b), "adc": (0x80000004, adc), "zlib": (0x80000005, lambda b: zlib.compress(b, 9)),
    "bzip2": (0x80000006, bz2.compress), "lzfse": (0x80000007, lzfse),
    "lzma": (0x80000008, lambda b: lzma.compress(b, check=lzma.CHECK_CRC64)),
}


def checksum(b):
    return struct.pack(">II", 2, 32) + struct.pack(">I", zlib.crc32(b)) + bytes(124)


def table(first, content, kinds, data, chunk):
    entries, summed = b"", b""  # a checksum leaves out what is ignored
    n = 0
    for at in range(0, len(content), chunk):
        piece = content[at:at + chunk]
        kind, pack = PACK[kinds[n % len(kinds)]]
        n += 1
        if not any(piece):
            kind, stored = (0, 2)[n % 2], b""
        else:
            stored = pack(piece)
        if kind != 2:
            summed += piece
        entries += struct.pack(">IIQQQQ", kind, 0, at // 512, len(piece) // 512, len(data), len(stored))
        data += stored
        if n == 2:
            entries += struct.pack(">IIQQQQ", 0x7ffffffe, 0x2b626567, at // 512, 0, len(data), 0)
    entries += struct.pack(">IIQQQQ", 0xffffffff, 0, len(content) // 512, 0, len(data), 0)
    return b"mish" + struct.pack(">IQQQII", 1, first, len(content) // 512, 0, 0x208, 0) + bytes(24) + \
        checksum(summed) + struct.pack(">I", len(entries) // 40) + entries


def koly(data, sectors, xml=(0, 0), fork=(0, 0)):
    return b"koly" + struct.pack(">IIIQQQQQII", 4, 512, 1, 0, 0, len(data), *fork, 1, 1) + bytes(16) + \
        checksum(data) + struct.pack(">QQ", *xml) + bytes(120) + checksum(b"") + struct.pack(">IQ", 1, sectors) + bytes(12)


def tables(kinds, data, chunk):
    cut = 20480 * 3
    return [table(0, DISK[:cut], kinds, data, 4096), table(cut // 512, DISK[cut:], kinds, data, chunk)]


def dmg(kinds, chunk=262144):
    data = bytearray()
    entries = "".join(
        "<dict><key>Attributes</key><string>0x0050</string><key>Data</key><data>\n%s</data><key>ID</key><string>%d</string></dict>"
        % (base64.encodebytes(t).decode(), i) for i, t in enumerate(tables(kinds, data, chunk)))
    xml = ('<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" '
           '"http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n<plist version="1.0"><dict><key>resource-fork</key><dict>'
           '<key>plst</key><array><dict><key>Data</key><data>AAAA</data></dict></array>'
           '<key>blkx</key><array>%s</array></dict></dict></plist>\n' % entries).encode()
    return bytes(data) + xml + koly(data, len(DISK) // 512, (len(data), len(xml)))


def fork(kinds):
    """An old image: the tables lie in a resource fork."""
    data = bytearray()
    body, places = b"", []
    for t in tables(kinds, data, 262144):
        places.append(len(body))
        body += struct.pack(">I", len(t)) + t
    types = struct.pack(">H", 1) + b"plst" + struct.pack(">HH", 0, 18) + b"blkx" + struct.pack(">HH", 1, 30)
    refs = struct.pack(">HHII", 0, 0xffff, 0, 0) + b"".join(struct.pack(">hHII", i, 0xffff, 0x50 << 24 | p, 0) for i, p in enumerate(places))
    rmap = bytes(16) + bytes(6) + struct.pack(">HHH", 0, 28, 28 + len(types + refs)) + types + refs
    rsrc = struct.pack(">IIII", 256, 256 + len(body), len(body), len(rmap)) + bytes(240) + body + rmap
    return bytes(data) + rsrc + koly(data, len(DISK) // 512, (0, 0), (len(data), len(rsrc)))


def write(name, b):
    open(os.path.join(here, name + ".xz"), "wb").write(lzma.compress(b, preset=9 | lzma.PRESET_EXTREME))


for kind in PACK:
    write(kind + ".dmg", dmg([kind]))
write("mixed.dmg", dmg(list(PACK), 65536))
write("fork.dmg", fork(["zlib"]))
write("flat.dmg", DISK + koly(DISK, len(DISK) // 512))

# Text for the decoder of LZFSE by itself: a long block, and one in LZVN.
text = b"".join(b"%d the quick brown fox %d\n" % (i * i % 977, i) for i in range(20000))
open(os.path.join(here, "text.bvx2"), "wb").write(lzfse(text[:300000]))
open(os.path.join(here, "text.bvxn"), "wb").write(lzfse(text[:3000]))
open(os.path.join(here, "text.bvx-"), "wb").write(lzfse(bytes(i * 7919 % 251 for i in range(20))))
