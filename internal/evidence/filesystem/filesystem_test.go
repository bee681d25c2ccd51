package filesystem

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// TestNames holds which reader opens which volume, and that no other does.
func TestNames(t *testing.T) {
	for image, want := range map[string]string{
		"fslib/fat16.dd": "fat16", "fslib/fat32.dd": "fat32", "velocidex/fat12.dd": "fat12", "fslib/exfat.dd": "exfat",
		"fslib/ntfs.dd": "ntfs", "fslib/ext2.dd": "ext2", "fslib/ext3.dd": "ext3", "fslib/ext4.dd": "ext4",
		"fslib/hfs+.dd": "hfs+", "dfvfs/test_data/apfs.raw": "apfs", "xfs/image.xfs": "xfs",
		"diskfs/file.sqs": "squashfs", "diskfs/rockridge.iso": "iso9660",
	} {
		src := evidencetest.Source(evidencetest.Image(t, image))
		fs, name, err := Open(src, "")
		if err != nil || name != want {
			t.Errorf("%s: %q %v, want %s", image, name, err, want)
			continue
		}
		for _, r := range readers() {
			_, other, err := Open(src, r.name)
			if err == nil && other != name || err != nil && !errors.Is(err, evidence.ErrNotThis) {
				t.Errorf("%s: reader %s says %q, %v", image, r.name, other, err)
			}
		}
		_ = fs
	}
	if _, name, err := Open(evidencetest.Source(make([]byte, 1<<20)), ""); !errors.Is(err, evidence.ErrNotThis) || name != "" {
		t.Errorf("zeros: %q %v", name, err)
	}
}

// TestBridge holds that a disc with two trees is listed once, and completely.
func TestBridge(t *testing.T) {
	image := evidencetest.Image(t, "testdata/bridge")
	hide(t, image, "\bonly.txt")
	src := evidencetest.Source(image)
	fs, name, err := Open(src, "")
	if err != nil || name != "udf" {
		t.Fatalf("%q %v", name, err)
	}
	var paths []string
	for _, e := range evidencetest.List(t, fs) {
		if e.Kind == tutela.File && e.State == tutela.Allocated {
			paths = append(paths, e.Chain[0].Layer+" "+string(e.Path))
		}
		for _, f := range e.Findings {
			t.Errorf("%s: %s", e.Path, f)
		}
	}
	if got, want := strings.Join(paths, "\n"), "udf /both.txt\nudf /sub/a long name in both trees.txt\nrockridge /only.txt"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// hide marks a name of the UDF tree as deleted: a File Identifier Descriptor
// (ECMA-167 4/14.4), whose name begins at byte 38 and whose tag holds a CRC of
// what follows it.
func hide(t *testing.T, image []byte, name string) {
	at := bytes.Index(image, []byte(name)) - 38
	if at < 0 || image[at] != 1 || image[at+1] != 1 {
		t.Fatalf("no descriptor for %q", name)
	}
	fid := image[at:]
	fid[18] |= 1 << 2
	length := binary.LittleEndian.Uint16(fid[10:])
	binary.LittleEndian.PutUint16(fid[8:], crc(fid[16:16+length]))
	fid[4] = 0
	var sum byte
	for _, b := range fid[:16] {
		sum += b
	}
	fid[4] = sum
}

// crc is CRC-16 with the polynomial x¹⁶+x¹²+x⁵+1, from zero (ECMA-167 1/7.2.6).
func crc(b []byte) (c uint16) {
	for _, v := range b {
		c ^= uint16(v) << 8
		for range 8 {
			if c&0x8000 != 0 {
				c = c<<1 ^ 0x1021
			} else {
				c <<= 1
			}
		}
	}
	return c
}
