#!/usr/bin/env python3
"""Makes linux.ntfs and its truth, with mkntfs and ntfs-3g; see README.md.

usage: make.py IMAGE MOUNTPOINT TRUTH    (as root: it mounts the image)
"""
import hashlib, os, random, socket, struct, subprocess, sys

image, mnt, truth_path = sys.argv[1:4]
truth = {}


def noise(seed, n):
    return random.Random(seed).randbytes(n)


def text(seed, n):
    r = random.Random(seed)
    words = ["exhibit", "seal", "cluster", "volume", "court", "record", "sector", "bag"]
    out = bytearray()
    while len(out) < n:
        out += r.choice(words).encode() + b" "
    return bytes(out[:n])


def put(path, data, told=True):
    with open(os.path.join(mnt, path), "wb") as f:
        f.write(data)
    if told:
        truth[path] = data


def mount():
    subprocess.run(["ntfs-3g", "-o", "compression,streams_interface=xattr,special_files=wsl", image, mnt], check=True)


def umount():
    subprocess.run(["umount", mnt], check=True)


def attrib(path, flags):
    os.setxattr(os.path.join(mnt, path), "system.ntfs_attrib", struct.pack("<I", flags))


def reparse(path, tag, data):
    buf = struct.pack("<IHH", tag, len(data), 0) + data
    os.setxattr(os.path.join(mnt, path), "system.ntfs_reparse_data", buf)


def link_data(target, symlink):
    t = target.encode("utf-16-le")
    head = struct.pack("<HHHH", 0, len(t), len(t), len(t))
    return head + (struct.pack("<I", 0) if symlink else b"") + t + t


with open(image, "wb") as f:
    f.truncate(6 << 20)
