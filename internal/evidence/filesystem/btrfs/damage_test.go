package btrfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

func TestGolden(t *testing.T) {
	for _, name := range []string{"mixed", "zlib", "zstd", "lzo"} {
		var b strings.Builder
		for _, e := range list(t, volume(t, name)) {
			if !strings.Contains(string(e.Path), "/many/") {
				b.WriteString(e.Line() + "\n")
			}
		}
		evidencetest.GoldenText(t, name, b.String())
	}
}

func find(t *testing.T, all []evidencetest.Entry, path string) *evidencetest.Entry {
	t.Helper()
	for i := range all {
		if string(all[i].Path) == path {
			return &all[i]
		}
	}
	t.Fatalf("no %s", path)
	return nil
}

// TestLZO: what is packed with LZO is named, and all else is read.
func TestLZO(t *testing.T) {
	all := list(t, volume(t, "lzo"))
	if e := find(t, all, "/text"); e.Findings[0].Code != tutela.FindingUnsupported || !errors.Is(e.Failure, evidence.ErrUnsupported) {
		t.Error(e.Line())
	}
	if e := find(t, all, "/random"); e.Failure != nil {
		t.Error(e.Line())
	}
}

func TestSuperblockCopy(t *testing.T) {
	img := volume(t, "zstd")
	clear(img[64<<10 : 68<<10])
	all := list(t, img)
	if all[0].Findings[0].Code != tutela.FindingBackupTable || len(evidencetest.Rows(all, tutela.Allocated)) != len(truth(t)) {
		t.Error(all[0].Line())
	}
}

// TestSecondCopy: where the metadata is there twice, one copy is enough.
func TestSecondCopy(t *testing.T) {
	img := volume(t, "zstd")
	fs, err := Open(evidencetest.Source(img))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range fs.chunks {
		if len(c.stripes) == 2 && c.profile&4 != 0 {
			at := int64(c.stripes[0].offset)
			clear(img[at : at+int64(c.length)])
		}
	}
	all := list(t, img)
	if n := len(evidencetest.Rows(all, tutela.Allocated)); n != len(truth(t)) {
		t.Errorf("%d files", n)
	}
}

// TestBadExtent: one bad packed extent is lost, and none behind it.
func TestBadExtent(t *testing.T) {
	for _, name := range []string{"zlib", "zstd"} {
		img := volume(t, name)
		e := find(t, list(t, img), "/text")
		c, err := e.Open()
		if err != nil {
			t.Fatal(err)
		}
		good, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		p := c.(*content).pieces[1]
		clear(img[p.at : p.at+p.packed])
		c, err = e.Open()
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, c)
		var bad *evidence.ReadError
		if n != p.from || !errors.As(err, &bad) || bad.Run != (tutela.Run{Offset: p.at, Length: p.packed}) {
			t.Errorf("%s: %d bytes, then %v", name, n, err)
		}
		b := make([]byte, 1000)
		if _, err := c.(io.ReaderAt).ReadAt(b, p.from+p.length); err != nil || !bytes.Equal(b, good[p.from+p.length:][:1000]) {
			t.Errorf("%s: behind the bad extent: %v", name, err)
		}
	}
}

func TestRefused(t *testing.T) {
	good := volume(t, "mixed")
	le := binary.LittleEndian
	img := bytes.Clone(good)
	img[64<<10+64] = 'x'
	if _, err := Open(evidencetest.Source(img)); !errors.Is(err, evidence.ErrNotThis) {
		t.Errorf("another number: %v", err)
	}
	img = bytes.Clone(good)
	sb := img[64<<10 : 68<<10]
	profile := sb[systemArray+keyBytes+24:]
	le.PutUint64(profile, le.Uint64(profile)|1<<8)
	seal(sb)
	if _, err := Open(evidencetest.Source(img)); !errors.Is(err, evidence.ErrUnsupported) || !strings.Contains(err.Error(), "raid6 profile not read") {
		t.Errorf("raid6: %v", err)
	}
	img = bytes.Clone(good)
	sb = img[64<<10 : 68<<10]
	le.PutUint64(sb[188:], 1<<40)
	seal(sb)
	if _, err := Open(evidencetest.Source(img)); !errors.Is(err, evidence.ErrUnsupported) {
		t.Errorf("an unheard-of feature: %v", err)
	}
}

// TestFree holds what is free, what the volume says it uses and what is reserved
// against the size of the device.
func TestFree(t *testing.T) {
	img := volume(t, "mixed")
	fs, err := Open(evidencetest.Source(img))
	if err != nil {
		t.Fatal(err)
	}
	copies := int64(len(fs.chunks[0].stripes))
	used := int64(binary.LittleEndian.Uint64(img[64<<10+120:]))
	var free int64
	err = fs.Free(context.Background(), func(r tutela.Run) error {
		free += r.Length
		return nil
	})
	if got := free + copies*used + reservedBytes; err != nil || got != int64(len(img)) {
		t.Errorf("%d free, %d used %d times: %d bytes of %d: %v", free, used, copies, got, len(img), err)
	}
	stop := errors.New("stop")
	if err := fs.Free(context.Background(), func(tutela.Run) error { return stop }); err != stop {
		t.Errorf("the error of visit came back as %v", err)
	}
}

