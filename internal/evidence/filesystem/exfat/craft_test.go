package exfat

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// altered is a good image that a test changes.
type altered struct {
	t     *testing.T
	bytes []byte
	geo   geometry
}

func alter(t *testing.T) *altered {
	t.Helper()
	b := evidencetest.Image(t, "testdata/small.dd")
	fs, err := Open(evidencetest.Source(b))
	if err != nil {
		t.Fatal(err)
	}
	return &altered{t, b, fs.geo}
}

// list is every entry by its path.
func (a *altered) list() map[string]evidencetest.Entry {
	a.t.Helper()
	src := evidencetest.Source(a.bytes)
	all := evidencetest.List(a.t, evidencetest.MustOpen(a.t, open, src))
	evidencetest.InPlace(a.t, src, all)
	out := map[string]evidencetest.Entry{}
	for _, e := range all {
		out[string(e.Path)] = e
	}
	return out
}

// set is the place of a file's set, and its length in bytes.
func (a *altered) set(path string) (b []byte) {
	a.t.Helper()
	e, ok := a.list()[path]
	if !ok {
		a.t.Fatalf("no %s", path)
	}
	var at, cluster int
	if _, err := fmt.Sscanf(e.Chain[0].At, "entry at byte %d, cluster %d", &at, &cluster); err != nil {
		a.t.Fatal(err)
	}
	return a.bytes[at : at+slotBytes*(1+int(a.bytes[at+1]))]
}

// seal gives a set its checksum.
func seal(b []byte) {
	var s set
	s.begin(b, 0)
	for at := slotBytes; at < len(b); at += slotBytes {
		s.add(b[at : at+slotBytes])
	}
	for sum := range 1 << 16 {
		binary.LittleEndian.PutUint16(s.slots[0][2:], uint16(sum))
		if s.fits() {
			binary.LittleEndian.PutUint16(b[2:], uint16(sum))
			return
		}
	}
}

func unlink(b []byte) {
	for at := 0; at < len(b); at += slotBytes {
		b[at] &^= inUse
	}
}

