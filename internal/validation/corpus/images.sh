#!/bin/sh
# Draws tree/, writes it to small images and archives with the tools of each format, and tells in
# *.tsv what lies on them (state, path, size, SHA-256), as it was written, by sha256sum. Needs
# python3, mtools, dosfstools, e2fsprogs, ntfs-3g, genisoimage, squashfs-tools, btrfs-progs,
# xfsprogs,
# zip, unzip, 7z, tar, cpio, gzip, bzip2, xz, zstd, qemu-utils, parted, sleuthkit. Run it in a folder of its own.
set -eu
export TZ=UTC LC_ALL=C.UTF-8 SOURCE_DATE_EPOCH=1700000000
rm -rf tree kept out; mkdir -p tree/ferry/deep/er out

# the tree
python3 - <<'PY'
import struct, zlib
def write(name, data): open("tree/ferry/" + name, "wb").write(data)
write("timetable.txt", b"".join(b"%02d:40 pier %d\n" % (h, h % 3 + 1) for h in range(6, 24)))
write("empty.txt", b"")
write("deep/er/notes.txt", b"The night ferry leaves from the far end of the pier.\n" * 3)
write("\u00dcberfahrt.txt", "Überfahrt bei Nacht\n".encode())
write("table.bin", b"".join(struct.pack("<I", i * 2654435761 % 2**32 if i % 512 < 8 else i // 512) for i in range(10000)))
write("gone with the ferry.txt", b"Nobody reads this any more.\n" * 30)
PY
find tree -exec touch -d @$SOURCE_DATE_EPOCH {} +
rows() { # STATE FOLDER: what was written there
	(cd "$2" && find . -type f ! -name 'gone*' | sort | while read -r f; do
		printf '%s\t%s\t%s\t%s\n' "$1" "${f#.}" "$(stat -c %s "$f")" "$(sha256sum < "$f" | cut -d' ' -f1)"; done)
}
rows A tree > out/tree.tsv
gone=$(printf 'D\t/ferry/gone with the ferry.txt\t%s\t%s' "$(stat -c %s 'tree/ferry/gone with the ferry.txt')" "$(sha256sum < 'tree/ferry/gone with the ferry.txt' | cut -d' ' -f1)")
(cat out/tree.tsv; echo "$gone") > out/tree-and-deleted.tsv
cp -r tree kept; rm 'kept/ferry/gone with the ferry.txt'; find kept -exec touch -d @$SOURCE_DATE_EPOCH {} +

# FAT: written with mtools, one file deleted
fat() { # NAME BITS KIBIBYTES
	truncate -s "$3"K "out/$1"; mkfs.fat -F "$2" $4 -i 11223344 --invariant "out/$1" > /dev/null
	mcopy -s -m -i "out/$1" tree/ferry ::/
	mdel -i "out/$1" '::/ferry/gone with the ferry.txt'
}
fat fat12.img 12 512 ""; fat fat16.img 16 5120 "-s 1"; fat fat32.img 32 34816 "-s 1"

# ext: filled by mke2fs, one file deleted by debugfs
for kind in ext2 ext4; do
	truncate -s 1M out/$kind.img
	mke2fs -q -F -t $kind -b 1024 -N 32 -U 00000000-1111-2222-3333-444444444444 -E hash_seed=00000000-1111-2222-3333-444444444444 -O ^has_journal -d tree out/$kind.img
	debugfs -w -R 'rm "/ferry/gone with the ferry.txt"' out/$kind.img 2> /dev/null
done

# NTFS: written by ntfscp, into the root folder
truncate -s 2M out/ntfs.img; mkntfs -q -F -f -s 512 -c 512 -T out/ntfs.img > /dev/null 2>&1
: > out/ntfs.tsv
for f in timetable.txt empty.txt Überfahrt.txt table.bin; do
	ntfscp -q -f out/ntfs.img "kept/ferry/$f" "$f" > /dev/null 2>&1
	grep -F "/ferry/$f	" out/tree.tsv | sed 's|/ferry/|/|' >> out/ntfs.tsv
done
printf 'beside the table\n' > stream; ntfscp -q -f -N beside out/ntfs.img stream table.bin > /dev/null 2>&1
printf 'A\t/table.bin:beside\t17\t%s\n' "$(sha256sum < stream | cut -d' ' -f1)" >> out/ntfs.tsv
sort -o out/ntfs.tsv out/ntfs.tsv

genisoimage -quiet -R -J -o out/rockridge.iso kept 2> /dev/null
genisoimage -quiet -udf -R -o out/udf.iso kept 2> /dev/null
mksquashfs kept out/tree.sqs -quiet -no-progress -all-root -no-xattrs > /dev/null
mksquashfs kept out/zstd.sqs -quiet -no-progress -all-root -no-xattrs -comp zstd > /dev/null
truncate -s 109M out/btrfs.img
mkfs.btrfs -q --rootdir kept -m single -d single -U 00000000-1111-2222-3333-444444444444 out/btrfs.img > /dev/null

# XFS: mkfs.xfs fills it after a prototype
truncate -s 16M out/xfs.img
{
	printf '/dev/null\n1000000 100000\nd--755 0 0\nferry d--755 0 0\ndeep d--755 0 0\ner d--755 0 0\nnotes.txt ---644 0 0 kept/ferry/deep/er/notes.txt\n$\n$\n'
	for f in empty.txt table.bin timetable.txt Überfahrt.txt; do echo "$f ---644 0 0 kept/ferry/$f"; done
	printf '$\n$\n'
} > proto
mkfs.xfs -q --unsupported -f -m uuid=00000000-1111-2222-3333-444444444444 -p proto out/xfs.img 2> /dev/null

# the ext2 image in containers, by qemu-img
for kind in qcow2 vmdk vdi vhdx; do qemu-img convert -f raw -O $kind out/ext2.img out/ext2.$kind; done
qemu-img convert -f raw -O qcow2 -c out/ext2.img out/packed.qcow2
qemu-img convert -f raw -O vpc -o force_size=on out/ext2.img out/ext2.vhd
sha256sum < out/ext2.img | cut -d' ' -f1 > out/ext2.sha256

# archives of the tree
(cd kept && zip -qr -X ../out/tree.zip ferry && zip -q0r -X ../out/stored.zip ferry && 7z a -bd -y ../out/tree.7z ferry > /dev/null)
(cd kept && tar --sort=name --owner=0 --group=0 -cf ../out/tree.tar ferry && find ferry | sort | cpio -o -H newc --quiet > ../out/tree.cpio)
gzip -9nk out/tree.tar; bzip2 -k out/tree.tar; xz -k out/tree.tar; zstd -q out/tree.tar -o out/tree.tar.zst

# a whole drive: a partition table with FAT12, ext4 and FAT12, and the image ends within the
# third, as one does that was copied to a full disk. What lies beyond is told by mtools.
cp "$(dirname "$0")/bridge-mods_shrink-a-lot.jpg" out/tree.zip . 2> /dev/null || true
python3 - <<'PY'
data = bytearray(open("out/tree.zip", "rb").read())
at = data.index(b"timetable.txt") + 40 # into the packed bytes of the first member of that name
data[at] ^= 1
open("damaged.zip", "wb").write(data)
PY
if unzip -tqq damaged.zip > /dev/null 2>&1; then echo 'the damage is not seen'; exit 1; fi
truncate -s 1M one.img; mkfs.fat -F 12 -i 1 --invariant one.img > /dev/null
mcopy -s -m -i one.img tree/ferry bridge-mods_shrink-a-lot.jpg tree.zip damaged.zip ::/
mdel -i one.img '::/ferry/gone with the ferry.txt'
truncate -s 512K three.img; mkfs.fat -F 12 -i 3 --invariant three.img > /dev/null
mcopy -m -i three.img kept/ferry/timetable.txt kept/ferry/table.bin kept/ferry/deep/er/notes.txt ::/
truncate -s 4M out/drive.img
parted -s out/drive.img mklabel msdos mkpart primary fat16 2048s 4095s mkpart primary ext2 4096s 6143s mkpart primary fat16 6144s 7167s
dd if=one.img of=out/drive.img bs=512 seek=2048 conv=notrunc status=none
dd if=out/ext4.img of=out/drive.img bs=512 seek=4096 conv=notrunc status=none
dd if=three.img of=out/drive.img bs=512 seek=6144 conv=notrunc status=none
third=$(istat -o 6144 out/drive.img "$(ifind -o 6144 -n table.bin out/drive.img)" | sed -n '/^Sectors/,$p' | tr -d '\n' | tr -s ' ' '\n' | grep -E '^[0-9]+$' | sed -n 21p)
truncate -s $(((6144 + third) * 512)) out/drive.img
{
	rows A kept | sed 's/^/1\t/'; printf '1\t%s\n' "$gone"
	for f in bridge-mods_shrink-a-lot.jpg tree.zip damaged.zip; do printf '1\tA\t/%s\t%s\t%s\n' $f "$(stat -c %s $f)" "$(sha256sum < $f | cut -d' ' -f1)"; done
	rows E kept | sed 's/^E/1\tE/; s|E\t/|E\t/tree.zip!/|'
	rows E kept | sed 's/^E/1\tE/; s|E\t/|E\t/damaged.zip!/|; /timetable/s/\t[0-9a-f]*$/\tunreadable/'
	rows A kept | sed 's/^/2\t/'; printf '2\t%s\n' "$gone"
	for f in timetable.txt:ferry/timetable.txt table.bin:- notes.txt:-; do
		from=${f#*:}; name=${f%:*}; size=$(stat -c %s "$(find kept -name "$name")")
		if [ "$from" = - ]; then sum=unreadable; else sum=$(sha256sum < "kept/$from" | cut -d' ' -f1); fi
		printf '3\tA\t/%s\t%s\t%s\n' "$name" "$size" "$sum"
	done
} > out/drive.tsv
ls -la out
