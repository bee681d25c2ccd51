#!/bin/sh
# Makes the images of this folder with qemu-img 7.2. disk.raw is the pattern of
# evidencetest.Pattern; what is written over it is in the test.
set -e
here=$(cd "$(dirname "$0")" && pwd)
cd "$(mktemp -d)"
python3 "$here/../../../../evidencetest/testdata/pattern.py" 3147264 disk.raw
to() { qemu-img convert -f raw -O qcow2 "$@"; }
over() { qemu-io -f qcow2 -c "write -P 0x5a 102400 71680" -c "write -z 1048576 131072" -c "write -P 0xa5 3145728 1024" "$1" >/dev/null; }
to -o compat=0.10 disk.raw v2.qcow2
to -o compat=1.1 disk.raw v3.qcow2
to -o cluster_size=512 disk.raw cluster512.qcow2
to -o cluster_size=2M disk.raw cluster2m.qcow2
to -c disk.raw deflate.qcow2
to -c -o compression_type=zstd disk.raw zstd.qcow2
to -o preallocation=metadata disk.raw metadata.qcow2
to disk.raw zero.qcow2 && over zero.qcow2
to -o extended_l2=on disk.raw subclusters.qcow2 && over subclusters.qcow2
qemu-img create -q -f qcow2 -b v3.qcow2 -F qcow2 child.qcow2 && over child.qcow2
qemu-img create -q -f qcow2 -b disk.raw -F raw rawchild.qcow2 && over rawchild.qcow2
qemu-img create -q -f qcow2 -o extended_l2=on -b v3.qcow2 -F qcow2 subchild.qcow2 && over subchild.qcow2
qemu-img create -q -f qcow2 -b child.qcow2 -F qcow2 larger.qcow2 4M
to disk.raw snapshot.qcow2 && qemu-img snapshot -c "before the edit" snapshot.qcow2 && over snapshot.qcow2
qemu-img create -q -f qcow2 --object secret,id=s,data=123456 -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=50 luks.qcow2 1M
qemu-img create -q -f qcow2 -o data_file=data.raw external.qcow2 1M
qemu-img create -q -f qcow2 huge.qcow2 10T && qemu-io -f qcow2 -c "write -P 7 9T 64k" huge.qcow2 >/dev/null
head -c 65536 luks.qcow2 >luks.cut && mv luks.cut luks.qcow2 # the rest is the key, split
for i in *.qcow2; do xz -9e -c "$i" >"$here/$i.xz"; done
