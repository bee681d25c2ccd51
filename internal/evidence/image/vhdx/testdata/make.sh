#!/bin/sh
# Makes the images of this folder with qemu-img 7.2, from the pattern of
# evidencetest.Pattern. Differencing disks, logs and sectors of 4096 bytes are
# made by the test: qemu writes none.
set -e
here=$(cd "$(dirname "$0")" && pwd)
cd "$(mktemp -d)"
python3 "$here/../../../../evidencetest/testdata/pattern.py" 3147264 disk.raw
to() { qemu-img convert -f raw -O vhdx "$@"; }
to -o subformat=fixed disk.raw fixed.vhdx
to -o subformat=dynamic,block_size=1M disk.raw dynamic.vhdx
to -o subformat=dynamic,block_size=8M,log_size=2M disk.raw large.vhdx
for i in *.vhdx; do xz -9e -c "$i" >"$here/$i.xz"; done
