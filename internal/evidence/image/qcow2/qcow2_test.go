package qcow2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

const diskBytes = 3147264

func openImage(st evidence.Storage, name string) (evidence.File, error) { return Open(st, name) }

// storage holds the images of testdata, and the raw disk that was written to
// them.
func storage(t testing.TB, names ...string) evidencetest.Storage {
	st := evidencetest.Storage{"disk.raw": evidencetest.Pattern(diskBytes)}
	for _, name := range names {
		st[name] = evidencetest.Image(t, "testdata/"+name)
	}
	return st
}

// edited is the disk after what make.sh writes over it.
func edited() []byte {
	disk := evidencetest.Pattern(diskBytes)
	copy(disk[102400:], bytes.Repeat([]byte{0x5a}, 71680))
	clear(disk[1048576:][:131072])
	copy(disk[3145728:], bytes.Repeat([]byte{0xa5}, 1024))
	return disk
}

func mustOpen(t testing.TB, st evidence.Storage, name string) *Disk {
	t.Helper()
	d, err := Open(st, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestDisks(t *testing.T) {
	plain := evidencetest.Pattern(diskBytes)
	larger := make([]byte, 4<<20)
	copy(larger, edited())
	for name, want := range map[string][]byte{
		"v2": plain, "v3": plain, "cluster512": plain, "cluster2m": plain, "deflate": plain, "zstd": plain, "metadata": plain,
		"zero": edited(), "subclusters": edited(), "child": edited(), "rawchild": edited(), "subchild": edited(), "snapshot": edited(),
		"larger": larger,
	} {
		t.Run(name, func(t *testing.T) {
			st := storage(t, "v3.qcow2", "child.qcow2", name+".qcow2")
			evidencetest.SameDisk(t, mustOpen(t, st, name+".qcow2"), want)
		})
	}
}

func TestHugeDisk(t *testing.T) {
	d := mustOpen(t, storage(t, "huge.qcow2"), "huge.qcow2")
	evidencetest.HugeDisk(t, d, tutela.Run{Offset: 9 << 40, Length: 65536})
}

// One ext2 volume lies in several containers; this is the digest of its bytes.
func TestPublicImages(t *testing.T) {
	for name, want := range map[string]string{
		"ext2.qcow2":           "a6c2f0e39afe6c6ab432ca5465349fcefe8dc944398e97b2d957d3f89dbb5d80",
		"windows_volume.qcow2": "44abe9deca9658f331a2bdba2deb53192d04f35d157a1fb3ba0597b03f0524f2",
	} {
		d := mustOpen(t, evidencetest.Storage{name: evidencetest.Image(t, "dfvfs/test_data/"+name)}, name)
		if got := evidencetest.DiskSum(t, d); got != want {
			t.Errorf("%s: sha256 %s, want %s", name, got, want)
		}
	}
}

func TestRefusedByName(t *testing.T) {
	for name, words := range map[string]string{
		"luks":     "encrypted with LUKS",
		"external": "external data file",
		"child":    `"v3.qcow2" is not beside it`,
	} {
		_, err := Open(storage(t, name+".qcow2"), name+".qcow2")
		if !errors.Is(err, evidence.ErrUnsupported) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(storage(t, "child.qcow2"), "child.qcow2"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a parent that is not there: %v", err)
	}
	if _, err := Open(storage(t), "disk.raw"); !errors.Is(err, evidence.ErrNotThis) {
		t.Errorf("a raw image: %v", err)
	}
	if _, err := Open(evidencetest.Storage{"empty": nil}, "empty"); !errors.Is(err, evidence.ErrNotThis) {
		t.Errorf("an empty file: %v", err)
	}
}

func TestHeadersRefused(t *testing.T) {
	good := evidencetest.Image(t, "testdata/v3.qcow2")
	for words, change := range map[string]func(b []byte){
		"encrypted with AES":    func(b []byte) { binary.BigEndian.PutUint32(b[32:], 1) },
		"version 1 not read":    func(b []byte) { b[7] = 1 },
		"version 9 not read":    func(b []byte) { b[7] = 9 },
		"features 0x20":         func(b []byte) { b[79] = 0x20 },
		"clusters of 2^8":       func(b []byte) { b[23] = 8 },
		"a disk of":             func(b []byte) { b[24] = 0x80 },
		"compression type 7":    func(b []byte) { b[104] = 7 },
		"L1 table at":           func(b []byte) { b[40] = 1 },
		"backing file of 65536": func(b []byte) { b[15], b[17] = 100, 1 },
	} {
		b := bytes.Clone(good)
		change(b)
		_, err := Open(evidencetest.Storage{"x": b}, "x")
		if err == nil || errors.Is(err, evidence.ErrNotThis) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}

// A backing file that has no format of its own is what its bytes are, and one
// that lies on a server is refused.
func TestBackingFormats(t *testing.T) {
	child := evidencetest.Image(t, "testdata/rawchild.qcow2")
	noFormat := bytes.Replace(child, []byte("\xe2\x79\x2a\xca"), []byte("\x12\x34\x56\x78"), 1)
	st := storage(t)
	st["x"] = noFormat
	evidencetest.SameDisk(t, mustOpen(t, st, "x"), edited())

	st["disk.raw"] = append([]byte("conectix"), st["disk.raw"]...)
	if _, err := Open(st, "x"); !errors.Is(err, evidence.ErrUnsupported) || !strings.Contains(err.Error(), "is a vhd image") {
		t.Errorf("a VHD below: %v", err)
	}
	st["x"] = bytes.Replace(child, []byte("disk.raw"), []byte("nbd:h:10"), 1)
	if _, err := Open(st, "x"); !errors.Is(err, evidence.ErrUnsupported) {
		t.Errorf("a server below: %v", err)
	}
	for name, want := range map[string]bool{"nbd://h/d": true, "json:{}": true, `C:\a\b.img`: false, "/a/b:c.img": false, "file:x.img": false, "x.img": false} {
		if got := (&header{backing: name}).elsewhere(); got != want {
			t.Errorf("%s lies elsewhere: %v", name, got)
		}
	}
}

func TestItsOwnParentEnds(t *testing.T) {
	st := evidencetest.Storage{"v3.qcow2": evidencetest.Image(t, "testdata/child.qcow2")}
	if _, err := Open(st, "v3.qcow2"); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("an image that is its own parent: %v", err)
	}
}

func TestSnapshotsAreNamed(t *testing.T) {
	d := mustOpen(t, storage(t, "snapshot.qcow2"), "snapshot.qcow2")
	if all := d.Snapshots(); len(all) != 1 || all[0].Name != "before the edit" || all[0].ID != "1" {
		t.Errorf("snapshots %v", all)
	}
	if notes := d.Notes(); len(notes) != 1 || notes[0].Code != tutela.FindingSnapshot {
		t.Errorf("notes %v", notes)
	}
}

// clusters are the entries of the first L2 table that are not 0.
func clusters(b []byte) map[int64]uint64 {
	l2 := b[binary.BigEndian.Uint64(b[binary.BigEndian.Uint64(b[40:]):])&offsetMask:]
	all := map[int64]uint64{}
	for n := range int64(diskBytes/65536 + 1) {
		if entry := binary.BigEndian.Uint64(l2[8*n:]); entry != 0 {
			all[n] = entry
		}
	}
	return all
}

// What is lost is one cluster, and the next can be read.
func TestBadClusters(t *testing.T) {
	want := evidencetest.Pattern(diskBytes)
	t.Run("cut off", func(t *testing.T) {
		b := evidencetest.Image(t, "testdata/v3.qcow2")
		var last int64
		var end uint64
		for n, entry := range clusters(b) {
			if at := entry & offsetMask; at > end {
				last, end = n, at
			}
		}
		d := mustOpen(t, evidencetest.Storage{"x": b[:end+1000]}, "x")
		lost := tutela.Run{Offset: last*65536 + 1000, Length: min(65536, diskBytes-last*65536) - 1000}
		evidencetest.Lost(t, d, want, lost)
	})
	t.Run("does not inflate", func(t *testing.T) {
		b := evidencetest.Image(t, "testdata/deflate.qcow2")
		for n, entry := range clusters(b) {
			damaged := bytes.Clone(b)
			damaged[entry&(1<<54-1)] = 0xff
			d := mustOpen(t, evidencetest.Storage{"x": damaged}, "x")
			evidencetest.Lost(t, d, want, tutela.Run{Offset: n * 65536, Length: min(65536, diskBytes-n*65536)})
		}
	})
}

func hot(b []byte) []tutela.Run {
	return []tutela.Run{{Length: 256}, {Length: 128}, {Offset: 65536, Length: 4 * 65536}, {Length: int64(len(b))}}
}

func TestMutants(t *testing.T) {
	for _, name := range []string{"v3.qcow2", "deflate.qcow2", "zstd.qcow2", "subchild.qcow2", "snapshot.qcow2"} {
		st := storage(t, "v3.qcow2", name)
		good := st[name]
		evidencetest.MutantsOf(t, good, hot(good), func(damaged []byte) {
			st["mutant"] = damaged
			evidencetest.HostileImage(t, openImage, st, "mutant")
		})
	}
}

func FuzzOpen(f *testing.F) {
	st := storage(f, "v3.qcow2", "deflate.qcow2", "subchild.qcow2")
	evidencetest.FuzzImage(f, openImage, st, "v3.qcow2", "deflate.qcow2", "subchild.qcow2")
}
