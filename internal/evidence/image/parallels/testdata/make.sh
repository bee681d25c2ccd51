#!/bin/sh
# Makes the images of this folder with qemu-img 7.2, from the pattern of
# evidencetest.Pattern.
set -e
here=$(cd "$(dirname "$0")" && pwd)
cd "$(mktemp -d)"
python3 "$here/../../../../evidencetest/testdata/pattern.py" 3147264 disk.raw
qemu-img convert -f raw -O parallels disk.raw large.hds
qemu-img convert -f raw -O parallels -o cluster_size=65536 disk.raw small.hds
for i in *.hds; do xz -9e -c "$i" >"$here/$i.xz"; done
