package fat

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// crafted is a small FAT16 or FAT32 volume that a test draws. Clusters have 512
// bytes.
type crafted struct {
	t     *testing.T
	bytes []byte
	geo   geometry
	slots int // used in the root directory
}

func craft(t *testing.T, bits int) *crafted {
	t.Helper()
	const sectors = 6000
	b := make([]byte, sectors*512)
	le := binary.LittleEndian
	copy(b, "\xeb\x3c\x90MSDOS5.0")
	le.PutUint16(b[11:], 512)
	b[13], b[16], b[21] = 1, 2, 0xf8
	le.PutUint16(b[14:], 8)
	le.PutUint32(b[32:], sectors)
	b[510], b[511] = 0x55, 0xaa
	if bits == 32 {
		le.PutUint32(b[36:], 48)
		le.PutUint32(b[44:], 2)
		copy(b[6*512:7*512], b[:512])
	} else {
		le.PutUint16(b[17:], 512)
		le.PutUint16(b[22:], 24)
	}
	geo, err := parseBoot(b[:512], int64(len(b)))
	if err != nil || geo.bits != bits {
		t.Fatalf("%d bits: %v", geo.bits, err)
	}
	c := &crafted{t: t, bytes: b, geo: geo}
	c.chain(0, 0x0ffffff8)
	c.chain(1, 0x0fffffff)
	if bits == 32 {
		c.chain(2, end)
	}
	return c
}

const end = 0x0fffffff

// chain sets the table's entry of a cluster, in both copies.
func (c *crafted) chain(cluster, next uint32) {
	for i := range int64(2) {
		c.chainIn(i, cluster, next)
	}
}

func (c *crafted) chainIn(table int64, cluster, next uint32) {
	at := c.geo.table + table*c.geo.tableBytes
	if c.geo.bits == 32 {
		binary.LittleEndian.PutUint32(c.bytes[at+int64(cluster)*4:], next)
		return
	}
	binary.LittleEndian.PutUint16(c.bytes[at+int64(cluster)*2:], uint16(next))
}

// fill writes clusters whose bytes tell their number.
func (c *crafted) fill(clusters ...uint32) {
	for _, n := range clusters {
		copy(c.bytes[c.geo.offset(n):], content(n))
	}
}

func content(clusters ...uint32) (b []byte) {
	for _, n := range clusters {
		b = append(b, bytes.Repeat(fmt.Appendf(nil, "cluster %07d\n", n), 512)[:512]...)
	}
	return b
}

// entry is a slot with times that are times.
func (c *crafted) entry(name string, attr byte, start uint32, size int) []byte {
	s := make([]byte, slotBytes)
	copy(s, name)
	s[11] = attr
	le := binary.LittleEndian
	le.PutUint16(s[14:], 10<<11|30<<5|15)
	le.PutUint16(s[16:], 40<<9|5<<5|17)
	le.PutUint16(s[18:], 40<<9|5<<5|18)
	le.PutUint16(s[22:], 11<<11|31<<5|16)
	le.PutUint16(s[24:], 40<<9|5<<5|19)
	le.PutUint16(s[20:], uint16(start>>16))
	le.PutUint16(s[26:], uint16(start))
	le.PutUint32(s[28:], uint32(size))
	return s
}

// root appends slots to the root directory.
func (c *crafted) root(slots ...[]byte) {
	at := c.geo.root
	if c.geo.bits == 32 {
		at = c.geo.offset(2)
	}
	for _, s := range slots {
		copy(c.bytes[at+int64(c.slots)*slotBytes:], s)
		c.slots++
	}
}

// directory writes a cluster as the beginning of a directory.
func (c *crafted) directory(self, parent uint32, slots ...[]byte) {
	all := append([][]byte{c.entry(".          ", attrDirectory, self, 0), c.entry("..         ", attrDirectory, parent, 0)}, slots...)
	copy(c.bytes[c.geo.offset(self):], bytes.Join(all, nil))
}

// long are the slots of a long name in front of an entry.
func long(name string, entry []byte) (slots [][]byte) {
	units := []uint16{}
	for _, r := range name {
		if r > 0xffff {
			units = append(units, uint16(0xd800+(r-0x10000)>>10), uint16(0xdc00+(r-0x10000)&0x3ff))
			continue
		}
		units = append(units, uint16(r))
	}
	if len(units)%unitsPerSlot != 0 {
		units = append(units, 0)
	}
	for len(units)%unitsPerSlot != 0 {
		units = append(units, 0xffff)
	}
	for i := 0; i*unitsPerSlot < len(units); i++ {
		s := make([]byte, slotBytes)
		s[0], s[11], s[13] = byte(i+1), attrLong, checksum(entry[:11])
		for j, at := range []int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30} {
			binary.LittleEndian.PutUint16(s[at:], units[i*unitsPerSlot+j])
		}
		slots = append(slots, s)
	}
	slots[len(slots)-1][0] |= lastPart
	slices.Reverse(slots)
	return append(slots, entry)
}

