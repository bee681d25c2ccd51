package vmdk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

const diskBytes = 3147264

func openImage(st evidence.Storage, name string) (evidence.File, error) { return Open(st, name) }

func storage(t testing.TB, names ...string) evidencetest.Storage {
	st := evidencetest.Storage{}
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
	for _, c := range []struct {
		layer string
		names []string // the first is opened
		want  []byte
	}{
		{"vmdk-monolithicSparse", []string{"sparse.vmdk"}, plain},
		{"vmdk-monolithicSparse", []string{"zeroed.vmdk"}, edited()},
		{"vmdk-streamOptimized", []string{"stream.vmdk"}, plain},
		{"vmdk-monolithicFlat", []string{"flat.vmdk", "flat-flat.vmdk"}, plain},
		{"vmdk-twoGbMaxExtentSparse", []string{"split.vmdk", "split-s001.vmdk"}, plain},
		{"vmdk-twoGbMaxExtentFlat", []string{"splitflat.vmdk", "splitflat-f001.vmdk"}, plain},
		{"vmdk-monolithicSparse", []string{"child.vmdk", "sparse.vmdk"}, edited()},
	} {
		t.Run(c.names[0], func(t *testing.T) {
			d := mustOpen(t, storage(t, c.names...), c.names[0])
			evidencetest.SameDisk(t, d, c.want)
			if d.Layer() != c.layer || len(d.Notes()) != 0 || !slices.Equal(d.Names(), c.names) {
				t.Errorf("%s of %v, notes %v", d.Layer(), d.Names(), d.Notes())
			}
		})
	}
}

func TestRenamed(t *testing.T) {
	b := evidencetest.Image(t, "testdata/sparse.vmdk")
	evidencetest.SameDisk(t, mustOpen(t, evidencetest.Storage{"exhibit 7.vmdk": b}, "exhibit 7.vmdk"), evidencetest.Pattern(diskBytes))
}

// One ext2 volume lies in several containers; this is the digest of its bytes.
func TestPublicImage(t *testing.T) {
	d := mustOpen(t, evidencetest.Storage{"x": evidencetest.Image(t, "dfvfs/test_data/ext2.vmdk")}, "x")
	if got := evidencetest.DiskSum(t, d); got != "a6c2f0e39afe6c6ab432ca5465349fcefe8dc944398e97b2d957d3f89dbb5d80" {
		t.Errorf("sha256 %s", got)
	}
}

// text is a descriptor.
func text(kind, rest string) []byte {
	return []byte("# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType=\"" + kind + "\"\n\n# Extent description\n" + rest)
}

// cowd draws an extent as ESX hosts write it, with grains of four sectors of
// which those of zeros are left out.
func cowd(disk []byte) []byte {
	const grain = 4 * sector
	le := binary.LittleEndian
	entries := (len(disk) + grain*4096 - 1) / (grain * 4096)
	b := make([]byte, 5*sector+entries*4096*4)
	copy(b, "COWD")
	for at, v := range map[int]uint32{4: 1, 8: 3, 12: uint32(len(disk) / sector), 16: 4, 20: 4, 24: uint32(entries)} {
		le.PutUint32(b[at:], v)
	}
	for n := range entries {
		le.PutUint32(b[4*sector+4*n:], uint32(5+n*4096*4/sector))
	}
	for n := 0; n*grain < len(disk); n++ {
		data := make([]byte, grain)
		copy(data, disk[n*grain:])
		if !bytes.Equal(data, make([]byte, grain)) {
			le.PutUint32(b[5*sector+4*n:], uint32(len(b)/sector))
			b = append(b, data...)
		}
	}
	return b
}

func TestESXHosts(t *testing.T) {
	disk := evidencetest.Pattern(diskBytes)
	line := fmt.Sprintf("RW %d VMFSSPARSE \"delta.vmdk\"\n", diskBytes/sector)
	st := evidencetest.Storage{
		"snapshot.vmdk": text("vmfsSparse", line), "delta.vmdk": cowd(disk),
		"base.vmdk": text("vmfs", fmt.Sprintf("RW %d VMFS \"base-flat.vmdk\"\n", diskBytes/sector)), "base-flat.vmdk": disk,
	}
	evidencetest.SameDisk(t, mustOpen(t, st, "snapshot.vmdk"), disk)
	evidencetest.SameDisk(t, mustOpen(t, st, "base.vmdk"), disk)

	// A snapshot upon it: what it does not have is the parent's.
	over := make([]byte, diskBytes)
	copy(over[40960:], bytes.Repeat([]byte("new."), 2048))
	st["delta.vmdk"] = cowd(over)
	st["snapshot.vmdk"] = []byte(strings.Replace(string(text("vmfsSparse", line)), "parentCID=ffffffff", "parentCID=12345678\nparentFileNameHint=\"/vmfs/volumes/a/base.vmdk\"", 1))
	want := bytes.Clone(disk)
	copy(want[40960:], over[40960:40960+8192])
	d := mustOpen(t, st, "snapshot.vmdk")
	evidencetest.SameDisk(t, d, want)
	if got := d.Names(); !slices.Equal(got, []string{"snapshot.vmdk", "base.vmdk", "base-flat.vmdk", "delta.vmdk"}) {
		t.Errorf("names %v", got)
	}
}

