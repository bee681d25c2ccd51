package lab

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/ledger"
	"tutela/internal/ledger/check"
)

// drawn is the i-th record of every scan in these tests; its content is its name.
func drawn(i int) *tutela.Record {
	name := fmt.Sprintf("/picture-%d.jpg", i)
	return &tutela.Record{
		Path: []byte(name), Kind: tutela.File, State: tutela.Allocated, Size: int64(len(name)),
		Hashed: true, Digests: tutela.Digests{SHA256: sha256.Sum256([]byte(name))}, Type: "image/jpeg",
	}
}

// sealedScan writes a sealed scan of records, with a match run that tells of
// every third leaf.
func sealedScan(t *testing.T, l *Lab, number int, records ...*tutela.Record) catalog.ScanID {
	t.Helper()
	id := catalog.ScanID{Exhibit: "A", Number: number}
	record(t, l, tutela.EventScanStart, "A", tutela.ScanStart{Exhibit: "A", Number: number, Profile: "standard"})
	tree, err := l.OpenRecords(id)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	for _, r := range records {
		if err := tree.Append(ledger.AppendRecord(nil, r)); err != nil {
			t.Fatal(err)
		}
	}
	root := committed(t, tree)
	record(t, l, tutela.EventSeal, "A", tutela.Seal{Exhibit: "A", Number: number, Root: root, Records: uint64(len(records))})
	matchRun(t, l, id, 1, len(records))
	return id
}

func committed(t *testing.T, tree *ledger.Tree) tutela.SHA256 {
	t.Helper()
	if err := tree.Commit(nil); err != nil {
		t.Fatal(err)
	}
	root, err := tree.Root()
	if err != nil {
		t.Fatal(err)
	}
	return tutela.SHA256(root)
}

func matchRun(t *testing.T, l *Lab, id catalog.ScanID, run, records int) {
	t.Helper()
	tree, err := l.OpenMatches(id, run)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	for leaf := 0; leaf < records; leaf += 3 {
		m := tutela.Match{Kind: tutela.MatchSHA256, Status: tutela.Alert, Leaf: uint64(leaf), Set: "known", Version: 1}
		if err := tree.Append(ledger.AppendMatch(nil, &m)); err != nil {
			t.Fatal(err)
		}
	}
	root := committed(t, tree)
	record(t, l, tutela.EventMatchRun, "A", tutela.MatchRun{Exhibit: "A", Number: id.Number, Run: run, Root: root, Matches: tree.Size(), Sets: []tutela.SetVersion{}})
	if _, err := l.refill(t.Context(), l.Catalog); err != nil {
		t.Fatal(err)
	}
}

// labOfTwo is a lab with one exhibit, two scans of ten records each, and a
// thumbnail of every content. The second scan is of the same evidence.
func labOfTwo(t *testing.T) (dir string, l *Lab) {
	t.Helper()
	dir = newLab(t)
	l = openLab(t, dir, Write)
	record(t, l, tutela.EventCaseOpen, "", tutela.Case{Number: "1", Status: tutela.CaseOpen})
	if err := l.AddExhibitSeed("A"); err != nil {
		t.Fatal(err)
	}
	record(t, l, tutela.EventSeize, "A", tutela.Exhibit{Label: "A", Case: "1"})
	var records []*tutela.Record
	for i := range 10 {
		records = append(records, drawn(i))
	}
	sealedScan(t, l, 1, records...)
	sealedScan(t, l, 2, records...)
	thumbs, err := l.OpenThumbs()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := thumbs.Put(r.Digests.SHA256, []byte("small")); err != nil {
			t.Fatal(err)
		}
	}
	if err := thumbs.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, l
}

var order = Erasure{Exhibit: "A", Scan: 1, Leaves: []uint64{6, 4}, Case: "1", Authority: "W-9", Reason: "ordered"}