// unlink marks slots deleted.
func unlink(slots ...[]byte) [][]byte {
	for _, s := range slots {
		s[0] = slotFree
	}
	return slots
}

func (c *crafted) list() map[string]evidencetest.Entry {
	c.t.Helper()
	src := evidencetest.Source(c.bytes)
	all := evidencetest.List(c.t, evidencetest.MustOpen(c.t, open, src))
	evidencetest.InPlace(c.t, src, all)
	out := map[string]evidencetest.Entry{}
	for _, e := range all {
		if _, twice := out[string(e.Path)]; twice {
			c.t.Errorf("%s comes twice", e.Path)
		}
		out[string(e.Path)] = e
	}
	return out
}

// expect holds an entry's content and findings; want is nil where it must not be
// read whole.
func expect(t *testing.T, e evidencetest.Entry, state tutela.State, want []byte, findings ...string) {
	t.Helper()
	if e.Path == nil {
		t.Error("no such entry")
		return
	}
	if e.State != state {
		t.Errorf("%s: %s, not %s", e.Path, e.State, state)
	}
	got, err := readAll(&e.Entry)
	if want == nil && err == nil {
		t.Errorf("%s: %d bytes without an error", e.Path, len(got))
	}
	if want != nil && (err != nil || !bytes.Equal(got, want)) {
		t.Errorf("%s: %d bytes, %v", e.Path, len(got), err)
	}
	var codes []string
	for _, f := range e.Findings {
		codes = append(codes, f.Code)
	}
	if !slices.Equal(codes, findings) {
		t.Errorf("%s: %v, not %v", e.Path, e.Findings, findings)
	}
}

func readAll(e *evidence.Entry) ([]byte, error) {
	if e.Open == nil {
		return nil, errors.New("nothing to open")
	}
	content, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	return io.ReadAll(content)
}

func TestChains(t *testing.T) {
	c := craft(t, 16)
	c.fill(10, 11, 12, 13, 20, 21, 30, 31, 40, 41)
	c.root(c.entry("WHOLE   BIN", 0x20, 10, 1500), c.entry("SHORT   BIN", 0x20, 20, 1500), c.entry("LONG    BIN", 0x20, 30, 100),
		c.entry("LOOP    BIN", 0x20, 40, 4000), c.entry("CROSS1  BIN", 0x20, 50, 1024), c.entry("CROSS2  BIN", 0x20, 51, 1024),
		c.entry("EMPTY   BIN", 0x20, 0, 0), c.entry("NOWHERE BIN", 0x20, 0, 10), c.entry("BEYOND  BIN", 0x20, 60000, 10))
	c.chain(10, 12)
	c.chain(12, 11)
	c.chain(11, end)
	c.chain(20, 21)
	c.chain(21, 0)
	c.chain(30, 31)
	c.chain(31, end)
	c.chain(40, 41)
	c.chain(41, 40)
	c.chain(50, 52)
	c.chain(51, 52)
	c.chain(52, end)
	got := c.list()
	const damaged = tutela.FindingDamaged
	expect(t, got["/WHOLE.BIN"], tutela.Allocated, content(10, 12, 11)[:1500])
	expect(t, got["/SHORT.BIN"], tutela.Allocated, nil, damaged, damaged)
	expect(t, got["/LONG.BIN"], tutela.Allocated, content(30)[:100], damaged)
	expect(t, got["/LOOP.BIN"], tutela.Allocated, nil, tutela.FindingLoop, damaged)
	expect(t, got["/CROSS1.BIN"], tutela.Allocated, make([]byte, 1024), damaged)
	expect(t, got["/CROSS2.BIN"], tutela.Allocated, make([]byte, 1024), damaged)
	expect(t, got["/EMPTY.BIN"], tutela.Allocated, []byte{})
	expect(t, got["/NOWHERE.BIN"], tutela.Allocated, nil, damaged)
	expect(t, got["/BEYOND.BIN"], tutela.Allocated, nil, damaged, damaged)
	if slack := got["/LONG.BIN"].Slack; len(slack) != 1 || slack[0].Length != 1024-100 {
		t.Errorf("slack %v", slack)
	}
	if e := got["/SHORT.BIN"]; e.Bytes != 1024 {
		t.Errorf("%d bytes of a chain of two clusters", e.Bytes)
	}
}

