#!/usr/bin/env python3
"""Makes the images of this folder with mkfs.fat and mtools, and beside each its
truth: state (A in use, D deleted), path, size and SHA-256 of what was written.

    python3 make.py
"""
import gzip, hashlib, os, random, subprocess, sys, tempfile

ENV = dict(os.environ, MTOOLS_SKIP_CHECK="1", TZ="UTC", SOURCE_DATE_EPOCH="1700000000")


class Image:
    def __init__(self, name, megabytes, *options, seed=1):
        self.name, self.live, self.dead = name, {}, []
        self.rng = random.Random(seed)
        self.tmp = tempfile.mkdtemp()
        self.path = os.path.join(self.tmp, name)
        with open(self.path, "wb") as f:
            f.truncate(int(megabytes * (1 << 20)))
        self.run("mkfs.fat", "-i", "12345678", "-n", "LABEL", *options, self.path)

    def run(self, *command):
        subprocess.run(command, check=True, env=ENV, stdout=subprocess.DEVNULL)

    def mtool(self, tool, *arguments):
        self.run(tool, "-i", self.path, *arguments)

    def mkdir(self, path):
        self.mtool("mmd", "::/" + path)

    def write(self, path, size):
        line = "%s %d " % (path, self.rng.getrandbits(32))
        data, i = bytearray(), 0
        while len(data) < size:
            data += (line + "%d\n" % i).encode()
            i += 1
        data = bytes(data[:size])
        host = os.path.join(self.tmp, "content")
        with open(host, "wb") as f:
            f.write(data)
        os.utime(host, (1600000000 + size, 1600000000 + size))
        self.mtool("mcopy", "-m", "-o", host, "::/" + path)
        self.live[path] = data

    def remove(self, path):
        self.mtool("mdel", "::/" + path)
        self.dead.append((path, self.live.pop(path)))

    def prune(self, path):
        self.mtool("mdeltree", "::/" + path)
        for p in [p for p in self.live if p.startswith(path + "/")]:
            self.dead.append((p, self.live.pop(p)))

    def save(self):
        rows = [("A", p, d) for p, d in self.live.items()] + [("D", p, d) for p, d in self.dead]
        with open(self.name + ".truth.tsv", "w") as f:
            for state, path, data in rows:
                f.write("%s\t%s\t%d\t%s\n" % (state, path, len(data), hashlib.sha256(data).hexdigest()))
        with open(self.path, "rb") as f, open(self.name + ".gz", "wb") as out:
            with gzip.GzipFile("", "wb", 9, out, 0) as z:
                z.write(f.read())


def live(a):
    """Files in use of many sizes and names."""
    a.mkdir("Photos"), a.mkdir("Photos/2021 Sommer"), a.mkdir("lower"), a.mkdir("ШКОЛА")
    for size in (0, 1, 511, 512, 513, 2048, 2049, 4096, 4097, 20000):
        a.write("Photos/size %d.txt" % size, size)
    for name in ("UPPER.TXT", "lower.txt", "Mixed.Txt", "noext", ".hidden", "two.dots.txt", "a b.txt",
                 "ä ö ü.txt", "фото.jpg", "写真.jpg", "n" * 251 + ".jpg", "+,;=[].txt"):
        a.write(name, 700)
        a.write("Photos/2021 Sommer/" + name, 900)
    a.write("ШКОЛА/отчёт.doc", 3000)


def deleted(a, cluster):
    """Deleted files, contiguous, in pieces, overwritten; deleted directories."""
    for i in range(12):
        a.write("Photos/IMG_%04d.JPG" % i, cluster * (i % 4) + 100 + i)
    for i in (1, 2, 5, 7, 11):
        a.remove("Photos/IMG_%04d.JPG" % i)
    for i in range(10):
        a.write("lower/chunk %d" % i, cluster)
    for i in range(0, 10, 2):
        a.remove("lower/chunk %d" % i)
    a.mkdir("gone"), a.mkdir("gone/deeper")
    for i in range(20):
        a.write("gone/A long name number %d.txt" % i, 300 + cluster * (i % 3))
    for i in range(4):
        a.write("gone/deeper/SHORT%d.TXT" % i, 200 + i)
    a.mkdir("kept")
    a.write("kept/after.txt", 3 * cluster)
    a.prune("gone")
    a.write("kept/last.txt", 100)


def fill(a, cluster, pieces):
    """A volume so full that later files come in pieces, then more deleting."""
    a.mkdir("fill")
    for i in range(pieces):
        a.write("fill/f%03d.bin" % i, cluster * 2)
    for i in range(0, pieces, 2):
        a.remove("fill/f%03d.bin" % i)


def fat12():
    a = Image("fat12.dd", 1.44, "-F", "12", "-s", "1")
    live(a), deleted(a, 512), fill(a, 512, 40)
    a.save()


def fat16():
    a = Image("fat16.dd", 9, "-F", "16", "-s", "4")
    live(a), deleted(a, 2048), fill(a, 2048, 20)
    a.save()


def fat32():
    a = Image("fat32.dd", 36, "-F", "32", "-s", "1")
    live(a), deleted(a, 512), fill(a, 512, 40)
    a.save()


def high():
    """A FAT32 volume on which what is deleted lies behind cluster 65535, with the
    upper half of its cluster numbers cleared as Windows does."""
    a = Image("high.dd", 36, "-F", "32", "-s", "1")
    with open(os.path.join(a.tmp, "content"), "wb") as f:
        f.truncate(66000 * 512)
    a.mtool("mcopy", os.path.join(a.tmp, "content"), "::/zeros.bin")
    a.live["zeros.bin"] = bytes(66000 * 512)
    a.mkdir("Photos"), a.mkdir("lower"), deleted(a, 512)
    with open(a.path, "r+b") as f:
        image = bytearray(f.read())
        for at in range(0, len(image), 32):
            if image[at] == 0xE5 and image[at + 11] in (0x10, 0x20):
                image[at + 20:at + 22] = b"\0\0"
        f.seek(0), f.write(image)
    a.save()


def sector4096():
    a = Image("sector4096.dd", 34, "-F", "16", "-S", "4096", "-s", "1")
    live(a), deleted(a, 4096)
    a.save()


def full():
    """A small volume that is filled to its end, so that what is deleted is
    written over and what is new comes in pieces."""
    a = Image("full.dd", 0.5, "-F", "12", "-s", "2", "-r", "64", seed=7)
    rng = random.Random(3)
    a.mkdir("d")
    for i in range(300):
        used = sum(-(-len(d) // 1024) for d in a.live.values())
        if used > 380 or a.live and rng.random() < 0.45:
            a.remove(rng.choice(sorted(a.live)))
        else:
            a.write("d/file %d.dat" % i, rng.randrange(1, 40000))
    a.save()


os.chdir(os.path.dirname(os.path.abspath(__file__)))
for make in (fat12, fat16, fat32, high, sector4096, full):
    if len(sys.argv) < 2 or make.__name__ in sys.argv[1:]:
        make()