// TestFreeHoldsNoContent: no byte of a file in use is free.
func TestFreeHoldsNoContent(t *testing.T) {
	img := volume(t, "zstd")
	fs, err := Open(evidencetest.Source(img))
	if err != nil {
		t.Fatal(err)
	}
	var free []tutela.Run
	if err := fs.Free(context.Background(), func(r tutela.Run) error {
		free = append(free, r)
		return nil
	}); err != nil || len(free) < 3 {
		t.Fatalf("%d stretches: %v", len(free), err)
	}
	for _, e := range list(t, img) {
		for _, r := range e.Runs {
			for _, f := range free {
				if r.Offset < f.Offset+f.Length && f.Offset < r.Offset+r.Length {
					t.Errorf("%s lies in %v, and %v is free", e.Path, r, f)
				}
			}
		}
	}
}

// TestLostNode: a directory whose leaf is gone says so.
func TestLostNode(t *testing.T) {
	img := volume(t, "mixed")
	fs, err := Open(evidencetest.Source(img))
	if err != nil {
		t.Fatal(err)
	}
	root, err := fs.subvolume(topLevel)
	if err != nil || root.level == 0 {
		t.Fatalf("the subvolume is one leaf: %v", err)
	}
	at, _, err := fs.places(root.child(1), 4096)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range at {
		img[one+50] ^= 1
	}
	var told int
	for _, e := range list(t, img) {
		for _, f := range e.Findings {
			if f.Code == tutela.FindingDamaged {
				told++
			}
		}
	}
	if told == 0 {
		t.Error("nothing is said")
	}
}

// seal makes the checksum of a block right.
func seal(b []byte) {
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[32:], castagnoli))
}

// nodes are the blocks of the trees.
func nodes(t testing.TB, img []byte) (runs []tutela.Run) {
	t.Helper()
	fs, err := Open(evidencetest.Source(img))
	if err != nil {
		t.Fatal(err)
	}
	size := int64(fs.sb.node)
	for at := int64(0); at+size <= int64(len(img)); at += 4096 {
		b := img[at : at+size]
		if [16]byte(b[32:48]) == fs.sb.fsid && at != 64<<10 && fs.sb.goodSum(b) {
			runs = append(runs, tutela.Run{Offset: at, Length: size})
		}
	}
	if len(runs) == 0 {
		t.Fatal("no nodes")
	}
	return runs
}

// sealed opens an image with its checksums made right, so that damage is not
// stopped by them.
func sealed(runs []tutela.Run) evidencetest.Open {
	return func(src evidence.Source) (evidence.FileSystem, error) {
		b := make([]byte, src.Size())
		if _, err := src.ReadAt(b, 0); err != nil {
			return nil, err
		}
		for _, r := range append(runs, tutela.Run{Offset: 64 << 10, Length: superBytes}) {
			if r.Offset+r.Length <= int64(len(b)) {
				seal(b[r.Offset : r.Offset+r.Length])
			}
		}
		return Open(evidencetest.Source(b))
	}
}

func TestMutants(t *testing.T) {
	img := volume(t, "mixed")
	hot := nodes(t, img)
	heads := []tutela.Run{{Offset: 64<<10 + 32, Length: superBytes - 32}}
	for _, r := range hot {
		heads = append(heads, tutela.Run{Offset: r.Offset + 32, Length: 2000}, tutela.Run{Offset: r.Offset + 32, Length: r.Length - 32})
	}
	evidencetest.Mutants(t, sealed(hot), img, heads...)
	evidencetest.Mutants(t, openAny, img)
}

// FuzzOpen changes bytes of a whole volume: pairs of a node, a place in it and a
// byte. Checksums are made right.
func FuzzOpen(f *testing.F) {
	img := volume(f, "mixed")
	hot := nodes(f, img)
	open := sealed(hot)
	f.Add([]byte{0, 101, 0, 1})
	f.Add([]byte{3, 100, 0, 0x80, 3, 96, 0, 7})
	f.Fuzz(func(t *testing.T, changes []byte) {
		for ; len(changes) >= 4; changes = changes[4:] {
			r := hot[int(changes[0])%len(hot)]
			at := r.Offset + 32 + (int64(changes[1])|int64(changes[2])<<8)%(r.Length-32)
			old := img[at]
			defer func() { img[at] = old }()
			img[at] = changes[3]
		}
		evidencetest.Hostile(t, open, img)
	})
}
