package ext

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

func TestChecksums(t *testing.T) {
	if got := ^crc32c(^uint32(0), []byte("123"), []byte("456789")); got != 0xe3069283 {
		t.Errorf("crc32c %#x", got)
	}
	if got := crc16(0, []byte("1234"), []byte("56789")); got != 0xbb3d {
		t.Errorf("crc16 %#x", got)
	}
}

func TestTimes(t *testing.T) {
	raw := make([]byte, 256)
	raw[0x80] = 32
	set := func(at int, v uint32) {
		raw[at], raw[at+1], raw[at+2], raw[at+3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
	}
	for _, c := range []struct {
		seconds, extra uint32
		want           string
	}{
		{0, 0, "0001-01-01T00:00:00Z"},
		{0x7fffffff, 0, "2038-01-19T03:14:07Z"},
		{0x80000000, 0, "1901-12-13T20:45:52Z"},
		{0x80000000, 1, "2038-01-19T03:14:08Z"},
		{0, 5<<2 | 2, "2242-03-16T12:56:32.000000005Z"},
		{1, 0xfffffffc, "1970-01-01T00:00:01Z"}, // more nanoseconds than a second has
	} {
		set(0x90, c.seconds)
		set(0x94, c.extra)
		in := &inode{raw: raw}
		if got := in.times().Born.Format(time.RFC3339Nano); got != c.want {
			t.Errorf("%#x %#x: %s, want %s", c.seconds, c.extra, got, c.want)
		}
	}
}

func TestHasSuper(t *testing.T) {
	var have []int64
	s := super{ro: roSparseSuper}
	for g := range int64(350) {
		if s.hasSuper(g) {
			have = append(have, g)
		}
	}
	want := []int64{0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125, 243, 343}
	if len(have) != len(want) {
		t.Fatalf("copies in groups %v", have)
	}
	for i := range want {
		if have[i] != want[i] {
			t.Fatalf("copies in groups %v", have)
		}
	}
}

func TestSolid(t *testing.T) {
	if got := solid(map[int64]bool{-9: true, -8: true, -5: true, -4: true, -3: true}); got != -5 {
		t.Errorf("from %d on", got)
	}
	solid(nil)
}

// TestSlackNames: names that are no longer listed are found where nothing
// overwrote them, and half-overwritten ones are not made up.
func TestSlackNames(t *testing.T) {
	fs := &FileSystem{super: &super{block: 1024, inodes: 100, firstInode: 11, incompat: incompatFiletype}}
	b := make([]byte, 1024)
	put := func(at, inode, length int, name string) {
		b[at], b[at+4], b[at+5], b[at+6], b[at+7] = byte(inode), byte(length), byte(length>>8), byte(len(name)), 1
		copy(b[at+8:], name)
	}
	put(0, 2, 12, ".")
	put(12, 2, 1012, "..")
	put(24, 20, 16, "first")
	put(40, 21, 984, "second")
	put(60, 200, 24, "no such inode")
	put(84, 22, 24, "with/slash")
	put(108, 23, 8, "too short")
	put(128, 24, 896, "third")
	l := fs.entries(b, false)
	var names []string
	for _, d := range l.gone {
		names = append(names, d.name)
	}
	if got := strings.Join(names, " "); got != "first second third" || l.problem != "" || len(l.live) != 2 {
		t.Errorf("gone %q, %d in use, %s", got, len(l.live), l.problem)
	}
}

// TestAssumed: what only the journal tells says so, and nothing in use does.
func TestAssumed(t *testing.T) {
	for _, name := range []string{"testdata/deleted.ext4", "testdata/deleted.ext3"} {
		var told int
		for _, e := range evidencetest.List(t, evidencetest.MustOpen(t, open, evidencetest.Source(evidencetest.Image(t, name)))) {
			switch assumed := found(&e, tutela.FindingAssumed); {
			case e.State == tutela.Allocated && assumed:
				t.Errorf("%s: %s is in use", name, e.Path)
			case e.State != tutela.Allocated && e.Open != nil && !assumed:
				t.Errorf("%s: %s does not say how it is known", name, e.Path)
			case assumed:
				told++
			}
		}
		if told == 0 {
			t.Errorf("%s: nothing found in the journal", name)
		}
	}
}

// TestNotUnmounted: a volume that was cut off is read as a mount would show it.
func TestNotUnmounted(t *testing.T) {
	for _, name := range []string{"testdata/open.ext4", "testdata/open.ext3"} {
		all := evidencetest.List(t, evidencetest.MustOpen(t, open, evidencetest.Source(evidencetest.Image(t, name))))
		if !says(all, "/", tutela.FindingAssumed, "not unmounted") {
			t.Errorf("%s: not told", name)
		}
	}
}

// TestPlainJournal: without checksums in the journal a copy counts only if its
// transaction goes on behind it.
func TestPlainJournal(t *testing.T) {
	img := bytes.Clone(evidencetest.Image(t, "testdata/deleted.ext3"))
	fs, err := Open(evidencetest.Source(img))
	if err != nil {
		t.Fatal(err)
	}
	before, err := fs.log.readHistory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for n := fs.log.first; n < fs.log.end; n++ {
		b, _ := fs.log.read(n)
		if kind, _ := header(b); kind == journalCommit {
			at, _ := fs.log.place(n)
			img[at+11] ^= 0x55
		}
	}
	after, err := fs.log.readHistory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(before.copies) == 0 || len(after.copies) >= len(before.copies) {
		t.Errorf("%d blocks known before, %d with no transaction ended", len(before.copies), len(after.copies))
	}
}

func TestWalkEnds(t *testing.T) {
	fs, err := Open(evidencetest.Source(evidencetest.Image(t, "testdata/deleted.ext4")))
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	if err := fs.Walk(t.Context(), evidence.Limits{}, func(*evidence.Entry) error { return stop }); err != stop {
		t.Errorf("the visitor's error became %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := fs.Walk(ctx, evidence.Limits{}, func(*evidence.Entry) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a walk that was called off: %v", err)
	}
	if err := fs.Free(ctx, func(tutela.Run) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a search that was called off: %v", err)
	}
}

// TestPathLimit: a path that gets too long loses its directories, not its file.
func TestPathLimit(t *testing.T) {
	fs, err := Open(evidencetest.Source(evidencetest.Image(t, "testdata/blocks.ext3")))
	if err != nil {
		t.Fatal(err)
	}
	var told bool
	err = fs.Walk(t.Context(), evidence.Limits{NameBytes: 60}, func(e *evidence.Entry) error {
		if string(e.Path) == "/$OrphanFiles/leaf" && e.State == tutela.Allocated {
			told = len(e.Findings) == 1 && e.Findings[0].Code == tutela.FindingLimit
		}
		return nil
	})
	if err != nil || !told {
		t.Errorf("the limit is not told: %v", err)
	}
}

// TestSameTwice: the order depends on the bytes alone.
func TestSameTwice(t *testing.T) {
	fs := evidencetest.MustOpen(t, open, evidencetest.Source(evidencetest.Image(t, "testdata/open.ext4")))
	if a, b := evidencetest.Listing(evidencetest.List(t, fs)), evidencetest.Listing(evidencetest.List(t, fs)); a != b {
		t.Error("two walks differ")
	}
}
