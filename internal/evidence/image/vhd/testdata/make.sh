#!/bin/sh
# Makes the images of this folder with qemu-img 7.2, from the pattern of
# evidencetest.Pattern. Differencing disks are made by the test: qemu has none.
set -e
here=$(cd "$(dirname "$0")" && pwd)
cd "$(mktemp -d)"
python3 "$here/../../../../evidencetest/testdata/pattern.py" 3147264 disk.raw
qemu-img convert -f raw -O vpc -o subformat=fixed,force_size=on disk.raw fixed.vhd
qemu-img convert -f raw -O vpc -o subformat=dynamic,force_size=on disk.raw dynamic.vhd
for i in *.vhd; do xz -9e -c "$i" >"$here/$i.xz"; done
