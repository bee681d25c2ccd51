#!/usr/bin/env python3
"""Makes the images of this folder with mkfs.exfat and exfat-fuse, and beside each
its truth: state (A in use, D deleted), path, size and SHA-256 of what was written.
It needs root for the loop device.

    python3 make.py
"""
import gzip, hashlib, os, random, shutil, subprocess, sys, tempfile


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=60).stdout.decode().strip()


class Image:
    def __init__(self, name, megabytes, cluster, sector=512, seed=1):
        self.name, self.live, self.dead = name, {}, []
        self.rng = random.Random(seed)
        self.tmp = tempfile.mkdtemp()
        self.path = os.path.join(self.tmp, name)
        self.root = os.path.join(self.tmp, "mount")
        os.mkdir(self.root)
        with open(self.path, "wb") as f:
            f.truncate(int(megabytes * (1 << 20)))
        self.loop = run("losetup", "-b", str(sector), "-f", "--show", self.path)
        run("mkfs.exfat", "-L", "LABEL", "-c", str(cluster), "-b", str(max(cluster, 8 * sector)), self.loop)
        run("mount.exfat-fuse", self.loop, self.root)

    def mkdir(self, path):
        os.mkdir(os.path.join(self.root, path))

    def content(self, path, size):
        line = "%s %d " % (path, self.rng.getrandbits(32))
        data, i = bytearray(), 0
        while len(data) < size:
            data += (line + "%d\n" % i).encode()
            i += 1
        return bytes(data[:size])

    def write(self, path, size):
        self.live[path] = self.content(path, size)
        with open(os.path.join(self.root, path), "wb") as f:
            f.write(self.live[path])

    def interleave(self, one, two, size, step):
        """Two files written in turns, so that both come in pieces."""
        data = self.content(one, size), self.content(two, size)
        files = [open(os.path.join(self.root, p), "wb", 0) for p in (one, two)]
        for at in range(0, size, step):
            for f, d in zip(files, data):
                f.write(d[at:at + step])
        for f in files:
            f.close()
        self.live[one], self.live[two] = data

    def remove(self, path):
        os.remove(os.path.join(self.root, path))
        self.dead.append((path, self.live.pop(path)))

    def prune(self, path):
        shutil.rmtree(os.path.join(self.root, path))
        for p in [p for p in self.live if p.startswith(path + "/")]:
            self.dead.append((p, self.live.pop(p)))

    def save(self):
        run("umount", self.root)
        run("losetup", "-d", self.loop)
        rows = [("A", p, d) for p, d in self.live.items()] + [("D", p, d) for p, d in self.dead]
        with open(self.name + ".truth.tsv", "w") as f:
            for state, path, data in rows:
                f.write("%s\t%s\t%d\t%s\n" % (state, path, len(data), hashlib.sha256(data).hexdigest()))
        with open(self.path, "rb") as f, open(self.name + ".gz", "wb") as out:
            with gzip.GzipFile("", "wb", 9, out, 0) as z:
                z.write(f.read())


def live(a, cluster):
    a.mkdir("Photos"), a.mkdir("Photos/2021 Sommer"), a.mkdir("ШКОЛА"), a.mkdir("many")
    for size in (0, 1, 511, 512, cluster - 1, cluster, cluster + 1, 5 * cluster + 7):
        a.write("Photos/size %d.txt" % size, size)
    for name in ("UPPER.TXT", "lower.txt", "noext", ".hidden", "ä ö ü.txt", "写真.jpg", "emoji \U0001f600.jpg", "n" * 250 + ".jpg"):
        a.write(name, 700)
        a.write("Photos/2021 Sommer/" + name, 900)
    a.write("ШКОЛА/отчёт.doc", 3000)
    for i in range(60):  # a directory of several clusters
        a.write("many/a file with a name that needs entries %03d" % i, 10 + i)
    a.interleave("pieces 1", "pieces 2", 9 * cluster + 5, cluster)


def deleted(a, cluster):
    a.interleave("Photos/gone in pieces 1", "Photos/stays in pieces", 5 * cluster + 9, cluster)
    a.interleave("Photos/gone in pieces 2", "Photos/gone in pieces 3", 4 * cluster + 2, 2 * cluster)
    for i in range(12):
        a.write("Photos/IMG_%04d.JPG" % i, cluster * (i % 4) + 100 + i)
    a.mkdir("gone"), a.mkdir("gone/deeper")
    for i in range(20):
        a.write("gone/A long name number %d.txt" % i, 300 + cluster * (i % 3))
    for i in range(4):
        a.write("gone/deeper/SHORT%d.TXT" % i, 200 + i)
    for i in (1, 2, 5, 7, 11):
        a.remove("Photos/IMG_%04d.JPG" % i)
    for i in range(1, 4):
        a.remove("Photos/gone in pieces %d" % i)
    for i in range(0, 60, 7):
        a.remove("many/a file with a name that needs entries %03d" % i)
    a.mkdir("kept")
    a.prune("gone")


def churn(a, cluster, room, rounds):
    """Written over again and again."""
    rng = random.Random(3)
    a.mkdir("d")
    for i in range(rounds):
        mine = sorted(p for p in a.live if p.startswith("d/"))
        used = sum(-(-len(a.live[p]) // cluster) for p in mine)
        if used > room or mine and rng.random() < 0.45:
            a.remove(rng.choice(mine))
        else:
            a.write("d/file %d.dat" % i, rng.randrange(1, 20 * cluster))


def small():
    a = Image("small.dd", 3, 512)
    live(a, 512), deleted(a, 512)
    a.save()


def sector4096():
    a = Image("sector4096.dd", 6, 4096, 4096)
    live(a, 4096), deleted(a, 4096)
    a.save()


def full():
    a = Image("full.dd", 2, 1024)
    churn(a, 1024, 1200, 300)
    a.save()


os.chdir(os.path.dirname(os.path.abspath(__file__)))
for make in (small, sector4096, full):
    if len(sys.argv) < 2 or make.__name__ in sys.argv[1:]:
        make()
