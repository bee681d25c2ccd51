#!/usr/bin/env python3
"""Makes the test images of this folder: as root, on Linux, with e2fsprogs.

Each image is packed as NAME.gz; NAME.truth.tsv tells what was written to it (A)
and what was deleted again (D): path, size, SHA-256, noted while writing. With
names of images as arguments it makes those only.
"""
import gzip, hashlib, os, shutil, socket, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
WORK = tempfile.mkdtemp()
MNT = os.path.join(WORK, "mnt")


def wanted(name):
    return not sys.argv[1:] or name in sys.argv[1:]


def run(*args):
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def text(name, size):
    line = name.encode() + b" line %d\n"
    return b"".join(line % i for i in range(size // len(line) + 1))[:size].ljust(size, b".")


class Image:
    def __init__(self, name, size, *options):
        self.name, self.path = name, os.path.join(WORK, name)
        self.live, self.gone = {}, {}
        with open(self.path, "wb") as f:
            f.truncate(size)
        run("mke2fs", "-F", "-q", *options, self.path)

    def mount(self):
        os.makedirs(MNT, exist_ok=True)
        run("mount", "-o", "loop", self.path, MNT)

    def umount(self):
        run("umount", MNT)

    def write(self, name, size, sync=False):
        path, data = os.path.join(MNT, name), text(name, size)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
            if sync:
                f.flush()
                os.fsync(f.fileno())
        self.live[name] = data

    def note(self, name):
        with open(os.path.join(MNT, name), "rb") as f:
            self.live[name] = f.read()

    def remove(self, name):
        os.unlink(os.path.join(MNT, name))
        self.gone[name] = self.live.pop(name)

    def remove_tree(self, name):
        shutil.rmtree(os.path.join(MNT, name))
        for n in [n for n in self.live if n.startswith(name + "/")]:
            self.gone[n] = self.live.pop(n)

    def copy(self):
        """Takes the image as it is now, mounted or not."""
        os.sync()
        shutil.copy(self.path, self.path + ".copy")

    def pack(self, source=None):
        with open(source or self.path, "rb") as f, open(os.path.join(HERE, self.name + ".gz"), "wb") as out:
            with gzip.GzipFile("", "wb", 9, out, 0) as z:
                shutil.copyfileobj(f, z)
        with open(os.path.join(HERE, self.name + ".truth.tsv"), "w", errors="surrogateescape") as f:
            for state, files in ("A", self.live), ("D", self.gone):
                for name, data in sorted(files.items()):
                    f.write("%s\t%s\t%d\t%s\n" % (state, name, len(data), hashlib.sha256(data).hexdigest()))


def everything(img, extents):
    """What a live volume can hold."""
    for size in 0, 1, 59, 60, 61, 100, 155, 156, 200, 1023, 1024, 1025, 5000, 70000:
        img.write("sizes/%d" % size, size)
    img.write("sizes/large", 400000)
    with open(os.path.join(MNT, "sparse"), "wb") as f:
        f.seek(30000); f.write(b"x" * 500); f.seek(120000); f.write(b"y" * 10); f.truncate(150000)
    img.note("sparse")
    if extents:
        path = os.path.join(MNT, "unwritten")
        run("fallocate", "-l", "20000", path)
        with open(path, "r+b") as f:
            f.seek(5000); f.write(b"written")
        img.note("unwritten")
        path = os.path.join(MNT, "reserved")
        open(path, "w").close()
        run("fallocate", "-n", "-l", "30000", path)
        with open(path, "r+b") as f:
            f.write(b"hello")
        img.note("reserved")
    with open(os.path.join(MNT, "fragments"), "wb") as f:
        for i in range(400):
            f.seek(i * 2 * 1024); f.write(b"%d" % i)
    img.note("fragments")
    for i in range(400):
        img.write("many/a-file-with-a-rather-long-name-%04d" % i, 0 if i % 20 else 10)
    img.write("n" * 255, 5)
    img.write("deep/" + "/".join("d%d" % i for i in range(30)) + "/leaf", 40)
    os.link(os.path.join(MNT, "sizes/5000"), os.path.join(MNT, "hard link"))
    img.note("hard link")
    for target in "short", "t" * 59, "t" * 60, "u" * 200:
        os.symlink(target, os.path.join(MNT, "link%d" % len(target)))
    os.mkfifo(os.path.join(MNT, "fifo"))
    os.mknod(os.path.join(MNT, "block"), 0o60600, os.makedev(8, 1))
    os.mknod(os.path.join(MNT, "character"), 0o20600, os.makedev(300, 70000))
    with open(os.path.join(os.fsencode(MNT), b"\xff\xfe raw"), "wb") as f:
        f.write(b"raw")
    img.note(os.fsdecode(b"\xff\xfe raw"))
    os.chdir(MNT)
    socket.socket(socket.AF_UNIX).bind("socket")
    os.chdir(HERE)
    os.setxattr(os.path.join(MNT, "sizes/100"), "user.note", b"v" * 20)
    os.setxattr(os.path.join(MNT, "sizes/1"), "user.note", b"v" * 700)


def live(name, size, *options, extents=True):
    if not wanted(name):
        return
    img = Image(name, size, *options)
    img.mount()
    everything(img, extents)
    img.umount()
    img.pack()


def deleted(name, size, *options, opened=False):
    if not wanted(name):
        return
    img = Image(name, size, *options)
    img.mount()
    for i in range(8):
        img.write("a/f%d" % i, 1000 * i * i + 50)
    for i in range(6):
        img.write("tree/sub/g%d.jpg" % i, 3000 + i * 2000)
    img.write("tree/h.txt", 100)
    img.write("large", 300000)
    img.write("reused", 5000)
    img.write("keep/old name", 3000)
    for i in range(20):  # more extents than an inode holds
        with open(os.path.join(MNT, "fragments"), "ab") as f:
            f.write(text("fragments %d" % i, 4096)); f.flush(); os.fsync(f.fileno())
        img.write("between/%d" % i, 4096, sync=True)
    img.note("fragments")
    os.sync()
    for n in "a/f0", "a/f3", "a/f6", "large", "fragments":
        img.remove(n)
    img.remove_tree("tree")
    os.sync()
    img.remove("reused")
    os.rename(os.path.join(MNT, "keep/old name"), os.path.join(MNT, "keep/new name"))
    img.live["keep/new name"] = img.live.pop("keep/old name")
    os.sync()
    img.write("new", 6000)
    os.sync()
    if not opened:
        img.umount()
        img.pack()
        return
    for i in range(3):
        img.write("open/o%d" % i, 900 + i * 20000)
    os.sync()
    held = [open(os.path.join(MNT, "open/o%d" % i), "rb") for i in range(3)]
    for i in range(3):
        img.remove("open/o%d" % i)
    img.copy()
    del held
    img.umount()
    img.pack(img.path + ".copy")


def undelete():
    """ext2 as it deletes: names and block numbers stay."""
    if not wanted("undelete.ext2"):
        return
    img = Image("undelete.ext2", 2 << 20, "-t", "ext2", "-b", "1024")
    img.mount()
    for n, size in ("a", 100), ("b", 5000), ("c", 40000), ("d", 400000), ("sub/e", 12345), ("gone/x", 3000), ("gone/y", 300):
        img.write(n, size)
    img.umount()
    for n in "a", "c", "d", "sub/e", "gone/x", "gone/y":
        run("debugfs", "-w", "-R", "rm " + n, img.path)
        img.gone[n] = img.live.pop(n)
    run("debugfs", "-w", "-R", "rmdir gone", img.path)
    img.pack()


def encrypted():
    if not wanted("encrypted.ext4"):
        return
    img = Image("encrypted.ext4", 2 << 20, "-t", "ext4", "-b", "4096", "-O", "encrypt,^has_journal")
    img.mount()
    secret = os.path.join(MNT, "secret")
    os.mkdir(secret)
    subprocess.run(["e4crypt", "add_key", "-S", "0x1234567890abcdef", secret], input=b"pw\n", check=True, stdout=subprocess.DEVNULL)
    for n, size in ("secret/one.txt", 7), ("secret/folder/two", 5000):
        img.write(n, size)
        del img.live[n]
    os.symlink("target", os.path.join(secret, "link"))
    img.write("plain", 100)
    img.umount()
    img.pack()


def populated(name, size, *options):
    """Written by mke2fs itself: the kernel does not mount every block size."""
    if not wanted(name):
        return
    tree = os.path.join(WORK, "tree")
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(tree + "/folder")
    files = {n: text(n, size) for n, size in (("empty", 0), ("small", 100), ("folder/large", 400000))}
    for n, data in files.items():
        with open(os.path.join(tree, n), "wb") as f:
            f.write(data)
    img = Image(name, size, "-d", tree, *options)
    img.live = files
    img.pack()


live("inline.ext4", 6 << 20, "-t", "ext4", "-b", "1024", "-I", "256", "-O", "inline_data,64bit,metadata_csum,large_dir", "-N", "1024")
live("groups.ext4", 6 << 20, "-t", "ext4", "-b", "1024", "-g", "512", "-O", "meta_bg,^resize_inode,^has_journal", "-N", "1400")
live("bigalloc.ext4", 12 << 20, "-t", "ext4", "-b", "4096", "-O", "bigalloc,^has_journal", "-C", "16384", "-N", "1024")
live("crc16.ext4", 6 << 20, "-t", "ext4", "-b", "2048", "-O", "^metadata_csum,uninit_bg,^has_journal,sparse_super2", "-N", "1024", "-I", "128")
live("blocks.ext3", 6 << 20, "-t", "ext3", "-b", "1024", "-N", "1024", extents=False)
live("blocks4k.ext2", 8 << 20, "-t", "ext2", "-b", "4096", "-N", "1024", extents=False)
populated("block64k.ext4", 24 << 20, "-t", "ext4", "-b", "65536", "-O", "^has_journal,^resize_inode", "-N", "64")
populated("block64k.ext2", 24 << 20, "-t", "ext2", "-b", "65536", "-O", "^resize_inode", "-N", "64")
populated("backup.ext4", 20 << 20, "-t", "ext4", "-b", "1024", "-O", "^has_journal", "-N", "96")
deleted("deleted.ext4", 6 << 20, "-t", "ext4", "-b", "1024", "-N", "256")
deleted("deleted.ext3", 6 << 20, "-t", "ext3", "-b", "1024", "-N", "256")
deleted("inlinedeleted.ext4", 12 << 20, "-t", "ext4", "-b", "4096", "-O", "inline_data", "-N", "256")
deleted("open.ext4", 6 << 20, "-t", "ext4", "-b", "1024", "-N", "256", "-O", "orphan_file", opened=True)
deleted("open.ext3", 6 << 20, "-t", "ext3", "-b", "1024", "-N", "256", opened=True)
undelete()
encrypted()
shutil.rmtree(WORK)