func TestNames(t *testing.T) {
	c := craft(t, 16)
	lower := c.entry("LOWER   TXT", 0x20, 0, 0)
	lower[12] = lowerBase | lowerExtension
	wrong := long("not the name", c.entry("OTHER   TXT", 0x20, 0, 0))
	wrong[0][13]++
	c.root(c.entry("A VOLUME   ", attrLabel, 0, 0), lower, c.entry("\x05JIS    TXT", 0x20, 0, 0), c.entry("NOEXT      ", 0x20, 0, 0))
	c.root(long("smile \U0001f600.jpg", c.entry("SMILE~1 JPG", 0x20, 0, 0))...)
	c.root(long(strings.Repeat("x", 255), c.entry("XXXXXX~1   ", 0x20, 0, 0))...)
	c.root(long("exactly 13.ok", c.entry("EXACTL~1OK ", 0x20, 0, 0))...)
	c.root(wrong...)
	c.root(unlink(long("deleted long.txt", c.entry("DELETE~1TXT", 0x20, 0, 0))...)...)
	c.root(unlink(c.entry("SHORT   TXT", 0x20, 0, 0))...)
	foreign := long("belongs elsewhere", c.entry("ANOTHER TXT", 0x20, 0, 0))
	c.root(unlink(foreign...)...)
	var names []string
	for path := range c.list() {
		names = append(names, path)
	}
	slices.Sort(names)
	want := []string{"/NOEXT", "/OTHER.TXT", "/_HORT.TXT", "/_NOTHER.TXT", "/deleted long.txt", "/exactly 13.ok", "/lower.txt",
		"/smile \U0001f600.jpg", "/" + strings.Repeat("x", 255), "/\xe5JIS.TXT"}
	if !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
}

func TestTimes(t *testing.T) {
	c := craft(t, 16)
	e := c.entry("FILE    TXT", 0x20, 0, 0)
	e[13] = 150
	c.root(e)
	times := c.list()["/FILE.TXT"].Times
	got := fmt.Sprint(times.Modified.Format("2006-01-02 15:04:05.00 MST"), ", ", times.Born.Format("2006-01-02 15:04:05.00"), ", ", times.Accessed.Format("2006-01-02"))
	if want := "2020-05-19 11:31:32.00 UTC, 2020-05-17 10:30:31.50, 2020-05-18"; got != want {
		t.Error(got)
	}
}

func TestDeletedDirectories(t *testing.T) {
	c := craft(t, 32)
	c.fill(100, 101, 102, 103)
	// A deleted tree, found from the root; one whose entry is gone; and one whose
	// entry leads to a directory that is another's now.
	c.root(unlink(c.entry("GONE       ", attrDirectory, 50, 0), c.entry("MOVED      ", attrDirectory, 60, 0))...)
	c.directory(50, 0, unlink(c.entry("A       TXT", 0x20, 100, 512))[0], c.entry("SUB        ", attrDirectory, 51, 0))
	c.directory(51, 50, c.entry("B       TXT", 0x20, 101, 512))
	c.directory(60, 7, c.entry("C       TXT", 0x20, 102, 512), c.entry("LOST       ", attrDirectory, 61, 0))
	c.directory(61, 60, c.entry("D       TXT", 0x20, 103, 512), c.entry("D2      TXT", 0x20, 103, 512))
	got := c.list()
	expect(t, got["/_ONE/_.TXT"], tutela.Deleted, content(100))
	expect(t, got["/_ONE/SUB/B.TXT"], tutela.Deleted, content(101))
	expect(t, got["/$OrphanFiles/C.TXT"], tutela.Orphan, content(102))
	expect(t, got["/$OrphanFiles/LOST/D.TXT"], tutela.Orphan, content(103), tutela.FindingAssumed)
	if len(got) != 5 {
		t.Errorf("%d entries", len(got))
	}
}

