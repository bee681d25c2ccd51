package ntfs

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
)

func has(o *observed, code string) bool {
	return slices.ContainsFunc(o.Findings, func(f tutela.Finding) bool { return f.Code == code })
}

// at is the entry of a path; only one must have it.
func at(t testing.TB, all []observed, path string) *observed {
	t.Helper()
	var found *observed
	for i := range all {
		if all[i].path() == path {
			if found != nil {
				t.Fatalf("two entries at %s", path)
			}
			found = &all[i]
		}
	}
	if found == nil {
		t.Fatalf("no entry at %s", path)
	}
	return found
}

func mustHave(t testing.TB, o *observed, code string) {
	t.Helper()
	if !has(o, code) {
		t.Errorf("%s: no finding %s in %v", o.path(), code, o.Findings)
	}
}

// recordOf is the record number of the entry at path.
func recordOf(t testing.TB, all []observed, path string) (n int64) {
	t.Helper()
	if _, err := fmt.Sscanf(at(t, all, path).Chain[0].At, "mft %d-", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// linux is the image with the most kinds of files, and its entries.
func linux(t testing.TB) ([]byte, []observed) {
	img := image(t, "linux.ntfs")
	return img, walkAll(t, mustOpen(t, img), evidence.Limits{})
}

func withoutRoot(all []observed) []observed {
	return slices.DeleteFunc(slices.Clone(all), func(o observed) bool { return o.path() == "/" })
}

func TestBackupBootSector(t *testing.T) {
	for _, name := range []string{"windows.ntfs", "sector4096.ntfs", "cluster128k.ntfs", "tiny.ntfs"} {
		good := image(t, name)
		want := walkAll(t, mustOpen(t, good), evidence.Limits{})
		for what, spoil := range map[string]func([]byte){
			"zeros":             func(b []byte) { clear(b[:512]) },
			"bad cluster size":  func(b []byte) { b[13] = 3 },
			"mft somewhere":     func(b []byte) { b[48], b[56] = b[48]+3, b[56]+5 },
			"no NTFS signature": func(b []byte) { copy(b[3:], "xxxxxxxx") },
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				img := bytes.Clone(good)
				spoil(img)
				got := walkAll(t, mustOpen(t, img), evidence.Limits{})
				mustHave(t, at(t, got, "/"), tutela.FindingBackupTable)
				compareContents(t, withoutRoot(got), want, "/$Boot")
			})
		}
	}
}

// compareContents expects the same entries with the same bytes, but for the path
// that was spoilt.
func compareContents(t *testing.T, got, want []observed, but string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d entries, not %d", len(got), len(want))
	}
	for i := range want {
		if got[i].path() != want[i].path() {
			t.Errorf("entry %d is %s, not %s", i, got[i].path(), want[i].path())
		} else if want[i].path() != but && !bytes.Equal(got[i].bytes, want[i].bytes) {
			t.Errorf("%s differs", want[i].path())
		}
	}
}

