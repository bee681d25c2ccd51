#!/bin/sh
# Makes the volumes of this folder and the rows (path, size, SHA-256) that each
# must hold. Needs genisoimage, udftools 2.3 and python3.
set -e
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
tree=$work/tree
mkdir -p "$tree/sub/deep"
echo hello >"$tree/small"
: >"$tree/empty"
python3 -c "import random; open('$tree/rand', 'wb').write(random.Random(1).randbytes(10001))"
for i in $(seq 60); do echo "$i" >"$tree/sub/a-rather-long-name-for-a-file-$i"; done
cp "$tree/rand" "$tree/sub/deep/ünï-日本"
rows() { (cd "$1" && find . -type f | LC_ALL=C sort | while read -r f; do
	printf '%s\t%s\t%s\n' "${f#./}" "$(stat -c %s "$f")" "$(sha256sum <"$f" | cut -d' ' -f1)"; done); }
find "$tree" -exec touch -h -d 2024-02-29T12:34:56Z {} +
rows "$tree" >"$here/bridge.tsv"
genisoimage -quiet -udf -J -input-charset utf-8 -o "$work/bridge.img" "$tree"
gzip -9nc "$work/bridge.img" >"$here/bridge.img.gz"
rm -rf "$work"
# The others are made by mkudffs and filled by fill.py: no other program writes
# all kinds of partition, and not every kernel writes UDF.
python3 "$here/fill.py" "$here"
