#!/bin/sh
# Makes the images of this folder with qemu-img 7.2, from the pattern of
# evidencetest.Pattern. What qemu does not write is made by the test.
set -e
here=$(cd "$(dirname "$0")" && pwd)
cd "$(mktemp -d)"
python3 "$here/../../../../evidencetest/testdata/pattern.py" 3147264 disk.raw
to() { qemu-img convert -f raw -O vmdk "$@"; }
over() { qemu-io -f vmdk -c "write -P 0x5a 102400 71680" -c "write -z 1048576 131072" -c "write -P 0xa5 3145728 1024" "$1" >/dev/null; }
to -o subformat=monolithicSparse disk.raw sparse.vmdk
to -o subformat=monolithicSparse,zeroed_grain=on disk.raw zeroed.vmdk && over zeroed.vmdk
to -o subformat=streamOptimized disk.raw stream.vmdk
to -o subformat=monolithicFlat disk.raw flat.vmdk
to -o subformat=twoGbMaxExtentSparse disk.raw split.vmdk
to -o subformat=twoGbMaxExtentFlat disk.raw splitflat.vmdk
qemu-img create -q -f vmdk -b sparse.vmdk -F vmdk child.vmdk && over child.vmdk
for i in *.vmdk; do xz -9e -c "$i" >"$here/$i.xz"; done
