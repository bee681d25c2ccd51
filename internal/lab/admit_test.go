package lab

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/ledger"
)

// fieldLab is a lab for the field with two sealed scans of exhibit A, of which
// nobody has it open.
func fieldLab(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "field")
	if err := Init(t.Context(), dir, Config{Agency: "Field", Country: "XX", Field: true}, "kim"); err != nil {
		t.Fatal(err)
	}
	l := openLab(t, dir, Write)
	record(t, l, tutela.EventCaseOpen, "", tutela.Case{Number: "1", Status: tutela.CaseOpen})
	if err := l.AddExhibitSeed("A"); err != nil {
		t.Fatal(err)
	}
	record(t, l, tutela.EventSeize, "A", tutela.Exhibit{Label: "A", Case: "1"})
	sealedScan(t, l, 1, drawn(0), drawn(1), drawn(2), drawn(3))
	sealedScan(t, l, 2, drawn(0), drawn(1))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// officeLab is a lab that knows the case and nothing of the exhibit.
func officeLab(t *testing.T) string {
	t.Helper()
	dir := newLab(t)
	l := openLab(t, dir, Write)
	record(t, l, tutela.EventCaseOpen, "", tutela.Case{Number: "1", Status: tutela.CaseOpen})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func wantAdmitted(t *testing.T, l *Lab, scans int) {
	t.Helper()
	v, err := l.Verify(t.Context(), nil)
	if err != nil || len(v.Problems) > 0 || v.Second != 2*scans {
		t.Errorf("%+v, %v", v, err)
	}
	all, err := l.Catalog.Scans(t.Context(), "A")
	if err != nil || len(all) != scans {
		t.Errorf("%d scans, %v; want %d", len(all), err, scans)
	}
	if same, err := l.CompareCatalog(t.Context()); err != nil || !same {
		t.Errorf("the catalogue is what the ledgers say: %v, %v", same, err)
	}
	for _, s := range all {
		if _, err := l.Prove(t.Context(), s, 0); err != nil {
			t.Error(err)
		}
	}
	left, err := filepath.Glob(filepath.Join(l.exhibitDir("A"), "*admitting*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func nothing(Admitted) error { return nil }

// TestAdmitCrashes stops after each step. Before the intent nothing has happened;
// from then on the next opening finishes the scan, and calling again does the rest.
func TestAdmitCrashes(t *testing.T) {
	field, office := fieldLab(t), officeLab(t)
	crash := errors.New("crash")
	for _, at := range []string{"copied", "intent", "named", "event", "catalogue", "done"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			dir := copyLab(t, office)
			l := openLab(t, dir, Write)
			x := &admitter{Lab: l, reached: func(step string) error {
				if step == at {
					return crash
				}
				return nil
			}}
			if err := x.admit(t.Context(), Admission{From: field}, nothing); !errors.Is(err, crash) {
				t.Fatal(err)
			}
			l.Close()
			l = openLab(t, dir, Write)
			if at == "copied" {
				wantAdmitted(t, l, 0)
			} else {
				wantAdmitted(t, l, 1)
			}
			for range 2 {
				if err := l.Admit(t.Context(), Admission{From: field}, nothing); err != nil {
					t.Fatal(err)
				}
				wantAdmitted(t, l, 2)
			}
		})
	}
}

// TestAdmittedSeedsLieOnce: a seed that lay in two files could be erased from one
// of them and open the record by the other.
func TestAdmittedSeedsLieOnce(t *testing.T) {
	t.Parallel()
	field, office := fieldLab(t), officeLab(t)
	l := openLab(t, office, Write)
	if err := l.AddExhibitSeed("A"); err != nil { // known here, and never scanned
		t.Fatal(err)
	}
	record(t, l, tutela.EventSeize, "A", tutela.Exhibit{Label: "A", Case: "1"})
	if err := l.Admit(t.Context(), Admission{From: field}, nothing); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(filepath.Join(office, "keys", "exhibits"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files of seeds, %v", len(files), err)
	}
	if _, err := l.Erase(t.Context(), Erasure{Exhibit: "A", Scan: 1, Leaves: []uint64{1}, Case: "1", Reason: "order"}); err != nil {
		t.Fatal(err)
	}
	for _, number := range []int{1, 2} {
		tree, err := l.ReadRecords(catalog.ScanID{Exhibit: "A", Number: number})
		if err != nil {
			t.Fatal(err)
		}
		defer tree.Close()
		if _, err := tree.Body(1); !errors.Is(err, ledger.ErrErased) {
			t.Errorf("leaf 1 of scan %d: %v", number, err)
		}
	}
}

// TestAdmitRefusesDamage changes each byte-bearing file of the field's ledger in
// turn; nothing is admitted from any.
func TestAdmitRefusesDamage(t *testing.T) {
	t.Parallel()
	field, office := fieldLab(t), officeLab(t)
	l := openLab(t, office, Write)
	for _, name := range ledgerFiles(t, field) {
		whole, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		changed := append([]byte(nil), whole...)
		changed[len(changed)/2] ^= 4
		write(t, name, changed)
		if err := l.Admit(t.Context(), Admission{From: field}, nothing); err == nil {
			t.Errorf("%s was changed, and its scans were admitted", name)
		}
		write(t, name, whole)
	}
	if scans, err := l.Catalog.Scans(t.Context(), ""); err != nil || len(scans) > 0 {
		t.Errorf("%d scans, %v", len(scans), err)
	}
}

// TestAdmitRefusesLinks puts a link in the place of each file of the field's ledger and
// keys, which leads to the file itself: nothing is followed.
func TestAdmitRefusesLinks(t *testing.T) {
	t.Parallel()
	field, office := fieldLab(t), officeLab(t)
	l := openLab(t, office, Write)
	for _, name := range append(ledgerFiles(t, field), filepath.Join(field, "keys", "log.key")) {
		moved := filepath.Join(t.TempDir(), "moved")
		if err := errors.Join(os.Rename(name, moved), os.Symlink(moved, name)); err != nil {
			t.Fatal(err)
		}
		if err := l.Admit(t.Context(), Admission{From: field}, nothing); !errors.Is(err, ErrNotAdmissible) {
			t.Errorf("%s is a link: %v", name, err)
		}
		if err := os.Rename(moved, name); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAdmitEventThatLies: what an admit event says of the other log is held against
// the proof in it whenever the lab is verified.
func TestAdmitEventThatLies(t *testing.T) {
	t.Parallel()
	l := openLab(t, officeLab(t), Write)
	if err := l.Admit(t.Context(), Admission{From: fieldLab(t)}, nothing); err != nil {
		t.Fatal(err)
	}
	told := admitted(t, l)
	if err := verifyAdmit(&told); err != nil {
		t.Fatal(err)
	}
	for name, bend := range map[string]func(*tutela.Admit){
		"origin":     func(a *tutela.Admit) { a.Origin = "tutela/another" },
		"head size":  func(a *tutela.Admit) { a.HeadSize++ },
		"head root":  func(a *tutela.Admit) { a.HeadRoot[0] ^= 1 },
		"seal index": func(a *tutela.Admit) { a.SealIndex++ },
		"keys":       func(a *tutela.Admit) { a.LogKeys = l.LogKeys() },
		"proof":      func(a *tutela.Admit) { a.LogProof = strings.Replace(a.LogProof, "index ", "index 1", 1) },
		"salt":       func(a *tutela.Admit) { a.LogSalt[0] ^= 1 },
		"body":       func(a *tutela.Admit) { a.LogBody = append(a.LogBody[:0:0], a.LogBody[1:]...) },
		"actor":      func(a *tutela.Admit) { a.Actor = "somebody" },
		"root":       func(a *tutela.Admit) { a.Seal.Root[0] ^= 1 },
		"records":    func(a *tutela.Admit) { a.Seal.Records++ },
		"number":     func(a *tutela.Admit) { a.Number++ },
		"exhibit":    func(a *tutela.Admit) { a.Exhibit = "B" },
	} {
		bent := admitted(t, l)
		bend(&bent)
		if verifyAdmit(&bent) == nil {
			t.Errorf("%s: believed", name)
		}
	}
}

// admitted is the detail of the first admit event.
func admitted(t *testing.T, l *Lab) (a tutela.Admit) {
	t.Helper()
	log, err := l.ReadLog()
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range log.Events(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Event.Kind == tutela.EventAdmit {
			if err := tutela.DecodeDetail(e.Event.Detail, &a); err != nil {
				t.Fatal(err)
			}
			return a
		}
	}
	t.Fatal("no admit event")
	return a
}
