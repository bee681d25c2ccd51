#!/bin/sh
# Makes the encrypted volumes of the tests: pattern.img is the 128 KiB that
# evidencetest.Pattern draws, fat.img a FAT file system of 128 KiB. Needs cryptsetup,
# qemu-img, mkfs.fat and mtools; root is not needed.
set -e
printf 'open sesame' >key
rm -f fat.img
mkfs.fat -C -n SEALED -i 20260101 fat.img 128
printf 'Two crates, quay 4, Tuesday.\n' >notes.txt
seq 1 4000 >numbers.txt
mcopy -i fat.img notes.txt numbers.txt ::

# encrypt CONTENT NAME OPTIONS: cryptsetup moves the content behind a header.
encrypt() {
	content=$1 name=$2
	shift 2
	cp "$content" "$name"
	truncate -s +2M "$name"
	cryptsetup reencrypt --encrypt --batch-mode --type luks2 --reduce-device-size 2M --key-file key "$@" "$name"
	# what is behind the content is encrypted nothing
	truncate -s $((1048576 + $(stat -c %s "$content"))) "$name"
	gzip -9nf "$name"
}
encrypt fat.img fat.luks2 --cipher aes-xts-plain64 --key-size 256 --luks2-keyslots-size 256k \
	--pbkdf argon2id --pbkdf-memory 32768 --pbkdf-parallel 1 --pbkdf-force-iterations 4
encrypt pattern.img pattern4096.luks2 --cipher aes-cbc-essiv:sha256 --key-size 128 --luks2-keyslots-size 256k --sector-size 4096 \
	--pbkdf pbkdf2 --hash sha512 --pbkdf-force-iterations 1000
qemu-img convert -q --object secret,id=s,file=key \
	-O luks -o key-secret=s,cipher-alg=aes-128,cipher-mode=cbc,ivgen-alg=essiv,ivgen-hash-alg=sha256,hash-alg=sha256,iter-time=100 pattern.img pattern.luks1
gzip -9nf pattern.luks1
sha256sum fat.img pattern.img
rm -f notes.txt numbers.txt key
