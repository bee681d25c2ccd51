#!/bin/sh
# Makes the volumes of this folder and the rows (path, size, SHA-256) that each
# must hold. Needs mksquashfs 4.5, python3 and root (for the device nodes).
set -e
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
tree=$work/tree
mkdir -p "$tree/empty" "$tree/many" "$tree/deep/er/still/ünï"
python3 - "$tree" <<'PY'
import os, random, sys, struct
tree = sys.argv[1]
r = random.Random(4)
def put(name, data):
    with open(os.path.join(tree, name), "wb") as f: f.write(data)
text = lambda n: (b"the quick brown fox jumps over the lazy dog %d\n" * 3 % (1, 2, n)) * (n // 140 + 1)
put("empty-file", b"")
put("small", b"hello\n")
put("text", text(200000)[:200000])
put("random", r.randbytes(9000))
put("block", text(4096)[:4096])
put("two-blocks-random", r.randbytes(8192))
put("deep/er/still/ünï/tail", text(9000)[:9001])
with open(os.path.join(tree, "sparse"), "wb") as f:
    f.write(b"begin"); f.seek(500000); f.write(b"end"); f.truncate(700000)
# calls and jumps for the branch filters
code = bytearray()
for i in range(3000):
    code += r.choice([b"\xe8", b"\xe9", b"\xe8\xe9", b"\x90\x90\xe8"]) + struct.pack("<i", r.choice([r.randrange(-9000, 9000), 300 * i]))
    code += r.choice([b"", b"\x55", b"\x89\xe5\x53", b"\x00\xff"])
put("code-x86", bytes(code))
put("code-arm", b"".join(struct.pack("<I", 0xeb000000 | ((7000 - i) & 0xffffff)) + bytes(4) for i in range(3000)))
put("code-thumb", b"".join(struct.pack("<HHH", 0xf000 | ((9000 - i) >> 11 & 0x7ff), 0xf800 | ((9000 - i) & 0x7ff), 0x4770) for i in range(3000)))
put("code-ppc", b"".join(struct.pack(">II", 0x48000001 | ((30000 - 8 * i) & 0x3fffffc), 0x60000000) for i in range(3000)))
put("code-sparc", b"".join(struct.pack(">II", 0x40000000 | ((9000 - 2 * i) & 0x3fffffff), 0x01000000) for i in range(3000)))
for i in range(300): put("many/a-rather-long-name-to-fill-metadata-%03d" % i, text(i)[:i])
os.link(os.path.join(tree, "text"), os.path.join(tree, "many/second-name"))
os.symlink("../text", os.path.join(tree, "many/link"))
PY
mknod "$tree/null" c 1 3; mknod "$tree/disk" b 8 1; mkfifo "$tree/pipe"
find "$tree" -exec touch -h -d 2024-02-29T12:34:56Z {} +
rows() { (cd "$1" && find . -type f | LC_ALL=C sort | while read -r f; do
	printf '%s\t%s\t%s\n' "${f#./}" "$(stat -c %s "$f")" "$(sha256sum <"$f" | cut -d' ' -f1)"; done); }
rows "$tree" >"$here/truth.tsv"
make() { # name, options
	name=$1; shift
	mksquashfs "$tree" "$work/$name" -noappend -quiet -no-progress -all-time 1709210096 -mkfs-time 1709210096 "$@" >/dev/null
	gzip -9nc "$work/$name" >"$here/$name.gz"
}
# mksquashfs takes a filter only where it makes a block smaller: make sure of all
python3 - "$tree" "$here" <<'PY'
import lzma, sys
tree, here = sys.argv[1:]
for name, filter in dict(x86=lzma.FILTER_X86, arm=lzma.FILTER_ARM, thumb=lzma.FILTER_ARMTHUMB,
                         ppc=lzma.FILTER_POWERPC, sparc=lzma.FILTER_SPARC, ia64=lzma.FILTER_IA64).items():
    code = open(tree + "/code-" + name.replace("ia64", "x86"), "rb").read()
    with open(here + "/code-" + name + ".xz", "wb") as f:
        f.write(lzma.compress(code, check=lzma.CHECK_CRC64, filters=[{"id": filter}, {"id": lzma.FILTER_LZMA2, "preset": 6}]))
PY
make gzip.sqs -comp gzip -b 4096
make lzma.sqs -comp lzma -b 16K
make xz.sqs -comp xz -b 64K -Xbcj x86
make xz-arm.sqs -comp xz -b 8K -Xbcj arm,armthumb,powerpc,sparc -Xdict-size 8K
make lz4.sqs -comp lz4 -b 8K
make lz4-hc.sqs -comp lz4 -Xhc -b 128K -always-use-fragments
make zstd.sqs -comp zstd -b 1M -no-fragments
make zstd-4k.sqs -comp zstd -b 4096 -tailends
make stored.sqs -comp gzip -b 32K -noI -noD -noF
make stored-data.sqs -comp gzip -b 4096 -noD -no-fragments
rm -rf "$work"