// TestEraseWholeRound erases from a lab and looks everywhere.
func TestEraseWholeRound(t *testing.T) {
	t.Parallel()
	dir, l := labOfTwo(t)
	proofs := proofsOf(t, l)
	told, err := l.Erase(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	want := []tutela.ErasedScan{
		{Number: 1, Leaves: []uint64{4, 6}, Runs: []tutela.ErasedRun{{Run: 1, Leaves: []uint64{2}}}},
		{Number: 2, Leaves: []uint64{4, 6}, Runs: []tutela.ErasedRun{{Run: 1, Leaves: []uint64{2}}}},
	}
	if fmt.Sprint(told.Scans) != fmt.Sprint(want) {
		t.Errorf("erased %v, want %v", told.Scans, want)
	}
	wantErased(t, l, proofs)
	l.Close()
	wantNoTrace(t, dir)

	l = openLab(t, dir, Write)
	if _, err := l.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantErased(t, l, proofs)
	if _, err := l.Erase(t.Context(), order); !errors.Is(err, ledger.ErrErased) {
		t.Errorf("erased once more: %v", err)
	}
}

// proofsOf are proofs of all records of the first scan, as they were given out.
func proofsOf(t *testing.T, l *Lab) (proofs []*Proof) {
	t.Helper()
	scan, err := l.Catalog.Scan(t.Context(), catalog.ScanID{Exhibit: "A", Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	for leaf := range uint64(10) {
		p, err := l.Prove(t.Context(), scan, leaf)
		if err != nil {
			t.Fatal(err)
		}
		proofs = append(proofs, p)
	}
	return proofs
}

// wantErased checks that leaves 4 and 6 of both scans are gone, and that nothing
// else is.
func wantErased(t *testing.T, l *Lab, before []*Proof) {
	t.Helper()
	v, err := l.Verify(t.Context(), nil)
	if err != nil || len(v.Problems) > 0 || v.Records != 20 || v.Erased != 6 {
		t.Fatalf("%+v, %v", v, err)
	}
	if same, err := l.CompareCatalog(t.Context()); err != nil || !same {
		t.Errorf("the catalogue is not what it would be made as: %v", err)
	}
	for number := 1; number <= 2; number++ {
		wantScanErased(t, l, catalog.ScanID{Exhibit: "A", Number: number})
	}
	scan, err := l.Catalog.Scan(t.Context(), catalog.ScanID{Exhibit: "A", Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	for leaf, old := range before {
		if err := check.VerifyInclusion(old.Root, old.Size, uint64(leaf), old.Opening.Leaf(), old.Inclusion); err != nil || old.Root != before[0].Root {
			t.Errorf("what was given out of leaf %d: %v", leaf, err)
		}
		now, err := l.Prove(t.Context(), scan, uint64(leaf))
		if leaf == 4 || leaf == 6 {
			if !errors.Is(err, ledger.ErrErased) {
				t.Errorf("leaf %d was erased, and can be proven: %v", leaf, err)
			}
			continue
		}
		if err != nil || now.Root != old.Root || !slices.Equal(now.Inclusion, old.Inclusion) || !bytes.Equal(now.Opening.Body, old.Opening.Body) {
			t.Errorf("leaf %d cannot be proven as before: %v", leaf, err)
		}
	}
	wantThumbs(t, l)
	wantEvent(t, l)
}

func wantScanErased(t *testing.T, l *Lab, id catalog.ScanID) {
	t.Helper()
	scan, err := l.Catalog.Scan(t.Context(), id)
	if err != nil || scan.Erased != 2 {
		t.Errorf("%s: %d erased, %v", id, scan.Erased, err)
	}
	n := 0
	for hit, err := range l.Catalog.Find(t.Context(), catalog.Query{Exhibit: id.Exhibit, Scan: id.Number}) {
		if err != nil {
			t.Fatal(err)
		}
		gone := n == 4 || n == 6
		if ledger.Erased(&hit.Record) != gone || !gone && string(hit.Record.Path) != string(drawn(n).Path) {
			t.Errorf("%s leaf %d: %+v", id, n, hit.Record)
		}
		if met := !gone && n%3 == 0; len(hit.Matches) > 0 != met {
			t.Errorf("%s leaf %d met %v", id, n, hit.Matches)
		}
		n++
	}
	if n != 10 {
		t.Errorf("%s: %d records", id, n)
	}
}

func wantThumbs(t *testing.T, l *Lab) {
	t.Helper()
	thumbs, err := l.OpenThumbs()
	if err != nil {
		t.Fatal(err)
	}
	defer thumbs.Close()
	for i := range 10 {
		if thumbs.Has(drawn(i).Digests.SHA256) == (i == 4 || i == 6) {
			t.Errorf("thumbnail of record %d: there %v", i, i == 4 || i == 6)
		}
	}
}

func wantEvent(t *testing.T, l *Lab) {
	t.Helper()
	var events []catalog.Entry
	for e, err := range l.Catalog.Custody(t.Context(), catalog.About{Exhibit: "A"}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == tutela.EventErase {
			events = append(events, e)
		}
	}
	if len(events) != 1 || events[0].Authority != "W-9" || events[0].Case != "1" || events[0].Misfit != "" {
		t.Errorf("erase events: %+v", events)
	}
}

// wantNoTrace looks for what was erased in all files of the lab.
func wantNoTrace(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		if strings.HasSuffix(name, ".old") || strings.HasSuffix(name, ".new") || e.Name() == "erasing" {
			t.Errorf("%s was left behind", name)
		}
		b, err := os.ReadFile(name)
		for _, i := range []int{4, 6} {
			sum := drawn(i).Digests.SHA256
			if bytes.Contains(b, drawn(i).Path) || bytes.Contains(b, sum[:]) {
				t.Errorf("record %d is in %s", i, name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestEraseCrashes stops after every step, opens the lab again as anybody would,
// and finds everything done.
func TestEraseCrashes(t *testing.T) {
	whole, l := labOfTwo(t)
	proofs := proofsOf(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	crash := errors.New("crash")
	for _, at := range []string{"thumbnails", "notes", "run seeds", "record seeds", "blanks", "catalogue", "event", "done"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			dir := copyLab(t, whole)
			l := openLab(t, dir, Write)
			x := &eraser{Lab: l, reached: func(step string) error {
				if step == at {
					return crash
				}
				return nil
			}}
			if _, err := x.erase(t.Context(), order); !errors.Is(err, crash) {
				t.Fatal(err)
			}
			l.Close()
			l = openLab(t, dir, Write)
			wantErased(t, l, proofs)
			l.Close()
			wantNoTrace(t, dir)
		})
	}
}

// copyLab copies a lab that nobody has open.
func copyLab(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "lab")
	err := filepath.WalkDir(from, func(name string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at := filepath.Join(to, strings.TrimPrefix(name, from))
		if e.IsDir() {
			return os.MkdirAll(at, 0o700)
		}
		b, err := os.ReadFile(name)
		return errors.Join(err, os.WriteFile(at, b, 0o600))
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// TestEraseAsksBeforeLosing erases where the evidence had changed between two
// scans: the leaf of the same number is the record of another file there.
func TestEraseAsksBeforeLosing(t *testing.T) {
	t.Parallel()
	_, l := labOfTwo(t)
	sealedScan(t, l, 3, drawn(5), drawn(4), drawn(3), drawn(2), drawn(1))
	e := order
	e.Leaves = []uint64{1}
	_, err := l.Erase(t.Context(), e)
	var lost *LossError
	if !errors.As(err, &lost) || !errors.Is(err, ErrLoss) {
		t.Fatal(err)
	}
	want := []Loss{{1, 4, "/picture-4.jpg"}, {2, 4, "/picture-4.jpg"}, {3, 1, "/picture-4.jpg"}}
	if !slices.Equal(lost.Lost, want) {
		t.Errorf("%v would be lost, want %v", lost.Lost, want)
	}
	if v, err := l.Verify(t.Context(), nil); err != nil || v.Erased > 0 || len(v.Problems) > 0 {
		t.Fatalf("a refusal erased: %+v, %v", v, err)
	}
	e.AcceptLoss = true
	if _, err := l.Erase(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if v, err := l.Verify(t.Context(), nil); err != nil || len(v.Problems) > 0 {
		t.Fatalf("%+v, %v", v, err)
	}
}

func TestEraseRefuses(t *testing.T) {
	t.Parallel()
	_, l := labOfTwo(t)
	for _, change := range []func(*Erasure){
		func(e *Erasure) { e.Leaves = nil },
		func(e *Erasure) { e.Leaves = []uint64{10} },
		func(e *Erasure) { e.Scan = 3 },
		func(e *Erasure) { e.Exhibit = "B" },
	} {
		e := order
		change(&e)
		if _, err := l.Erase(t.Context(), e); err == nil {
			t.Errorf("erased: %+v", e)
		}
	}
	record(t, l, tutela.EventScanStart, "A", tutela.ScanStart{Exhibit: "A", Number: 3})
	tree, err := l.OpenRecords(catalog.ScanID{Exhibit: "A", Number: 3})
	if err != nil {
		t.Fatal(err)
	}
	tree.Close()
	if _, err := l.Erase(t.Context(), order); !errors.Is(err, ErrUnsealed) {
		t.Errorf("while a scan runs: %v", err)
	}
}

// TestScanAfterErasing scans, matches and erases again on an exhibit of which
// something was erased: trees that begin then have seeds of their own.
func TestScanAfterErasing(t *testing.T) {
	t.Parallel()
	dir, l := labOfTwo(t)
	if _, err := l.Erase(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	first := catalog.ScanID{Exhibit: "A", Number: 1}
	if _, err := l.OpenRecords(first); !errors.Is(err, ledger.ErrErased) {
		t.Errorf("a scan of which leaves were erased can grow: %v", err)
	}
	if _, err := l.OpenMatches(first, 1); !errors.Is(err, ledger.ErrErased) {
		t.Errorf("a match run of which leaves were erased can grow: %v", err)
	}
	matchRun(t, l, first, 2, 10)
	var records []*tutela.Record
	for i := range 12 {
		records = append(records, drawn(i))
	}
	third := sealedScan(t, l, 3, records...)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openLab(t, dir, Write)
	again := order
	again.Scan, again.Leaves = 3, []uint64{11, 6}
	told, err := l.Erase(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	if len(told.Scans) != 1 || told.Scans[0].Number != third.Number || !slices.Equal(told.Scans[0].Leaves, []uint64{6, 11}) {
		t.Errorf("%+v", told.Scans)
	}
	if v, err := l.Verify(t.Context(), nil); err != nil || len(v.Problems) > 0 || v.Erased != 6+3 {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestVerifyHoldsErasedAgainstTheLog erases behind the log's back.
func TestVerifyHoldsErasedAgainstTheLog(t *testing.T) {
	t.Parallel()
	_, l := labOfTwo(t)
	id := catalog.ScanID{Exhibit: "A", Number: 1}
	secret, err := l.recordsSecret(id)
	if err != nil {
		t.Fatal(err)
	}
	left, err := ledger.Puncture(secret, []uint64{2}, 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := (&eraser{Lab: l}).keepRuns(t.Context(), tutela.Erase{Exhibit: "A", Scans: []tutela.ErasedScan{{Number: 1}}}); err != nil {
		t.Fatal(err)
	}
	if err := l.safe.ReplaceSecret(l.recordsKey(id), left); err != nil {
		t.Fatal(err)
	}
	for _, number := range []int{1, 2} {
		if err := ledger.BlankErased(t.Context(), l.recordsDir(catalog.ScanID{Exhibit: "A", Number: number}), left); err != nil {
			t.Fatal(err)
		}
	}
	v, err := l.Verify(t.Context(), nil)
	if err != nil || len(v.Problems) != 2 || !strings.Contains(v.Problems[0], "no erase event") {
		t.Errorf("%+v, %v", v, err)
	}
}
