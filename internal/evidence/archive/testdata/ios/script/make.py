#!/usr/bin/env python3
"""Writes Manifest.db, Manifest.mbdb and three Manifest.plist into the folder above."""
import hashlib, plistlib, sqlite3, struct, pathlib
from plistlib import UID

here = pathlib.Path(__file__).parent.parent
FILES = [  # domain, path, kind, content or target
    ("CameraRollDomain", "Media/DCIM/100APPLE/IMG_0001.JPG", 1, b"\xff\xd8\xff\xe0 picture one"),
    ("CameraRollDomain", "Media/DCIM/100APPLE/IMG_0002.PNG", 1, b"\x89PNG\r\n\x1a\n picture two"),
    ("CameraRollDomain", "Media/DCIM", 2, b""),
    ("HomeDomain", "Library/SMS/sms.db-link", 4, b"sms.db"),
    ("AppDomain-org.example", "Documents/größe.bin", 1, b"some bytes"),
    ("HomeDomain", "Library/gone.txt", 1, b"not in the folder"),
    ("HomeDomain", "Library/short.txt", 1, b"longer in the manifest than in the folder"),
    ("KeychainDomain", "keychain-backup.plist", 1, b"locked"),
]


def file_id(domain, path):
    return hashlib.sha1(f"{domain}-{path}".encode()).hexdigest()


def mbfile(domain, path, kind, content):
    root = {"$class": UID(3), "LastModified": 1500000000, "LastStatusChange": 1500000001, "Birth": 1400000000, "Flags": 0,
            "Size": len(content) if kind == 1 else 0, "Mode": 33188, "RelativePath": UID(2), "InodeNumber": 7, "ProtectionClass": 3}
    objects = ["$null", root, path, {"$classname": "MBFile", "$classes": ["MBFile", "NSObject"]}]
    if kind == 4:
        root["Target"] = UID(len(objects))
        objects.append(content.decode())
    if domain == "KeychainDomain":
        root["EncryptionKey"] = UID(len(objects))
        objects.append({"NS.data": b"k" * 44, "$class": UID(3)})
    return plistlib.dumps({"$version": 100000, "$archiver": "NSKeyedArchiver", "$top": {"root": UID(1)}, "$objects": objects}, fmt=plistlib.FMT_BINARY)


def database():
    path = here / "Manifest.db"
    path.unlink(missing_ok=True)
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE Files (fileID TEXT PRIMARY KEY, domain TEXT, relativePath TEXT, flags INTEGER, file BLOB)")
    db.execute("CREATE TABLE Properties (key TEXT PRIMARY KEY, value BLOB)")
    for f in FILES:
        db.execute("INSERT INTO Files VALUES (?,?,?,?,?)", (file_id(f[0], f[1]), f[0], f[1], f[2], mbfile(*f)))
    db.execute("INSERT INTO Files VALUES ('../../etc/passwd', 'HomeDomain', 'evil', 1, NULL)")
    db.execute("INSERT INTO Properties VALUES ('salt', x'000102030405060708090a0b0c0d0e0f')")
    db.commit()


def mbdb():
    text = lambda b: b"\xff\xff" if b is None else struct.pack(">H", len(b)) + b
    out = b"mbdb\x05\x00"
    for domain, path, kind, content in FILES:
        mode = {1: 0x81A4, 2: 0x41ED, 4: 0xA1ED}[kind]
        out += text(domain.encode()) + text(path.encode()) + text(content if kind == 4 else None) + text(None)
        out += text(b"k" * 40 if domain == "KeychainDomain" else None)
        out += struct.pack(">HQIIIIIQBB", mode, 7, 501, 501, 1500000000, 1500000002, 1500000001, len(content) if kind == 1 else 0, 3, 1)
        out += text(b"com.apple.example") + text(b"\x00value")
    (here / "Manifest.mbdb").write_bytes(out)


def plists():
    facts = {"BackupKeyBag": b"b" * 64, "Version": "10.0", "IsEncrypted": True, "Lockdown": {"IsEncrypted": False, "DeviceName": "telephone"}}
    (here / "locked.plist").write_bytes(plistlib.dumps(facts, fmt=plistlib.FMT_BINARY, sort_keys=False))
    (here / "lockedxml.plist").write_bytes(plistlib.dumps(facts, sort_keys=False))
    (here / "open.plist").write_bytes(plistlib.dumps(dict(facts, IsEncrypted=False), fmt=plistlib.FMT_BINARY, sort_keys=False))


database(), mbdb(), plists()
