#!/bin/sh
# Makes the volumes of this folder and the rows (path, size, SHA-256) that each
# must hold. Needs root, loop devices, btrfs-progs, python3 and a kernel that
# mounts Btrfs.
set -e
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
mnt=$work/mnt
mkdir -p "$mnt"
cat >"$work/fill.py" <<'PY'
import os, random, sys
tree, sub = sys.argv[1:]
r = random.Random(6)
def put(name, data):
    os.makedirs(os.path.dirname(os.path.join(tree, name)), exist_ok=True)
    with open(os.path.join(tree, name), "wb") as f: f.write(data)
def text(tag, n): return (b"%s: the quick brown fox jumps over the lazy dog\n" % tag.encode() * (n // 40 + 1))[:n]
put("empty-file", b"")
put("small", b"hello\n")
put("inline", text("inline", 1500))
put("exact", text("exact", 8192))
put("text", text("text", 400001))
put("random", r.randbytes(20001))
put("d/e/e/p/ünï", text("deep", 3000))
for i in range(150): put("many/a-rather-long-name-for-a-file-%03d" % i, text("m%d" % i, 13 * i))
with open(tree + "/sparse", "wb") as f:
    f.write(b"begin"); f.seek(300000); f.write(b"middle"); f.truncate(900000)
with open(tree + "/unwritten", "wb") as f:
    f.write(text("written", 5000)); f.flush(); os.posix_fallocate(f.fileno(), 0, 100000)
with open(tree + "/patched", "wb") as f:
    f.write(text("first", 262144)); f.flush(); os.fsync(f.fileno())
    f.seek(100000); f.write(text("second", 50000)); f.flush(); os.fsync(f.fileno())
with open(tree + "/pieces", "wb") as f:
    for i in range(40):
        f.seek(i * 2 * 4096); f.write(text("piece%d" % i, 4096)); f.flush(); os.fsync(f.fileno())
os.system("cp --reflink=always %s/patched %s/clone" % (tree, tree))
os.link(tree + "/text", tree + "/d/second-name")
os.symlink("../text", tree + "/d/link")
os.mknod(tree + "/null", 0o20666, os.makedev(1, 3))
os.mkfifo(tree + "/pipe")
os.system("btrfs -q subvolume create %s/%s; btrfs -q subvolume create %s/%s/inner" % (tree, sub, tree, sub))
put(sub + "/in-subvolume", text("sub", 9000))
put(sub + "/inner/deeper", text("inner", 100))
os.system("btrfs -q subvolume snapshot -r %s/%s %s/snapshot" % (tree, sub, tree))
put(sub + "/in-subvolume", text("changed", 9000))
PY
rows() { (cd "$1" && find . -type f | LC_ALL=C sort | while read -r f; do
	printf '%s\t%s\t%s\n' "${f#./}" "$(stat -c %s "$f")" "$(sha256sum <"$f" | cut -d' ' -f1)"; done); }
make() { # name, size, mount options, options of mkfs
	name=$1 size=$2 options=$3; shift 3
	truncate -s "$size" "$work/$name"
	mkfs.btrfs -q "$@" "$work/$name"
	mount -o "loop,$options" "$work/$name" "$mnt"
	python3 "$work/fill.py" "$mnt" subvolume
	sync; umount "$mnt"; mount -o loop,ro "$work/$name" "$mnt"
	rows "$mnt" >"$here/truth.tsv"
	umount "$mnt"
	gzip -9nc "$work/$name" >"$here/$name.img.gz"
	rm "$work/$name"
}
make mixed 40m noatime --mixed
make zlib 40m compress-force=zlib --mixed -n 4096 --csum sha256
make lzo 40m compress=lzo --mixed
make zstd 114m compress=zstd -m dup -d single -O no-holes
rm -rf "$work"
