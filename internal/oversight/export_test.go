package oversight_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"tutela"
	"tutela/internal/actor"
	"tutela/internal/lab"
	"tutela/internal/ledger"
	"tutela/internal/ledger/check"
	"tutela/internal/oversight"
)

// newExport draws a lab in which people looked, and writes its export.
func newExport(t testing.TB, roots, reads int) (dir string, policy []byte) {
	t.Helper()
	return export(t, drawnLab(t, roots, reads))
}

func drawnLab(t testing.TB, roots, reads int) *lab.Lab {
	t.Helper()
	labDir := filepath.Join(t.TempDir(), "lab")
	if err := lab.Init(t.Context(), labDir, lab.Config{Agency: "A", Country: "XX"}, "lead"); err != nil {
		t.Fatal(err)
	}
	l, err := lab.Open(t.Context(), labDir, lab.Write, "lead")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r, err := l.OpenReads(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for root := range roots {
		for n := range reads {
			if _, err := r.Record(t.Context(), drawnLook(t, n)); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Root(t.Context()); err != nil {
			t.Fatalf("root %d: %v", root, err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	recordExport(t, l, "overseer")
	return l
}

func recordExport(t testing.TB, l *lab.Lab, by string) {
	t.Helper()
	ev, err := tutela.NewEvent(tutela.EventExport, time.Now(), by, tutela.Export{Format: "oversight", Purpose: "yearly audit"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Record(t.Context(), ev); err != nil {
		t.Fatal(err)
	}
}

func drawnLook(t testing.TB, n int) tutela.Event {
	detail, err := tutela.EncodeDetail(tutela.Look{Action: tutela.ActionView, Purpose: "identify the victim"})
	if err != nil {
		t.Fatal(err)
	}
	ev := tutela.Event{Kind: tutela.EventAccess, Actor: []string{"ada", "bo"}[n%2], Case: "1", Exhibit: "7-B", Authority: "W-1", Detail: detail}
	if n%5 == 4 {
		ev.Kind = tutela.EventRefused
	}
	return ev
}

func sourceOf(t testing.TB, l *lab.Lab) (oversight.Source, oversight.SignedHead) {
	t.Helper()
	log, err := l.ReadLog()
	if err != nil {
		t.Fatal(err)
	}
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.WitnessPolicy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	source := struct {
		*ledger.LogReader
		*lab.Lab
	}{log, l}
	return source, oversight.SignedHead{Policy: []byte(p.Text()), Checkpoint: head.Signed}
}

func export(t testing.TB, l *lab.Lab) (dir string, policy []byte) {
	t.Helper()
	source, head := sourceOf(t, l)
	dir = filepath.Join(t.TempDir(), "export")
	if _, err := oversight.Export(t.Context(), source, head, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := oversight.Export(t.Context(), source, head, dir); !errors.Is(err, oversight.ErrExported) {
		t.Errorf("exported over what was there: %v", err)
	}
	return dir, head.Policy
}

func audit(t testing.TB, dir string, given oversight.Given) *oversight.Audit {
	t.Helper()
	a, err := oversight.Verify(t.Context(), dir, given)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestExportTellsWhoLooked rebuilds who looked, under what and why, from the export
// alone.
func TestExportTellsWhoLooked(t *testing.T) {
	t.Parallel()
	dir, policy := newExport(t, 3, 10)
	var seen []oversight.Seen
	a := audit(t, dir, oversight.Given{Policies: [][]byte{policy}, Each: func(s oversight.Seen) error { seen = append(seen, s); return nil }})
	if !a.OK || a.Reads != 30 || a.Ledgers != 1 || len(a.Notes) > 0 || a.Exported != "overseer" {
		t.Fatalf("%+v", a)
	}
	if len(seen) != 31 || seen[1].Actor != "ada" || seen[1].Purpose != "identify the victim" || seen[1].Action != tutela.ActionView {
		t.Errorf("%d acts, %+v", len(seen), seen[1])
	}
	counts := map[string][2]uint64{}
	for _, u := range a.Uses {
		if u.Authority == "W-1" {
			counts[u.Person] = [2]uint64{u.Acts, u.Refused}
		}
	}
	if counts["ada"] != [2]uint64{12, 3} || counts["bo"] != [2]uint64{12, 3} {
		t.Errorf("%v", counts)
	}
	if text := strings.Join(a.NotProven, "\n"); strings.Contains(text, "keys are the lab's") {
		t.Errorf("with a policy that came by another way: %s", text)
	}
	if text := strings.Join(audit(t, dir, oversight.Given{}).NotProven, "\n"); !strings.Contains(text, "keys are the lab's") {
		t.Errorf("without one: %s", text)
	}
}

// TestExportByOtherKeys has the whole export made anew by somebody else.
func TestExportByOtherKeys(t *testing.T) {
	t.Parallel()
	_, policy := newExport(t, 1, 1)
	other, _ := newExport(t, 1, 1)
	if a := audit(t, other, oversight.Given{Policies: [][]byte{policy}}); a.OK {
		t.Error("an export by other keys was accepted")
	}
}

// TestExportEveryLineChanged drops, repeats, swaps, moves and changes every line of
// every file: nothing of it is accepted.
func TestExportEveryLineChanged(t *testing.T) {
	t.Parallel()
	dir, _ := newExport(t, 2, 3)
	tried := 0
	for _, name := range filesOf(t, dir) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		lines := slices.Collect(bytes.Lines(text))
		for i := range lines {
			for what, changed := range changes(lines, i) {
				if bytes.Equal(changed, text) {
					continue
				}
				tried++
				wantRefused(t, dir, name, changed, fmt.Sprintf("%s of line %d", what, i+1))
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if a := audit(t, dir, oversight.Given{}); !a.OK || tried < 100 {
		t.Errorf("%d changes; put back it says %v", tried, a.Problems)
	}
}

// changes are what can be done to line i.
func changes(lines [][]byte, i int) map[string][]byte {
	next := (i + 1) % len(lines)
	swapped := slices.Clone(lines)
	swapped[i], swapped[next] = swapped[next], swapped[i]
	flipped := slices.Clone(lines)
	flipped[i] = bytes.Clone(lines[i])
	flipped[i][len(lines[i])/2] ^= 1
	return map[string][]byte{
		"drop":    bytes.Join(slices.Delete(slices.Clone(lines), i, i+1), nil),
		"repeat":  bytes.Join(slices.Insert(slices.Clone(lines), i, lines[i]), nil),
		"swap":    bytes.Join(swapped, nil),
		"change":  bytes.Join(flipped, nil),
		"blank":   bytes.Join(slices.Insert(slices.Clone(lines), i, []byte("\n")), nil),
		"replace": bytes.Join(slices.Replace(slices.Clone(lines), i, i+1, lines[next]), nil),
		"cut":     bytes.Join(slices.Clone(lines)[:i], nil),
	}
}

func wantRefused(t *testing.T, dir, name string, changed []byte, what string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), changed, 0o600); err != nil {
		t.Fatal(err)
	}
	if a := audit(t, dir, oversight.Given{}); a.OK {
		t.Errorf("%s: accepted after %s", name, what)
	}
}

func filesOf(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names
}

// TestExportRandomlyChanged changes bits of a larger export at random places.
func TestExportRandomlyChanged(t *testing.T) {
	t.Parallel()
	dir, _ := newExport(t, 4, 60)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	for _, name := range filesOf(t, dir) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for range 80 {
			changed, at := bytes.Clone(text), random.IntN(len(text))
			changed[at] ^= 1 << random.IntN(8)
			wantRefused(t, dir, name, changed, fmt.Sprintf("a bit of byte %d, seed %d", at, seed))
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestExportFilesAddedAndTaken takes each file away, and adds one.
func TestExportFilesAddedAndTaken(t *testing.T) {
	t.Parallel()
	dir, _ := newExport(t, 1, 2)
	for _, name := range filesOf(t, dir) {
		path := filepath.Join(dir, name)
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		if a := audit(t, dir, oversight.Given{}); a.OK {
			t.Errorf("accepted without %s", name)
		}
		if err := os.Rename(path+".away", path); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "reads-2.jsonl"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if a := audit(t, dir, oversight.Given{}); a.OK {
		t.Error("accepted with a file that does not belong to it")
	}
}

// TestVerifyEndsWithItsContext gives up in the middle.
func TestVerifyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	dir, _ := newExport(t, 1, 2)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := oversight.Verify(ctx, dir, oversight.Given{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// BenchmarkVerify tells how many leaves and entries a second are checked.
func BenchmarkVerify(b *testing.B) {
	dir, _ := newExport(b, 1, 2000)
	for b.Loop() {
		if a := audit(b, dir, oversight.Given{}); !a.OK {
			b.Fatal(a.Problems)
		}
	}
	b.ReportMetric(2004*float64(b.N)/b.Elapsed().Seconds(), "leaves/s")
}

// BenchmarkExport tells how many leaves and entries a second are exported and
// verified.
func BenchmarkExport(b *testing.B) {
	l := drawnLab(b, 1, 2000)
	source, head := sourceOf(b, l)
	where, n := b.TempDir(), 0
	for b.Loop() {
		n++
		if _, err := oversight.Export(b.Context(), source, head, filepath.Join(where, fmt.Sprint(n))); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2004*float64(b.N)/b.Elapsed().Seconds(), "leaves/s")
}

// lying is a lab that changes what it opens.
type lying struct {
	oversight.Source
	entries, reads func(iter.Seq2[check.Opening, error]) iter.Seq2[check.Opening, error]
}

func (l lying) Openings(ctx context.Context, n uint64) iter.Seq2[check.Opening, error] {
	if l.entries == nil {
		return l.Source.Openings(ctx, n)
	}
	return l.entries(l.Source.Openings(ctx, n))
}

func (l lying) ReadOpenings(ctx context.Context, period int, n uint64) iter.Seq2[check.Opening, error] {
	if l.reads == nil {
		return l.Source.ReadOpenings(ctx, period, n)
	}
	return l.reads(l.Source.ReadOpenings(ctx, period, n))
}

// withoutOne leaves the second opening out.
func withoutOne(all iter.Seq2[check.Opening, error]) iter.Seq2[check.Opening, error] {
	return func(yield func(check.Opening, error) bool) {
		n := 0
		for o, err := range all {
			if n++; n != 2 && !yield(o, err) {
				return
			}
		}
	}
}

// otherPurpose has the second opening say something else.
func otherPurpose(all iter.Seq2[check.Opening, error]) iter.Seq2[check.Opening, error] {
	return func(yield func(check.Opening, error) bool) {
		n := 0
		for o, err := range all {
			if n++; n == 2 {
				o.Body = bytes.Replace(o.Body, []byte("victim"), []byte("friend"), 1)
				o.Body = bytes.Replace(o.Body, []byte("lead"), []byte("bead"), 1)
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

// TestExportOfWhatIsNotTheLog makes exports of ledgers that were changed, by the rules of
// the format: nothing is left of them.
func TestExportOfWhatIsNotTheLog(t *testing.T) {
	t.Parallel()
	l := drawnLab(t, 1, 4)
	source, head := sourceOf(t, l)
	for name, from := range map[string]lying{
		"entry left out": {Source: source, entries: withoutOne},
		"entry changed":  {Source: source, entries: otherPurpose},
		"leaf left out":  {Source: source, reads: withoutOne},
		"leaf changed":   {Source: source, reads: otherPurpose},
	} {
		dir := filepath.Join(t.TempDir(), "export")
		if _, err := oversight.Export(t.Context(), from, head, dir); err == nil || !strings.Contains(err.Error(), "does not verify") {
			t.Errorf("%s: %v", name, err)
		}
		if left := filesOf(t, filepath.Dir(dir)); len(left) > 0 {
			t.Errorf("%s: left behind %q", name, left)
		}
	}
}

// TestExportHoldsSignatures has a person sign, whose key the log enrols.
func TestExportHoldsSignatures(t *testing.T) {
	t.Parallel()
	l := drawnLab(t, 0, 0)
	key, err := actor.FromSeed([32]byte{1}, "lead")
	if err == nil {
		err = l.EnrolKey(t.Context(), "lead", key.VerifierKey())
	}
	if err == nil {
		err = l.SignWith(t.Context(), key)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		recordExport(t, l, "lead")
	}
	dir, _ := export(t, l)
	if a := audit(t, dir, oversight.Given{}); !a.OK || a.Signed < 2 {
		t.Errorf("%d signed, %q", a.Signed, a.Problems)
	}
}

// TestExportWithWitness has a witness's cosignature count, and be missed.
func TestExportWithWitness(t *testing.T) {
	t.Parallel()
	l := drawnLab(t, 1, 1)
	source, head := sourceOf(t, l)
	vkey, err := check.CosignerKey("court.example/w1", make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	policy := strings.Replace(string(head.Policy), "quorum none\n", "witness court "+vkey+"\nquorum court\n", 1)
	parsed, err := check.ParsePolicy([]byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	head.Policy = []byte(parsed.Text())
	dir := filepath.Join(t.TempDir(), "export")
	if _, err := oversight.Export(t.Context(), source, head, dir); !errors.Is(err, check.ErrCheckpoint) {
		t.Fatalf("without the witness: %v", err)
	}
	signer, err := check.NewCosigner("court.example/w1", make([]byte, 32), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	head.Checkpoint = cosign(t, head.Checkpoint, signer)
	a, err := oversight.Export(t.Context(), source, head, dir)
	if err != nil || !strings.Contains(strings.Join(a.Proven, "\n"), "witness court") || strings.Contains(strings.Join(a.NotProven, "\n"), "same log") {
		t.Errorf("%+v, %v", a, err)
	}
}

// cosign puts a witness's line to a head.
func cosign(t *testing.T, signed []byte, by note.Signer) []byte {
	t.Helper()
	text, _, _ := bytes.Cut(signed, []byte("\n\n"))
	own, err := note.Sign(&note.Note{Text: string(text) + "\n"}, by)
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := bytes.Cut(own, []byte("\n\n"))
	return append(bytes.Clone(signed), line...)
}