func TestDeletedContents(t *testing.T) {
	c := craft(t, 16)
	c.fill(10, 11, 12, 13, 14, 20)
	c.chain(12, end)
	c.chain(20, 21)
	c.chain(21, end)
	c.root(c.entry("LIVE    TXT", 0x20, 12, 512))
	c.root(unlink(c.entry("PASSES  TXT", 0x20, 11, 1024), c.entry("TAKEN   TXT", 0x20, 12, 512), c.entry("NOROOM  TXT", 0x20, uint32(c.geo.clusters)+1, 1024),
		c.entry("CHAINED TXT", 0x20, 20, 600))...)
	got := c.list()
	expect(t, got["/_ASSES.TXT"], tutela.Deleted, content(11, 13), tutela.FindingAssumed)
	expect(t, got["/_AKEN.TXT"], tutela.Deleted, nil, tutela.FindingOverwritten)
	expect(t, got["/_OROOM.TXT"], tutela.Deleted, nil, tutela.FindingOverwritten)
	expect(t, got["/_HAINED.TXT"], tutela.Deleted, append(content(20), make([]byte, 88)...), tutela.FindingAssumed)
}

func TestDirectoryLoop(t *testing.T) {
	c := craft(t, 16)
	c.chain(10, end)
	c.chain(11, end)
	c.root(c.entry("A          ", attrDirectory, 10, 0))
	c.directory(10, 0, c.entry("B          ", attrDirectory, 11, 0), c.entry("FILE    TXT", 0x20, 0, 0))
	c.directory(11, 10, c.entry("A          ", attrDirectory, 10, 0))
	got := c.list()
	expect(t, got["/A/FILE.TXT"], tutela.Allocated, []byte{})
	expect(t, got["/A/B/A"], tutela.Allocated, nil, tutela.FindingLoop)
}

func TestLongPaths(t *testing.T) {
	c := craft(t, 16)
	parent := uint32(0)
	for i := range uint32(30) {
		slots := long(strings.Repeat("d", 200), c.entry("DDDDDD~1   ", attrDirectory, 100+i, 0))
		if c.chain(100+i, end); i == 0 {
			c.root(slots...)
		} else {
			copy(c.bytes[c.geo.offset(parent)+2*slotBytes:], bytes.Join(slots, nil)[:min(len(slots)*slotBytes, 512-2*slotBytes)])
		}
		c.directory(100+i, parent)
		parent = 100 + i
	}
	// The longest name of 16 slots leaves room for nothing else in a cluster.
	for path, e := range c.list() {
		if len(path) > evidence.DefaultLimits().NameBytes {
			t.Errorf("%d bytes: %v", len(path), e.Findings)
		}
	}
}

func TestBackupBootSector(t *testing.T) {
	c := craft(t, 32)
	c.root(c.entry("FILE    TXT", 0x20, 0, 0))
	clear(c.bytes[:512])
	got := c.list()
	expect(t, got["/FILE.TXT"], tutela.Allocated, []byte{})
	expect(t, got["/"], tutela.Allocated, nil, tutela.FindingBackupTable)
	copy(c.bytes[3:], "NTFS    ")
	if _, err := Open(evidencetest.Source(c.bytes)); !errors.Is(err, evidence.ErrNotThis) {
		t.Errorf("formatted over: %v", err)
	}
}

// torn is a source of which a stretch cannot be read.
type torn struct {
	evidence.Source
	bad tutela.Run
}

func (s torn) ReadAt(p []byte, off int64) (int, error) {
	if off < s.bad.Offset+s.bad.Length && off+int64(len(p)) > s.bad.Offset {
		return 0, &evidence.ReadError{Run: s.bad, Err: errors.New("bad sector")}
	}
	return s.Source.ReadAt(p, off)
}

func TestTables(t *testing.T) {
	c := craft(t, 16)
	c.fill(10, 11)
	c.chain(10, 11)
	c.chain(11, end)
	c.root(c.entry("FILE    TXT", 0x20, 10, 1024))
	c.chainIn(1, 900, 901)
	got := c.list()
	expect(t, got["/FILE.TXT"], tutela.Allocated, content(10, 11))
	expect(t, got["/"], tutela.Allocated, nil, tutela.FindingDamaged)

	src := torn{evidencetest.Source(c.bytes), tutela.Run{Offset: c.geo.table, Length: 512}}
	for _, e := range evidencetest.List(t, evidencetest.MustOpen(t, open, src)) {
		switch string(e.Path) {
		case "/FILE.TXT":
			expect(t, e, tutela.Allocated, content(10, 11))
		case "/":
			expect(t, e, tutela.Allocated, nil, tutela.FindingBackupTable, tutela.FindingDamaged)
		}
	}
	src.bad.Length = 512 + c.geo.tableBytes
	fs, err := Open(src)
	if err != nil {
		t.Fatal(err)
	}
	if err := fs.Free(context.Background(), func(tutela.Run) error { return nil }); err == nil {
		t.Error("no error though the table cannot be read")
	}
}

