#!/bin/sh
# Makes the volumes of this folder and the rows (path, size, SHA-256) that they
# must hold, all the same. Needs root, loop devices, xfsprogs 6.1, python3 and a kernel that
# mounts XFS.
set -e
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
mnt=$work/mnt
mkdir -p "$mnt"
cat >"$work/fill.py" <<'PY'
import os, random, sys
tree = sys.argv[1]
r = random.Random(5)
def put(name, data):
    os.makedirs(os.path.dirname(os.path.join(tree, name)), exist_ok=True)
    with open(os.path.join(tree, name), "wb") as f: f.write(data)
def text(tag, n): return (b"%s: the quick brown fox jumps over the lazy dog\n" % tag.encode() * (n // 40 + 1))[:n]
put("empty-file", b"")
put("small", b"hello\n")
put("exact", text("exact", 8192))
put("text", text("text", 100001))
put("d/e/e/p/ünï", text("deep", 3000))
for i in range(12): put("short/f%d" % i, text("short%d" % i, 100 + i))
for i in range(40): put("block/name-of-a-file-%02d" % i, text("block%d" % i, 10 * i))
for i in range(700): put("leaf/a-rather-long-name-to-fill-directory-blocks-%04d" % i, b"%d" % i if i % 9 == 0 else b"")
with open(tree + "/sparse", "wb") as f:
    f.write(b"begin"); f.seek(300000); f.write(b"middle"); f.truncate(900000)
with open(tree + "/unwritten", "wb") as f:
    f.write(text("written", 5000)); f.flush()
    os.posix_fallocate(f.fileno(), 0, 200000)
os.system("xfs_io -f -c 'falloc -k 0 64k' -c 'pwrite -q -S 0x41 0 4500' %s/prealloc" % tree)
# extents in a tree of their own
with open(tree + "/pieces", "wb") as f:
    for i in range(400):
        f.seek(i * 2 * 4096); f.write(text("piece%d" % i, 4096)); f.flush(); os.fsync(f.fileno()) if i % 40 == 0 else None
os.link(tree + "/text", tree + "/short/second-name")
os.symlink("../text", tree + "/short/link")
os.symlink("x" * 700 + "/long", tree + "/longlink")
os.mknod(tree + "/null", 0o20666, os.makedev(1, 3))
os.mknod(tree + "/disk", 0o60660, os.makedev(8, 17))
os.mkfifo(tree + "/pipe")
for i in range(6): put("gone/deleted-%d" % i, text("deleted%d" % i, 20000 + 4096 * i))
for i in range(60): put("gone/stays-%d" % i, b"stays %d" % i)
for p in ("gone/deleted-pieces",):
    with open(tree + "/" + p, "wb") as f:
        for i in range(5):
            f.seek(i * 3 * 4096); f.write(text("gonepiece%d" % i, 4096)); f.flush(); os.fsync(f.fileno())
os.utime(tree + "/small", (1e9, 4e9 if len(sys.argv) > 2 else 2e9))
PY
rows() { (cd "$1" && find . -type f | LC_ALL=C sort | while read -r f; do
	printf '%s\t%s\t%s\n' "${f#./}" "$(stat -c %s "$f")" "$(sha256sum <"$f" | cut -d' ' -f1)"; done); }
make() { # name, size, year 2096 works, options of mkfs
	name=$1 size=$2 big=$3; shift 3
	truncate -s "$size" "$work/$name"
	mkfs.xfs -q --unsupported "$@" "$work/$name"
	mount -o loop "$work/$name" "$mnt"
	python3 "$work/fill.py" "$mnt" $big
	sync; umount "$mnt"; mount -o loop "$work/$name" "$mnt"
	rows "$mnt/gone" | grep deleted >"$here/deleted.tsv"
	rm "$mnt"/gone/deleted-*
	sync; umount "$mnt"; mount -o loop,ro "$work/$name" "$mnt"
	rows "$mnt" >"$here/truth.tsv"
	umount "$mnt"
	gzip -9nc "$work/$name" >"$here/$name.gz"
	rm "$work/$name"
}
make v5.xfs 34m big -m bigtime=1,reflink=1,rmapbt=1 -d agcount=2
make v5-nrext64.xfs 50m big -i nrext64=1,size=1024,sparse=1 -b size=2048 -n size=4096 -d agcount=3 -m bigtime=1
make v5-old.xfs 20m "" -m bigtime=0,finobt=0,reflink=0 -i sparse=0 -b size=1024 -n size=8192 -d agcount=1
# today's kernels do not mount version 4: mkfs.xfs fills it from a list
tree=$work/tree
mkdir "$tree"
python3 "$work/fill.py" "$tree"
rm -r "$tree"/gone/deleted-* "$tree/pipe"
cat >"$work/list.py" <<'PY'
import os, stat, sys
def walk(d, deep):
    for name in sorted(os.listdir(d)):
        p = os.path.join(d, name); s = os.lstat(p); mode = "--%03o 0 0 " % (s.st_mode & 0o777)
        if stat.S_ISDIR(s.st_mode): print(name, "d" + mode); walk(p, deep + 1); print("$")
        elif stat.S_ISLNK(s.st_mode): print(name, "l" + mode + os.readlink(p))
        elif stat.S_ISREG(s.st_mode): print(name, "-" + mode + p)
        else: print(name, ("c" if stat.S_ISCHR(s.st_mode) else "b") + mode + "%d %d" % (os.major(s.st_rdev), os.minor(s.st_rdev)))
print("boot\n0 0\nd--755 0 0"); walk(sys.argv[1], 0); print("$")
PY
python3 "$work/list.py" "$tree" >"$work/list"
old() { # name, size, options of mkfs
	name=$1 size=$2; shift 2
	truncate -s "$size" "$work/$name"
	mkfs.xfs -q --unsupported -p "$work/list" "$@" "$work/$name"
	gzip -9nc "$work/$name" >"$here/$name.gz"
	rm "$work/$name"
}
old v4.xfs 34m -m crc=0 -i size=256 -b size=512 -n ftype=0 -d agcount=2
old v4-ftype.xfs 34m -m crc=0 -n ftype=1,size=16384 -b size=2048 -i size=512 -d agcount=2 -l version=1
# taken while it was mounted: the log is open
truncate -s 20m "$work/dirty.xfs"
mkfs.xfs -q --unsupported -d agcount=1 "$work/dirty.xfs"
mount -o loop "$work/dirty.xfs" "$mnt"
echo one >"$mnt/one"; sync; echo two >"$mnt/two"; echo three >"$mnt/three"
xfs_io -c 'fsync' "$mnt/three"
xfs_io -x -c 'shutdown -f' "$mnt"
umount "$mnt"
gzip -9nc "$work/dirty.xfs" >"$here/dirty.xfs.gz"
rm -rf "$work"