func content(t *testing.T, e evidencetest.Entry) []byte {
	t.Helper()
	if e.Open == nil {
		t.Fatalf("%s: nothing to open", e.Path)
	}
	c, err := e.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// expect holds what is said of an entry.
func expect(t *testing.T, e evidencetest.Entry, state tutela.State, findings ...string) {
	t.Helper()
	var codes []string
	for _, f := range e.Findings {
		codes = append(codes, f.Code)
	}
	if e.State != state || !slices.Equal(codes, findings) {
		t.Errorf("%s: %s %v, not %s %v", e.Path, e.State, e.Findings, state, findings)
	}
}

const sixClusters = "/Photos/size 2567.txt"

func TestBootRegions(t *testing.T) {
	a := alter(t)
	want := len(a.list())
	a.bytes[512+9]++ // in the second sector
	expect(t, a.list()["/"], tutela.Allocated, tutela.FindingBackupTable)
	clear(a.bytes[:512])
	if got := a.list(); len(got) != want+1 {
		t.Errorf("%d entries of %d", len(got), want)
	}
	a = alter(t)
	a.bytes[512+9]++
	a.bytes[13*512+9]++
	if got := a.list(); len(got) != want+1 {
		t.Errorf("%d entries of %d", len(got), want)
	} else {
		expect(t, got["/"], tutela.Allocated, tutela.FindingDamaged)
	}
	a.bytes[108] = 77
	if _, err := Open(evidencetest.Source(a.bytes)); err == nil || errors.Is(err, evidence.ErrNotThis) {
		t.Errorf("no boot region: %v", err)
	}
}

// TestSecondTable: a TexFAT volume names the table and the bitmap that count.
func TestSecondTable(t *testing.T) {
	a := alter(t)
	b := bytes.Clone(a.bytes[:512])
	b[110], b[106] = 2, 1
	g, err := parseBoot(b, int64(len(a.bytes)))
	if err != nil || g.table != a.geo.table+a.geo.tableBytes {
		t.Errorf("table at %d, %v", g.table, err)
	}
}

func TestValidDataLength(t *testing.T) {
	a := alter(t)
	before := content(t, a.list()[sixClusters])
	set := a.set(sixClusters)
	binary.LittleEndian.PutUint64(set[slotBytes+8:], 1000)
	seal(set)
	e := a.list()[sixClusters]
	expect(t, e, tutela.Allocated)
	if got := content(t, e); !bytes.Equal(got, append(before[:1000:1000], make([]byte, len(before)-1000)...)) {
		t.Error("zeros are missing behind the valid data length")
	}
	if len(e.Slack) != 1 || e.Slack[0].Length != 6*512-1000 || len(e.Runs) != 1 || e.Runs[0].Length != 1000 {
		t.Errorf("runs %v, slack %v", e.Runs, e.Slack)
	}
}

func TestChecksum(t *testing.T) {
	a := alter(t)
	a.set(sixClusters)[16]++
	expect(t, a.list()[sixClusters], tutela.Allocated, tutela.FindingDamaged)
}

func TestUnlinked(t *testing.T) {
	a := alter(t)
	before := content(t, a.list()[sixClusters])
	set := a.set(sixClusters)
	unlink(set)
	e := a.list()[sixClusters]
	expect(t, e, tutela.Deleted, tutela.FindingAssumed) // the bitmap still has it
	if !bytes.Equal(content(t, e), before) {
		t.Error("other bytes than before")
	}
	// Another file takes its third cluster.
	other := a.set("/Photos/size 1.txt")
	start := binary.LittleEndian.Uint32(set[slotBytes+20:])
	binary.LittleEndian.PutUint32(other[slotBytes+20:], start+2)
	seal(other)
	e = a.list()[sixClusters]
	expect(t, e, tutela.Deleted, tutela.FindingOverwritten, tutela.FindingAssumed)
	if e.Failure == nil || e.Bytes != 1024 {
		t.Errorf("%d bytes, %v", e.Bytes, e.Failure)
	}
	// Its last entry is another file's.
	set[len(set)-slotBytes] = 0x83
	for path, e := range a.list() {
		if strings.HasPrefix(path, "/Photos/size 2567") {
			expect(t, e, tutela.Deleted, tutela.FindingAssumed, tutela.FindingOverwritten, tutela.FindingAssumed)
		}
	}
}

// TestChainLeft: the table may keep the chain of a deleted file.
func TestChainLeft(t *testing.T) {
	a := alter(t)
	before := content(t, a.list()["/pieces 1"])
	unlink(a.set("/pieces 1"))
	e := a.list()["/pieces 1"]
	expect(t, e, tutela.Deleted, tutela.FindingAssumed, tutela.FindingAssumed)
	if !bytes.Equal(content(t, e), before) {
		t.Error("other bytes than before")
	}
}

func TestLoop(t *testing.T) {
	a := alter(t)
	start := binary.LittleEndian.Uint32(a.set("/pieces 2")[slotBytes+20:])
	binary.LittleEndian.PutUint32(a.bytes[a.geo.table+4*int64(start):], start)
	e := a.list()["/pieces 2"]
	expect(t, e, tutela.Allocated, tutela.FindingLoop, tutela.FindingDamaged)
	if e.Failure == nil || e.Bytes != 512 {
		t.Errorf("%d bytes, %v", e.Bytes, e.Failure)
	}
}

func TestCrossLinked(t *testing.T) {
	a := alter(t)
	one, two := a.set(sixClusters), a.set("/Photos/size 1.txt")
	copy(two[slotBytes+20:slotBytes+24], one[slotBytes+20:])
	seal(two)
	expect(t, a.list()[sixClusters], tutela.Allocated, tutela.FindingDamaged)
	expect(t, a.list()["/Photos/size 1.txt"], tutela.Allocated, tutela.FindingDamaged)
}

// TestOrphans: the set of a directory is written over; what was in it is found.
func TestOrphans(t *testing.T) {
	a := alter(t)
	before := a.list()
	const file = "/Photos/2021 Sommer/UPPER.TXT"
	at := bytes.Index(a.bytes, []byte("2\x000\x002\x001\x00 \x00S\x00o\x00m\x00")) - 2
	set := a.bytes[at-2*slotBytes : at+slotBytes]
	clear(set[1:]) // and no set any more
	set[0], set[slotBytes], set[2*slotBytes] = 0x05, 0x40, 0x41
	after := a.list()
	if _, still := after[file]; still {
		t.Error("still listed")
	}
	e := after["/$OrphanFiles/UPPER.TXT"]
	expect(t, e, tutela.Orphan, tutela.FindingAssumed)
	if e.SHA256 != before[file].SHA256 {
		t.Error("other bytes than before")
	}
}

func TestTruncated(t *testing.T) {
	a := alter(t)
	a.bytes = a.bytes[:a.geo.offset(a.geo.root)+200*512]
	got := a.list()
	expect(t, got["/"], tutela.Allocated, tutela.FindingTruncated)
	for path, e := range got {
		if e.Failure != nil && len(e.Findings) == 0 {
			t.Errorf("%s: %v, and no finding", path, e.Failure)
		}
	}
}

// TestFree holds the free stretches against the bits of the bitmap.
func TestFree(t *testing.T) {
	a := alter(t)
	var free int64 = int64(a.geo.clusters)
	for _, b := range content(t, a.list()["/$ALLOC_BITMAP"]) {
		free -= int64(bits.OnesCount8(b))
	}
	fs, err := Open(evidencetest.Source(a.bytes))
	if err != nil {
		t.Fatal(err)
	}
	var got int64
	if err := fs.Free(context.Background(), func(r tutela.Run) error { got += r.Length; return nil }); err != nil {
		t.Fatal(err)
	}
	if got != free*a.geo.cluster {
		t.Errorf("%d bytes free, not %d", got, free*a.geo.cluster)
	}
}

func TestStamp(t *testing.T) {
	const v = 40<<25 | 5<<21 | 17<<16 | 10<<11 | 30<<5 | 15
	for zone, want := range map[byte]string{0: "10:30:31.5", 0x80: "10:30:31.5", 0x88: "08:30:31.5", 0xf8: "12:30:31.5", 0x7f: "10:30:31.5"} {
		if got := stamp(v, 150, zone).Format("15:04:05.99"); got != want {
			t.Errorf("zone %#x: %s, not %s", zone, got, want)
		}
	}
	if !stamp(0, 0, 0).IsZero() {
		t.Error("no date is a time")
	}
}

func TestNotThis(t *testing.T) {
	for _, image := range []string{"fslib/ntfs.dd", "fslib/fat32.dd", "fslib/ext4.dd"} {
		if _, err := Open(evidencetest.Source(evidencetest.Image(t, image))); !errors.Is(err, evidence.ErrNotThis) {
			t.Errorf("%s: %v", image, err)
		}
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

// TestUnreadableSectors: what lies beside them is listed, and every entry that
// cannot be read says so.
func TestUnreadableSectors(t *testing.T) {
	a := alter(t)
	good := a.list()
	at := bytes.Index(a.bytes, []byte("a\x00 \x00f\x00i\x00l\x00e\x00 \x00w\x00i\x00t\x00h\x00"))
	src := torn{evidencetest.Source(a.bytes), tutela.Run{Offset: int64(at) &^ 511, Length: 512}}
	got := map[string]evidencetest.Entry{}
	for _, e := range evidencetest.List(t, evidencetest.MustOpen(t, open, src)) {
		got[string(e.Path)] = e
	}
	expect(t, got["/many"], tutela.Allocated, tutela.FindingReadError, tutela.FindingDamaged)
	missing := 0
	for path, e := range good {
		if same, ok := got[path]; !ok || same.SHA256 != e.SHA256 {
			missing++
		}
	}
	if missing == 0 || missing > 5 {
		t.Errorf("%d entries missing for one sector of 512 bytes", missing)
	}
}