func TestTruncated(t *testing.T) {
	c := craft(t, 16)
	c.fill(10, 11)
	c.chain(10, 11)
	c.chain(11, end)
	c.root(c.entry("FILE    TXT", 0x20, 10, 1024))
	c.bytes = c.bytes[:c.geo.offset(11)+100]
	got := c.list()
	expect(t, got["/FILE.TXT"], tutela.Allocated, nil, tutela.FindingTruncated)
	expect(t, got["/"], tutela.Allocated, nil, tutela.FindingTruncated)
	if e := got["/FILE.TXT"]; e.Bytes != 612 {
		t.Errorf("%d bytes", e.Bytes)
	}
}

// TestFree holds the free stretches against the table.
func TestFree(t *testing.T) {
	c := craft(t, 16)
	c.chain(2, end)
	c.chain(5, end)
	c.chain(6, 0xfff7)
	fs, err := Open(evidencetest.Source(c.bytes))
	if err != nil {
		t.Fatal(err)
	}
	var got []tutela.Run
	if err := fs.Free(context.Background(), func(r tutela.Run) error { got = append(got, r); return nil }); err != nil {
		t.Fatal(err)
	}
	last := c.geo.offset(c.geo.clusters + 1)
	want := []tutela.Run{{Offset: c.geo.offset(3), Length: 1024}, {Offset: c.geo.offset(7), Length: last + 512 - c.geo.offset(7)}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
}

func TestTypes(t *testing.T) {
	for name, image := range map[string]string{"fat12": "testdata/fat12.dd", "fat16": "testdata/sector4096.dd", "fat32": "testdata/fat32.dd"} {
		fs, err := Open(evidencetest.Source(evidencetest.Image(t, image)))
		if err != nil || fs.Name() != name {
			t.Errorf("%s: %v", image, err)
		}
	}
	for _, image := range []string{"fslib/ntfs.dd", "fslib/exfat.dd", "fslib/ext4.dd", "fslib/hfs+.dd", "fslib/mbr_fat16.dd"} {
		if _, err := Open(evidencetest.Source(evidencetest.Image(t, image))); !errors.Is(err, evidence.ErrNotThis) {
			t.Errorf("%s: %v", image, err)
		}
	}
}

// TestUnreadableSectors: what lies beside them is listed, and found as an orphan.
func TestUnreadableSectors(t *testing.T) {
	c := craft(t, 16)
	c.fill(100)
	c.root(c.entry("FIRST   TXT", 0x20, 0, 0), c.entry("SUB        ", attrDirectory, 20, 0))
	for c.slots < 40 {
		c.root(unlink(c.entry("X          ", 0x20, 0, 0))...)
	}
	c.root(c.entry("BEHIND  TXT", 0x20, 0, 0))
	c.chain(20, 21)
	c.chain(21, end)
	filler := slices.Repeat(unlink(c.entry("X          ", 0x20, 0, 0)), 13)
	c.directory(20, 0, append(filler, c.entry("IN      TXT", 0x20, 0, 0))...)
	c.directory(61, 7, c.entry("ORPHAN  TXT", 0x20, 100, 512))
	for name, bad := range map[string]tutela.Run{
		"root": {Offset: c.geo.root + 512, Length: 512}, // with the entries 16 to 31
		"sub":  {Offset: c.geo.offset(21), Length: 512},
		"free": {Offset: c.geo.offset(60), Length: 512},
	} {
		src := torn{evidencetest.Source(c.bytes), bad}
		got := map[string]evidencetest.Entry{}
		for _, e := range evidencetest.List(t, evidencetest.MustOpen(t, open, src)) {
			got[string(e.Path)] = e
		}
		expect(t, got["/FIRST.TXT"], tutela.Allocated, []byte{})
		expect(t, got["/BEHIND.TXT"], tutela.Allocated, []byte{})
		expect(t, got["/SUB/IN.TXT"], tutela.Allocated, []byte{})
		expect(t, got["/$OrphanFiles/ORPHAN.TXT"], tutela.Orphan, content(100))
		switch name {
		case "root":
			expect(t, got["/"], tutela.Allocated, nil, tutela.FindingReadError)
		case "sub":
			expect(t, got["/SUB"], tutela.Allocated, nil, tutela.FindingReadError)
		}
	}
}