func TestNotNTFS(t *testing.T) {
	old := image(t, "tiny.ntfs") // formatted anew: the NTFS backup is still there
	clear(old[:512])
	copy(old[1080:], "\x53\xef")
	inside := append(make([]byte, 32256), image(t, "tiny.ntfs")...) // a disk with one partition
	for name, b := range map[string][]byte{
		"nothing": nil, "a byte": {1}, "zeros": make([]byte, 1<<20), "ext over ntfs": old, "partition": inside,
		"text": []byte(strings.Repeat("NTFS    ", 1000)),
	} {
		if _, err := Open(memory{bytes.NewReader(b)}); !errors.Is(err, evidence.ErrNotThis) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMirror(t *testing.T) {
	img := image(t, "linux.ntfs")
	want := walkAll(t, mustOpen(t, img), evidence.Limits{})
	copy(img[offsetOf(t, img, 0):], "RUIN")
	got := walkAll(t, mustOpen(t, img), evidence.Limits{})
	mustHave(t, at(t, got, "/"), tutela.FindingBackupTable)
	compareContents(t, withoutRoot(got), want, "/$MFT")

	fs := mustOpen(t, img)
	copy(img[fs.geo.mirror*fs.geo.cluster:], "RUIN")
	_, err := Open(memory{bytes.NewReader(img)})
	if err == nil || errors.Is(err, evidence.ErrNotThis) {
		t.Errorf("without any record 0: %v", err)
	}
}

func TestTornRecord(t *testing.T) {
	img, all := linux(t)
	img[offsetOf(t, img, recordOf(t, all, "/plain/many"))+fixupStride-1] ^= 0xff
	mustHave(t, at(t, walkAll(t, mustOpen(t, img), evidence.Limits{}), "/plain/many"), tutela.FindingDamaged)
}

func TestGarbageRecordIsTold(t *testing.T) {
	img, all := linux(t)
	copy(img[offsetOf(t, img, recordOf(t, all, "/plain/many")):], "RUIN")
	got := walkAll(t, mustOpen(t, img), evidence.Limits{})
	mustHave(t, at(t, got, "/"), tutela.FindingDamaged)
	if len(got) != len(all) { // one file less, the root more
		t.Errorf("%d entries, not %d", len(got), len(all))
	}
}

func TestEncrypted(t *testing.T) {
	img, all := linux(t)
	edit(t, img, recordOf(t, all, "/plain/many"), func(rec []byte) {
		binary.LittleEndian.PutUint16(find(t, rec, typeData, "")[12:], attributeEncrypted)
	})
	o := at(t, walkAll(t, mustOpen(t, img), evidence.Limits{}), "/plain/many")
	mustHave(t, o, tutela.FindingEncrypted)
	if o.failure == nil || len(o.Runs) > 0 || o.Size != 70001 {
		t.Errorf("failure %v, runs %v, size %d", o.failure, o.Runs, o.Size)
	}
}

func TestDirectoryLoop(t *testing.T) {
	img, all := linux(t)
	plain := parentOf(t, img, recordOf(t, all, "/plain/many"))
	names := parentOf(t, img, recordOf(t, all, "/names/first"))
	setParent(t, img, plain.number(), names)
	setParent(t, img, names.number(), plain)
	o := at(t, walkAll(t, mustOpen(t, img), evidence.Limits{}), "/$OrphanFiles/many")
	mustHave(t, o, tutela.FindingLoop)
	if o.State != tutela.Orphan {
		t.Errorf("state %v", o.State)
	}
}

func TestParentOfAnotherLife(t *testing.T) {
	img, all := linux(t)
	n := recordOf(t, all, "/plain/many")
	parent := parentOf(t, img, n)
	setParent(t, img, n, makeReference(parent.number(), parent.sequence()+1))
	o := at(t, walkAll(t, mustOpen(t, img), evidence.Limits{}), "/$OrphanFiles/many")
	mustHave(t, o, tutela.FindingDamaged)
	if o.State != tutela.Orphan || !bytes.Equal(o.bytes, at(t, all, "/plain/many").bytes) {
		t.Errorf("state %v, %d bytes", o.State, len(o.bytes))
	}
}

func parentOf(t testing.TB, img []byte, n int64) (ref reference) {
	edit(t, img, n, func(rec []byte) {
		ref = reference(binary.LittleEndian.Uint64(find(t, rec, typeFileName, "")[24:]))
	})
	return ref
}

func setParent(t testing.TB, img []byte, n int64, ref reference) {
	edit(t, img, n, func(rec []byte) {
		binary.LittleEndian.PutUint64(find(t, rec, typeFileName, "")[24:], uint64(ref))
	})
}

// TestMissingRuns: what no run names is an error of the read, never zeros.
func TestMissingRuns(t *testing.T) {
	img, all := linux(t)
	want := at(t, all, "/plain/many")
	edit(t, img, recordOf(t, all, "/plain/many"), func(rec []byte) {
		lcn := want.Runs[0].Offset / 512
		setRuns(t, find(t, rec, typeData, ""), []byte{0x31, 10, byte(lcn), byte(lcn >> 8), byte(lcn >> 16), 0})
	})
	o := at(t, walkAll(t, mustOpen(t, img), evidence.Limits{}), "/plain/many")
	mustHave(t, o, tutela.FindingDamaged)
	if o.failure == nil || !bytes.Equal(o.bytes, want.bytes[:10*512]) {
		t.Errorf("%d bytes, then %v", len(o.bytes), o.failure)
	}
}

func TestTruncatedImage(t *testing.T) {
	img, all := linux(t)
	want := at(t, all, "/pieces")
	last := slices.MaxFunc(want.Runs, func(a, b tutela.Run) int { return cmp.Compare(a.Offset, b.Offset) })
	got := walkAll(t, mustOpen(t, img[:last.Offset]), evidence.Limits{})
	mustHave(t, at(t, got, "/"), tutela.FindingTruncated)
	o := at(t, got, "/pieces")
	mustHave(t, o, tutela.FindingTruncated)
	if readError, ok := errors.AsType[*evidence.ReadError](o.failure); !ok || readError.Run != last {
		t.Errorf("failure %v", o.failure)
	}
	if !bytes.Equal(o.bytes, want.bytes[:len(o.bytes)]) || len(o.bytes) == 0 {
		t.Errorf("%d bytes before it, or others", len(o.bytes))
	}
}

func TestSparseBeyondTheVolume(t *testing.T) {
	img, all := linux(t)
	edit(t, img, recordOf(t, all, "/plain/hole"), func(rec []byte) {
		a := find(t, rec, typeData, "")
		setSizes(a, 1<<40, 1<<40)
		binary.LittleEndian.PutUint64(a[24:], 1<<31-1)
		setRuns(t, a, []byte{5, 0, 0, 0, 0x80, 0, 0})
	})
	o := at(t, walkAll(t, mustOpen(t, img), evidence.Limits{}), "/plain/hole")
	mustHave(t, o, tutela.FindingLimit)
	if o.failure == nil {
		t.Error("it was read")
	}
}

// claimAll makes the file at path claim every cluster of the volume.
func claimAll(t *testing.T, img []byte, all []observed, path string) {
	volume := mustOpen(t, img).geo
	edit(t, img, recordOf(t, all, path), func(rec []byte) {
		a := find(t, rec, typeData, "")
		n := volume.clusters()
		setSizes(a, uint64(volume.volumeBytes()-50000), uint64(volume.volumeBytes()-50000))
		binary.LittleEndian.PutUint64(a[24:], uint64(n-1))
		setRuns(t, a, []byte{0x12, byte(n), byte(n >> 8), 0, 0})
	})
}

func TestDeletedBytesAreBounded(t *testing.T) {
	img, all := linux(t)
	claimAll(t, img, all, "/$OrphanFiles/inside")
	claimAll(t, img, all, "/$OrphanFiles/orphan")
	got := walkAll(t, mustOpen(t, img), evidence.Limits{DeletedFactor: 1})
	first, second := at(t, got, "/$OrphanFiles/inside"), at(t, got, "/$OrphanFiles/orphan")
	if first.failure != nil || has(first, tutela.FindingLimit) {
		t.Errorf("the first: %v, %v", first.failure, first.Findings)
	}
	mustHave(t, first, tutela.FindingOverwritten)
	mustHave(t, second, tutela.FindingLimit)
	if second.failure == nil {
		t.Error("the second was read")
	}
}

// TestCrossLinkedFilesAreBounded: files in use cannot have the same clusters, so
// a volume full of files that do is not read for ever.
func TestCrossLinkedFilesAreBounded(t *testing.T) {
	img, all := linux(t)
	claimAll(t, img, all, "/plain/many")
	claimAll(t, img, all, "/links/cloud here")
	got := walkAll(t, mustOpen(t, img), evidence.Limits{})
	if o := at(t, got, "/plain/many"); o.failure != nil {
		t.Errorf("the first: %v", o.failure)
	}
	second := at(t, got, "/links/cloud here")
	mustHave(t, second, tutela.FindingLimit)
	if second.failure == nil {
		t.Error("the second was read")
	}
	if o := at(t, got, "/filler"); o.failure != nil {
		t.Errorf("a file after them: %v", o.failure)
	}
}

// TestFragmentedTable gives the MFT itself an attribute list: its second half is
// described by a record in its first half.
func TestFragmentedTable(t *testing.T) {
	img := image(t, "windows.ntfs")
	want := walkAll(t, mustOpen(t, img), evidence.Limits{})
	const spare, half = 20, 40 // a record not in use; the first one of the second part
	lcn := mustOpen(t, img).geo.mft
	run := func(from, n int64) []byte {
		at := lcn + from
		return []byte{0x22, byte(n), byte(n >> 8), byte(at), byte(at >> 8), 0}
	}
	size := mustOpen(t, img).mft.size
	blank(t, img, spare, makeReference(0, 1))
	edit(t, img, spare, func(rec []byte) { replace(t, rec, dataAttribute(half, 255, 0, run(half, 256-half))) })
	edit(t, img, 0, func(rec []byte) {
		list := append(listEntry(typeData, 0, makeReference(0, 1)), listEntry(typeData, half, makeReference(spare, 1))...)
		replace(t, rec, bytes.Clone(find(t, rec, typeStandardInformation, "")), residentAttribute(typeAttributeList, "", list),
			bytes.Clone(find(t, rec, typeFileName, "")), dataAttribute(0, half-1, uint64(size), run(0, half)))
	})
	got := walkAll(t, mustOpen(t, img), evidence.Limits{})
	compareContents(t, got, want, "/$MFT")
}

// TestListNamesForeignRecord: a list must not make one file of two.
func TestListNamesForeignRecord(t *testing.T) {
	img, all := linux(t)
	n := recordOf(t, all, "/plain/resident")
	other := recordOf(t, all, "/plain/many")
	edit(t, img, n, func(rec []byte) {
		list := append(listEntry(typeData, 0, makeReference(n, 1)), listEntry(typeData, 0, makeReference(other, 1))...)
		replace(t, rec, residentAttribute(typeAttributeList, "", list),
			fileNameAttribute(makeReference(recordRoot, 5), "lister"), residentAttribute(typeData, "", []byte("own")))
	})
	o := at(t, walkAll(t, mustOpen(t, img), evidence.Limits{}), "/lister")
	mustHave(t, o, tutela.FindingDamaged)
	if string(o.bytes) != "own" {
		t.Errorf("content %q", o.bytes)
	}
}

// TestLostExtension: a record whose base is gone is given as a file, so that its
// clusters are not lost.
func TestLostExtension(t *testing.T) {
	img, all := linux(t)
	n := recordOf(t, all, "/plain/resident")
	blank(t, img, n, makeReference(9999999, 3))
	edit(t, img, n, func(rec []byte) { replace(t, rec, residentAttribute(typeData, "kept", []byte("content"))) })
	o := at(t, walkAll(t, mustOpen(t, img), evidence.Limits{}), fmt.Sprintf("/$OrphanFiles/OrphanFile-%d:kept", n))
	if string(o.bytes) != "content" || o.State != tutela.Orphan {
		t.Errorf("%v, %q", o.State, o.bytes)
	}
}

// TestManyNamesAndStreams: their product is bounded, and that is told.
func TestManyNamesAndStreams(t *testing.T) {
	w := newWalker(mustOpen(t, image(t, "tiny.ntfs")), evidence.Limits{}, nil)
	var names, streams []attribute
	for i := range 40 {
		_, a, err := parseAttribute(fileNameAttribute(makeReference(recordRoot, 5), fmt.Sprint("name", i)))
		_, b, err2 := parseAttribute(residentAttribute(typeData, fmt.Sprint("stream", i), nil))
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		names, streams = append(names, a), append(streams, b)
	}
	var entries, told int
	w.visit = func(e *evidence.Entry) error {
		entries++
		if has(&observed{Entry: *e}, tutela.FindingLimit) {
			told++
		}
		return nil
	}
	f := file{record: record{head: head{1, flagInUse, true}, number: 70}, attributes: append(names, streams...)}
	if err := w.file(f); err != nil {
		t.Fatal(err)
	}
	if entries != 40 || told != 40 {
		t.Errorf("%d entries, %d told", entries, told)
	}
}

func TestBadClusters(t *testing.T) {
	img, _ := linux(t)
	edit(t, img, recordBadClus, func(rec []byte) {
		setRuns(t, find(t, rec, typeData, "$Bad"), []byte{1, 50, 0x11, 2, 40, 0})
	})
	o := at(t, walkAll(t, mustOpen(t, img), evidence.Limits{}), "/$BadClus:$Bad")
	if !bytes.Equal(o.bytes, img[40*512:42*512]) {
		t.Errorf("%d bytes, not those of the two bad clusters", len(o.bytes))
	}
}

func TestTimeBeyondReason(t *testing.T) {
	img, all := linux(t)
	edit(t, img, recordOf(t, all, "/plain/many"), func(rec []byte) {
		binary.LittleEndian.PutUint64(find(t, rec, typeStandardInformation, "")[24+8:], math.MaxUint64)
	})
	o := at(t, walkAll(t, mustOpen(t, img), evidence.Limits{}), "/plain/many")
	mustHave(t, o, tutela.FindingDamaged)
	if !o.Times.Modified.IsZero() || o.Times.Born.IsZero() {
		t.Errorf("times %v", o.Times)
	}
}

func TestLongPath(t *testing.T) {
	all := walkAll(t, mustOpen(t, image(t, "windows.ntfs")), evidence.Limits{NameBytes: 40})
	var told int
	for i := range all {
		if len(all[i].Path) > 40 {
			t.Errorf("%s: %d bytes", all[i].Path, len(all[i].Path))
		}
		if has(&all[i], tutela.FindingLimit) {
			told++
		}
	}
	if told == 0 {
		t.Error("no finding")
	}
}

// failing is a source with a stretch that cannot be read.
type failing struct {
	memory
	from, to int64
}

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off < f.to && off+int64(len(p)) > f.from {
		n := max(0, f.from-off)
		_, _ = f.memory.ReadAt(p[:n], off)
		return int(n), &evidence.ReadError{Run: tutela.Run{Offset: f.from, Length: f.to - f.from}, Err: errors.New("medium error")}
	}
	return f.memory.ReadAt(p, off)
}

func TestReadErrors(t *testing.T) {
	img, all := linux(t)
	bad := recordOf(t, all, "/plain/many")
	at0 := offsetOf(t, img, bad)
	fs, err := Open(failing{memory{bytes.NewReader(img)}, at0, at0 + 512})
	if err != nil {
		t.Fatal(err)
	}
	got := walkAll(t, fs, evidence.Limits{})
	mustHave(t, at(t, got, "/"), tutela.FindingReadError)
	if len(got) != len(all) {
		t.Errorf("%d entries, not all but one and the root", len(got))
	}

	want := at(t, all, "/plain/sparse")
	hole := want.Runs[1].Offset
	fs, err = Open(failing{memory{bytes.NewReader(img)}, hole, hole + 512})
	if err != nil {
		t.Fatal(err)
	}
	o := at(t, walkAll(t, fs, evidence.Limits{}), "/plain/sparse")
	if _, ok := errors.AsType[*evidence.ReadError](o.failure); !ok || !bytes.Equal(o.bytes, want.bytes[:len(o.bytes)]) {
		t.Errorf("failure %v after %d bytes", o.failure, len(o.bytes))
	}
}

func TestWalkStops(t *testing.T) {
	fs := mustOpen(t, image(t, "windows.ntfs"))
	stop := errors.New("enough")
	seen := 0
	err := fs.Walk(context.Background(), evidence.Limits{}, func(*evidence.Entry) error {
		seen++
		return stop
	})
	if err != stop || seen != 1 {
		t.Errorf("%v after %d entries", err, seen)
	}
	ctx, cancel := context.WithCancel(context.Background())
	err = fs.Walk(ctx, evidence.Limits{}, func(*evidence.Entry) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestContentAtRandom reads every content backwards in odd steps, after the walk
// is over, and puts it together from its runs.
func TestContentAtRandom(t *testing.T) {
	img, all := linux(t)
	var checked int
	for i := range all {
		o := &all[i]
		if o.Open == nil || o.failure != nil {
			continue
		}
		c, err := o.Open()
		if err != nil {
			t.Fatal(err)
		}
		r, ok := c.(io.ReaderAt)
		if !ok {
			if !strings.HasPrefix(o.path(), "/packed/") {
				t.Errorf("%s: no ReaderAt", o.path())
			}
			continue
		}
		got := make([]byte, len(o.bytes))
		for end := len(got); end > 0; {
			start := max(0, end-777)
			if _, err := r.ReadAt(got[start:end], int64(start)); err != nil && err != io.EOF {
				t.Fatal(err)
			}
			end = start
		}
		if !bytes.Equal(got, o.bytes) {
			t.Errorf("%s: read at random it differs", o.path())
		}
		for _, run := range o.Runs {
			if !bytes.Contains(o.bytes, img[run.Offset:run.Offset+run.Length]) {
				t.Errorf("%s: run %v is not part of it", o.path(), run)
			}
		}
		checked++
	}
	if checked < 50 {
		t.Errorf("only %d contents were read", checked)
	}
}