subprocess.run(["mkntfs", "-F", "-q", "-Q", "-s", "512", "-c", "512", "-L", "made", image], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
mount()

# Plain: empty, resident, one cluster, many.
os.mkdir(mnt + "/plain")
for name, n in [("empty", 0), ("resident", 100), ("cluster", 512), ("many", 70001)]:
    put("plain/" + name, noise(n, n))

# Names: hard links, long, beyond the basic plane, an unpaired surrogate.
os.mkdir(mnt + "/names")
put("names/Long file name with spaces.text", b"long")
put("names/\U0001f50d \u00e4\u00f6 \u6587\u5b57.txt", b"wide")
try:
    half = b"names/half \xed\xa0\x80 pair"
    with open(os.path.join(mnt.encode(), half), "wb") as f:
        f.write(b"half")
    truth[half.decode("utf-8", "surrogateescape")] = b"half"
except OSError as e:
    print("no unpaired surrogate:", e)
put("names/first", b"one content, three names")
for other in ("names/second", "plain/third"):
    os.link(mnt + "/names/first", mnt + "/" + other)
    truth[other] = truth["names/first"]
put("names/linked 0", b"so many names that they need an attribute list")
for i in range(1, 40):
    os.link(mnt + "/names/linked 0", mnt + "/names/linked %d" % i)
    truth["names/linked %d" % i] = truth["names/linked 0"]

# Streams, on a file, on a directory, large, empty.
put("plain/with streams", b"main")
os.mkdir(mnt + "/plain/folder")
for path, stream, data in [
    ("plain/with streams", "small", b"beside"),
    ("plain/with streams", "large", noise(7, 30000)),
    ("plain/folder", "on a folder", b"found on a folder"),
]:
    os.setxattr(os.path.join(mnt, path), "user." + stream, data)
    truth[path + ":" + stream] = data

# Sparse, with data at both ends and in the middle; and nothing but a hole.
with open(mnt + "/plain/sparse", "wb") as f:
    f.write(noise(1, 1000)); f.seek(300000); f.write(noise(2, 2000)); f.truncate(900000)
truth["plain/sparse"] = (noise(1, 1000) + bytes(299000) + noise(2, 2000)).ljust(900000, b"\0")
with open(mnt + "/plain/hole", "wb") as f:
    f.truncate(100000)
truth["plain/hole"] = bytes(100000)

# Compressed: units of 16 clusters, here 8 KiB, that are packed, stored, zeros.
os.mkdir(mnt + "/packed")
attrib("packed", 0x800)
put("packed/text", text(3, 120000))
put("packed/noise", noise(4, 50000))
put("packed/zeros", bytes(60000))
put("packed/mixed", text(5, 8192) + noise(6, 8192) + bytes(8192) + text(7, 5000) + bytes(3000) + noise(8, 2000))
put("packed/run", b"a" * 20000)
put("packed/small", b"resident")
put("packed/cut", text(9, 8193))

# Links and what is not on this volume.
os.mkdir(mnt + "/links")
os.symlink("../plain/many", mnt + "/links/symlink")
os.mkfifo(mnt + "/links/fifo")
os.mknod(mnt + "/links/device", 0o020600, os.makedev(1, 3))
for name, tag, data in [
    ("native", 0xA000000C, link_data("C:\\plain\\many", True)),
    ("wof", 0x80000017, struct.pack("<IIII", 1, 2, 1, 0)),
    ("dedup", 0x80000013, bytes(16)),
    ("cloud", 0x9000301A, bytes(16)),
    ("cloud here", 0x9000301A, bytes(16)),
]:
    with open(mnt + "/links/" + name, "wb") as f:
        if name in ("wof", "dedup", "cloud"):
            f.truncate(40000)
        if name == "cloud here":
            f.write(noise(10, 3000))
    if name == "wof":
        os.setxattr(mnt + "/links/wof", "user.WofCompressedData", noise(11, 500))
    reparse("links/" + name, tag, data)
truth["links/wof:WofCompressedData"] = noise(11, 500)
truth["links/cloud here"] = noise(10, 3000)
os.mkdir(mnt + "/links/junction")
reparse("links/junction", 0xA0000003, link_data("\\??\\C:\\plain", False))

# So many pieces that the runs fill several records: every second cluster is a
# hole.
data = bytearray(512 * 1400)
with open(mnt + "/pieces", "wb", buffering=0) as f:
    for at in range(0, len(data), 1024):
        data[at : at + 512] = text(at, 512)
        f.seek(at)
        f.write(data[at : at + 512])
    f.truncate(len(data))
truth["pieces"] = bytes(data)

# Deleted: resident, in clusters, in a deleted folder, overwritten afterwards,
# and one whose folder's record was used again.
os.mkdir(mnt + "/plain/gone")
os.mkdir(mnt + "/plain/reused")
for name, data in [
    ("plain/gone resident", b"deleted and resident"), ("plain/gone clusters", noise(13, 9000)),
    ("plain/gone/inside", noise(14, 3000)), ("plain/reused/orphan", noise(15, 3000)),
    ("plain/gone streams", b"deleted"),
]:
    put(name, data, told=False)
os.setxattr(mnt + "/plain/gone streams", "user.kept", b"deleted stream")
umount(); mount()
for name in ("gone resident", "gone clusters", "gone/inside", "reused/orphan", "gone streams"):
    os.remove(mnt + "/plain/" + name)
os.rmdir(mnt + "/plain/reused"); os.rmdir(mnt + "/plain/gone")
umount(); mount()

# Written over, and the record of a deleted folder taken.
os.mkdir(mnt + "/plain/taker")
with open(mnt + "/filler", "wb", buffering=0) as f:
    for _ in range(256):
        f.write(bytes(4096))
umount()

with open(truth_path, "wb") as f:
    for path in sorted(truth):
        raw = path.encode("utf-8", "surrogateescape")
        f.write(raw + b"\t%d\t%s\n" % (len(truth[path]), hashlib.sha256(truth[path]).hexdigest().encode()))
