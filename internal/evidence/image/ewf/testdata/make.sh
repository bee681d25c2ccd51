#!/bin/sh
# Makes the images of this folder with ewfacquire (libewf 20140813), of a medium
# that medium() in written_test.go draws too.
set -e
dir=$(mktemp -d)
python3 - "$dir/medium.raw" <<'EOF'
import hashlib, sys
out = b''
for block in range(2561):
    if block % 640 < 2:
        out += b''.join(hashlib.sha256(b'%d' % (block * 16 + i)).digest() for i in range(16))
    elif block % 64 < 40:
        out += (b'block %d ' % (block // 8) * 64)[:512]
    else:
        out += bytes(512)
open(sys.argv[1], 'wb').write(out)
EOF
acquire() {
	name=$1
	shift
	ewfacquire -u -q -d sha1 -S 1048576 -C 'case 7-B' -E 'ev 1' -e 'K. Mayer' -N 'a note' -D 'drawn' \
		-t "$dir/$name" "$@" "$dir/medium.raw" >/dev/null
}
acquire ewf -f ewf -c fast
acquire smart -f smart -c none
acquire ftk -f ftk -c best -b 16
acquire encase2 -f encase2 -c fast
acquire encase3 -f encase3 -c empty-block
acquire encase4 -f encase4 -c best
acquire encase5 -f encase5 -c none
acquire encase6 -f encase6 -c best -b 16
acquire chunks1024 -f encase6 -c fast -b 1024
acquire linen5 -f linen5 -c fast
acquire linen6 -f linen6 -c empty-block -b 128
acquire chunks32768 -f encase6 -c best -b 32768
acquire ewfx -f ewfx -c fast
acquire sectors4k -f encase6 -c fast -P 4096 -b 16 -B 1310720
for f in "$dir"/*.[EeSs]0*; do
	xz -9c "$f" >"$(basename "$f").xz"
done
