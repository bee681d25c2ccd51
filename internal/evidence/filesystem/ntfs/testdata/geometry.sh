#!/bin/sh
# Makes the images with other sector and cluster sizes, with mkntfs and ntfscp;
# see README.md.    usage: geometry.sh DIRECTORY
set -e
cd "$1"
make() { # name, size, bytes per sector, bytes per cluster
	truncate -s "$2" "$1.ntfs"
	mkntfs -F -q -Q -s "$3" -c "$4" "$1.ntfs" >/dev/null 2>&1
	seq 1 20000 >large
	seq 1 50 >small
	: >"$1.truth.tsv"
	for f in large small; do
		ntfscp -q -f "$1.ntfs" "$f" "$f"
		printf '%s\t%s\t%s\n' "$f" "$(wc -c <"$f" | tr -d ' ')" "$(sha256sum "$f" | cut -d' ' -f1)" >>"$1.truth.tsv"
	done
	rm large small
}
make sector4096 8M 4096 4096
make cluster128k 24M 512 131072
make cluster2m 64M 1024 2097152
make tiny 3M 512 512