func TestManyExtents(t *testing.T) {
	disk := evidencetest.Pattern(diskBytes)
	want := slices.Concat(disk[512000:614400], make([]byte, 51200), disk, disk[:512])
	st := storage(t, "split-s001.vmdk")
	st["flat.bin"] = disk
	st["x"] = text("custom", fmt.Sprintf("RW 200 FLAT \"flat.bin\" 1000\nNOACCESS 100 ZERO\nrdonly %d sparse \"C:\\vm\\split-s001.vmdk\"\nRW 1 FLAT \"FLAT.BIN\" 0\n", diskBytes/sector))
	evidencetest.SameDisk(t, mustOpen(t, st, "x"), want)
}

func TestRefusedByName(t *testing.T) {
	child := evidencetest.Image(t, "testdata/child.vmdk")
	for words, st := range map[string]evidencetest.Storage{
		`"sparse.vmdk" is not beside it`:  {"x": child},
		"not the one with the content id": {"x": child, "sparse.vmdk": evidencetest.Image(t, "testdata/zeroed.vmdk")},
		"SESPARSE extents not read":       {"x": text("seSparse", `RW 8 SESPARSE "a"`)},
		"VMFSRDM extents not read":        {"x": text("vmfsRawDeviceMap", `RW 8 VMFSRDM "a"`)},
		"seSparse extents not read":       {"x": text("custom", `RW 8 SPARSE "a"`), "a": []byte(magicSeSparse)},
		"vmdk: encrypted":                 {"x": text("monolithicSparse", "encryption.keySafe = \"vmware:key/list/1\"\n")},
	} {
		if _, err := Open(st, "x"); !errors.Is(err, evidence.ErrUnsupported) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
	if _, err := Open(storage(t, "split.vmdk"), "split.vmdk"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "split-s001.vmdk") {
		t.Errorf("an extent that is not there: %v", err)
	}
	for _, b := range [][]byte{nil, []byte("KDM"), []byte("# Disk descriptor"), make([]byte, 4096)} {
		if _, err := Open(evidencetest.Storage{"x": b}, "x"); !errors.Is(err, evidence.ErrNotThis) {
			t.Errorf("%q: %v", b[:min(len(b), 20)], err)
		}
	}
}

func TestBadDescriptors(t *testing.T) {
	for words, rest := range map[string]string{
		"names no extent":      "",
		"no length":            `RW x FLAT "a" 0`,
		"is no number":         `RW 1 FLAT "a" -1`,
		"no name":              `RW 1 FLAT a 0`,
		"too long":             strings.Repeat("RW 4503599627370495 ZERO\n", 8),
		"extents":              strings.Repeat("RW 1 ZERO\n", maxExtents+1),
		"a descriptor of 1100": strings.Repeat("# padding\n", 110010),
	} {
		_, err := Open(evidencetest.Storage{"x": text("custom", rest)}, "x")
		if err == nil || errors.Is(err, evidence.ErrNotThis) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}

func TestItsOwnParentEnds(t *testing.T) {
	x := text("custom", "RW 1 ZERO\n")
	x = []byte(strings.Replace(string(x), "parentCID=ffffffff", "parentCID=12345678\nparentFileNameHint=\"x\"", 1))
	if _, err := Open(evidencetest.Storage{"x": x}, "x"); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("an image that is its own parent: %v", err)
	}
}

func TestHeadersRefused(t *testing.T) {
	for words, change := range map[string]func(b []byte){
		"version 9":                 func(b []byte) { b[4] = 9 },
		"compression 2":             func(b []byte) { b[10], b[77] = 1, 2 },
		"grains of":                 func(b []byte) { b[20] = 3 },
		"grain tables of":           func(b []byte) { b[44], b[45] = 0, 0 },
		"beyond all bounds":         func(b []byte) { b[19] = 0x80 },
		"no header where one must":  func(b []byte) { copy(b[56:], "\xff\xff\xff\xff\xff\xff\xff\xff") },
		"descriptor: 512 bytes":     func(b []byte) { b[31], b[36], b[37] = 1, 1, 0 },
		"a descriptor of 134217728": func(b []byte) { b[36], b[38] = 0, 4 },
	} {
		b := evidencetest.Image(t, "testdata/sparse.vmdk")
		change(b)
		_, err := Open(evidencetest.Storage{"x": b}, "x")
		if err == nil || errors.Is(err, evidence.ErrNotThis) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}

func TestRedundantDirectory(t *testing.T) {
	want := evidencetest.Pattern(diskBytes)
	b := evidencetest.Image(t, "testdata/sparse.vmdk")
	directory := binary.LittleEndian.Uint64(b[56:]) * sector
	for name, change := range map[string]func(b []byte){
		"table outside":     func(b []byte) { b[directory+3] = 0x7f },
		"directory outside": func(b []byte) { b[61] = 1 },
		"no directory":      func(b []byte) { clear(b[56:64]) },
	} {
		damaged := bytes.Clone(b)
		change(damaged)
		d := mustOpen(t, evidencetest.Storage{"x": damaged}, "x")
		evidencetest.SameDisk(t, d, want)
		if notes := d.Notes(); len(notes) != 1 || notes[0].Code != tutela.FindingBackupTable {
			t.Errorf("%s: notes %v", name, notes)
		}
	}
	b[directory+3] = 0x7f
	b[8] &^= flagRedundant
	d := mustOpen(t, evidencetest.Storage{"x": b}, "x")
	evidencetest.Lost(t, d, want, tutela.Run{Length: diskBytes})
	if notes := d.Notes(); len(notes) != 1 || notes[0].Code != tutela.FindingDamaged {
		t.Errorf("without a redundant one: notes %v", notes)
	}
}

func TestExtentAlone(t *testing.T) {
	disk := evidencetest.Pattern(diskBytes)
	st := storage(t, "split-s001.vmdk")
	st["delta"] = cowd(disk)
	for name := range st {
		d := mustOpen(t, st, name)
		evidencetest.SameDisk(t, d, disk)
		if len(d.Notes()) != 1 || d.Layer() != "vmdk-extent" {
			t.Errorf("%s: %s, notes %v", name, d.Layer(), d.Notes())
		}
	}
}

// grainsOf are the entries of the first grain table that are not 0.
func grainsOf(b []byte) map[int64]int64 {
	le := binary.LittleEndian
	directory := le.Uint64(b[56:]) * sector
	if directory == atFooter-511 {
		directory = le.Uint64(b[len(b)-1024+56:]) * sector
	}
	table := le.Uint32(b[directory:]) * sector
	all := map[int64]int64{}
	for n := range int64(diskBytes/65536 + 1) {
		if at := le.Uint32(b[int64(table)+4*n:]); at != 0 {
			all[n] = int64(at) * sector
		}
	}
	return all
}

// What is lost is a grain, and the next can be read.
func TestBadGrains(t *testing.T) {
	want := evidencetest.Pattern(diskBytes)
	good := evidencetest.Image(t, "testdata/stream.vmdk")
	for n, at := range grainsOf(good) {
		for change, value := range map[int64]uint32{0: 0x7fffffff, 8: 4, 20: 0x12345678} { // the sector, the length, the content
			b := bytes.Clone(good)
			binary.LittleEndian.PutUint32(b[at+change:], value)
			d := mustOpen(t, evidencetest.Storage{"x": b}, "x")
			evidencetest.Lost(t, d, want, tutela.Run{Offset: n * 65536, Length: min(65536, diskBytes-n*65536)})
		}
	}
	b := evidencetest.Image(t, "testdata/sparse.vmdk")
	var last, end int64
	for n, at := range grainsOf(b) {
		if at > end {
			last, end = n, at
		}
	}
	d := mustOpen(t, evidencetest.Storage{"x": b[:end+1000]}, "x")
	evidencetest.Lost(t, d, want, tutela.Run{Offset: last*65536 + 1000, Length: min(65536, diskBytes-last*65536) - 1000})

	st := storage(t, "flat.vmdk", "flat-flat.vmdk")
	st["flat-flat.vmdk"] = st["flat-flat.vmdk"][:1e6]
	d = mustOpen(t, st, "flat.vmdk")
	evidencetest.Lost(t, d, want, tutela.Run{Offset: 1e6, Length: diskBytes - 1e6})
	if notes := d.Notes(); len(notes) != 1 || notes[0].Code != tutela.FindingTruncated {
		t.Errorf("notes %v", notes)
	}
}

func TestMutants(t *testing.T) {
	st := storage(t, "sparse.vmdk", "stream.vmdk", "child.vmdk", "flat-flat.vmdk", "flat.vmdk")
	st["delta"] = cowd(evidencetest.Pattern(diskBytes))
	for _, name := range []string{"sparse.vmdk", "stream.vmdk", "child.vmdk", "flat.vmdk", "delta"} {
		good := st[name]
		end := max(int64(len(good))-1024, 0)
		hot := []tutela.Run{{Length: 512}, {Length: 4096}, {Length: 64 << 10}, {Offset: end, Length: 1024}}
		evidencetest.MutantsOf(t, good, hot, func(damaged []byte) {
			st["mutant"] = damaged
			evidencetest.HostileImage(t, openImage, st, "mutant")
		})
	}
}

func FuzzOpen(f *testing.F) {
	st := storage(f, "sparse.vmdk", "stream.vmdk", "child.vmdk")
	evidencetest.FuzzImage(f, openImage, st, "sparse.vmdk", "stream.vmdk", "child.vmdk")
}
