#!/usr/bin/env python3
"""Writes digests.tsv: algorithm, source of the answer, message (hexadecimal), how often it is repeated, digest.

The answers of standards are copied from their texts; those of the lengths at which padding
changes are OpenSSL's. Each is held against OpenSSL before it is written."""
import subprocess

FIPS = "FIPS 180-4, NIST examples"
RFC = "RFC 1321, A.5"
TWO = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
FOUR = "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
STANDARD = [
    ("md5", RFC, "", 1, "d41d8cd98f00b204e9800998ecf8427e"),
    ("md5", RFC, "a", 1, "0cc175b9c0f1b6a831c399e269772661"),
    ("md5", RFC, "abc", 1, "900150983cd24fb0d6963f7d28e17f72"),
    ("md5", RFC, "message digest", 1, "f96b697d7cb7938d525a2f31aaf161d0"),
    ("md5", RFC, "abcdefghijklmnopqrstuvwxyz", 1, "c3fcd3d76192e4007dfb496cca67e13b"),
    ("md5", RFC, LETTERS, 1, "d174ab98d277d9f5a5611c2c9f419d9f"),
    ("md5", RFC, "1234567890", 8, "57edf4a22be3c955ac49da2e2107b67a"),
    ("sha1", FIPS, "abc", 1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
    ("sha1", FIPS, TWO, 1, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
    ("sha1", "RFC 3174, 7.3", "a", 1000000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
    ("sha1", "RFC 3174, 7.3", "0123456701234567012345670123456701234567012345670123456701234567", 10, "dea356a2cddd90c7a7ecedc5ebb563934f460452"),
    ("sha256", FIPS, "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ("sha256", FIPS, TWO, 1, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
    ("sha256", FIPS, "a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ("sha512", FIPS, "abc", 1, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"),
    ("sha512", FIPS, FOUR, 1, "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909"),
    ("sha512", FIPS, "a", 1000000, "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973ebde0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b"),
]


def openssl(algorithm, message):
    return subprocess.run(["openssl", "dgst", "-" + algorithm, "-r"], input=message, capture_output=True, check=True).stdout.split()[0].decode()


def main():
    version = " ".join(subprocess.run(["openssl", "version"], capture_output=True, check=True, text=True).stdout.split()[:2])
    rows = [(a, s, m.encode(), n, d) for a, s, m, n, d in STANDARD]
    for algorithm in "md5", "sha1", "sha256", "sha512":
        for length in 55, 56, 63, 64, 65, 111, 112, 127, 128, 129:
            message = bytes((7 * i + length) % 256 for i in range(length))
            rows.append((algorithm, version, message, 1, openssl(algorithm, message)))
    with open("digests.tsv", "w") as out:
        for algorithm, source, message, times, digest in rows:
            assert openssl(algorithm, message * times) == digest, (algorithm, message, times)
            out.write("\t".join((algorithm, source, message.hex(), str(times), digest)) + "\n")


main()
