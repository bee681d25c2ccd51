package ext

import (
	"bytes"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidencetest"
)

// list is what a damaged copy of an image holds; hurt damages it.
func list(t *testing.T, name string, hurt func(fs *FileSystem, img []byte) []byte) []evidencetest.Entry {
	t.Helper()
	img := bytes.Clone(evidencetest.Image(t, name))
	fs, err := Open(evidencetest.Source(bytes.Clone(img)))
	if err != nil {
		t.Fatal(err)
	}
	img = hurt(fs, img)
	return evidencetest.List(t, evidencetest.MustOpen(t, open, evidencetest.Source(img)))
}

// says reports whether an entry has a finding whose detail contains a text.
func says(all []evidencetest.Entry, path, code, detail string) bool {
	for i := range all {
		if string(all[i].Path) != path {
			continue
		}
		for _, f := range all[i].Findings {
			if f.Code == code && strings.Contains(f.Detail, detail) {
				return true
			}
		}
	}
	return false
}

// whole holds a listing against what was written to the image.
func whole(t *testing.T, name string, all []evidencetest.Entry) {
	t.Helper()
	rows := evidencetest.Rows(all, tutela.Allocated, tutela.Orphan)
	for line := range strings.Lines(string(evidencetest.Image(t, name+".truth.tsv"))) {
		state, row, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if state == "A" && !rows[row] {
			t.Errorf("missing: %s", row)
		}
	}
}

const backup = "testdata/backup.ext4"

func TestBackupSuperblock(t *testing.T) {
	for what, hurt := range map[string]func(fs *FileSystem, img []byte) []byte{
		"gone":    func(_ *FileSystem, img []byte) []byte { clear(img[:2048]); return img },
		"blocks":  func(_ *FileSystem, img []byte) []byte { img[superOffset+0x18] = 9; return img },
		"counted": func(_ *FileSystem, img []byte) []byte { img[superOffset] ^= 0x40; return img },
	} {
		all := list(t, backup, hurt)
		if !says(all, "/", tutela.FindingBackupTable, "block 8193") {
			t.Errorf("%s: the copy is not told", what)
		}
		whole(t, backup, all)
	}
}

func TestSuperblockChecksum(t *testing.T) {
	all := list(t, backup, func(_ *FileSystem, img []byte) []byte { img[superOffset+0x78] = 'x'; return img })
	if !says(all, "/", tutela.FindingDamaged, "superblock: wrong checksum") {
		t.Error("a wrong checksum is not told")
	}
	whole(t, backup, all)
}

func TestBackupDescriptors(t *testing.T) {
	all := list(t, backup, func(fs *FileSystem, img []byte) []byte {
		clear(img[fs.descriptorBlock(0)*fs.block:][:fs.block])
		return img
	})
	if !says(all, "/", tutela.FindingBackupTable, "group descriptors taken from the copy") {
		t.Error("the copy is not told")
	}
	whole(t, backup, all)
}

func TestDescriptorChecksum(t *testing.T) {
	all := list(t, backup, func(fs *FileSystem, img []byte) []byte { img[fs.descriptorBlock(0)*fs.block+0xc] ^= 1; return img })
	if !says(all, "/", tutela.FindingDamaged, "wrong checksum") {
		t.Error("a wrong checksum is not told")
	}
	whole(t, backup, all)
}

func TestInodeChecksum(t *testing.T) {
	all := list(t, backup, func(fs *FileSystem, img []byte) []byte {
		block, within, _ := fs.place(14)
		img[block*fs.block+within+2] ^= 1
		return img
	})
	var told int
	for i := range all {
		if says(all[i:i+1], string(all[i].Path), tutela.FindingDamaged, "inode has a wrong checksum") {
			told++
		}
	}
	if told != 1 {
		t.Errorf("%d wrong checksums told", told)
	}
	whole(t, backup, all)
}

// TestLostRoot: without the root directory every file is an orphan, with its
// content.
func TestLostRoot(t *testing.T) {
	all := list(t, backup, func(fs *FileSystem, img []byte) []byte {
		block, within, _ := fs.place(inodeRoot)
		clear(img[block*fs.block+within:][:fs.inodeBytes])
		return img
	})
	if !says(all, "/", tutela.FindingDamaged, "no root") {
		t.Error("the lost root is not told")
	}
	want := map[string]bool{}
	for line := range strings.Lines(string(evidencetest.Image(t, backup+".truth.tsv"))) {
		want[strings.Split(strings.TrimSpace(line), "\t")[3]] = true
	}
	for i := range all {
		delete(want, all[i].SHA256.String())
	}
	if len(want) > 0 {
		t.Errorf("%d contents are gone", len(want))
	}
}

// TestCutOff: what lies behind the end of the image cannot be read, and is said
// to.
func TestCutOff(t *testing.T) {
	img := evidencetest.Image(t, "fslib/ext4.dd")
	all := evidencetest.List(t, evidencetest.MustOpen(t, open, evidencetest.Source(img[:16<<20])))
	if !says(all, "/", tutela.FindingTruncated, "only 16777216 are here") {
		t.Error("the missing end is not told")
	}
	if !says(all, "/image/alps.tiff", tutela.FindingTruncated, "") {
		t.Error("the file's missing end is not told")
	}
	for i := range all {
		if e := &all[i]; string(e.Path) == "/image/alps.tiff" && (e.Failure == nil || e.Bytes != 16<<20-14681088) {
			t.Errorf("%d bytes, then %v", e.Bytes, e.Failure)
		}
	}
}

// TestLostExtents: a leaf of an extent tree that cannot be read takes its blocks
// with it, and nothing else.
func TestLostExtents(t *testing.T) {
	all := list(t, "testdata/inline.ext4", func(fs *FileSystem, img []byte) []byte {
		for n := fs.firstInode; n <= fs.inodes; n++ {
			in, _ := fs.inode(n)
			if in.kind() == modeFile && in.is(flagExtents) && le16(in.area(), 6) > 0 {
				leaf := int64(le32(in.area(), 12+4))
				clear(img[leaf*fs.block:][:fs.block])
				return img
			}
		}
		t.Fatal("no tree")
		return nil
	})
	if !says(all, "/fragments", tutela.FindingDamaged, "extent tree") {
		t.Error("the lost leaf is not told")
	}
	for i := range all {
		if e := &all[i]; string(e.Path) == "/fragments" && e.Failure == nil {
			t.Error("the lost blocks are read as if they were there")
		}
	}
}

// TestLoop: a directory that is inside itself is listed once.
func TestLoop(t *testing.T) {
	all := list(t, "testdata/blocks4k.ext2", func(fs *FileSystem, img []byte) []byte {
		in, _ := fs.inode(inodeRoot)
		root := img[int64(le32(in.area(), 0))*fs.block:][:fs.block]
		for _, d := range fs.entries(root, false).live {
			if d.name == "deep" {
				root[d.at], root[d.at+1] = inodeRoot, 0
			}
		}
		return img
	})
	if !says(all, "/deep", tutela.FindingLoop, "") {
		t.Error("the loop is not told")
	}
}
