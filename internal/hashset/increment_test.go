package hashset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tutela"
)

// sizes and series make rows that differ in little.
func drawAssertion(t *rapid.T) tutela.Assertion {
	has := uint8(rapid.IntRange(0, 7).Draw(t, "has"))
	a := known(rapid.Uint64Range(1, 12).Draw(t, "content"), has, rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "code"))
	if has == 0 || rapid.IntRange(0, 3).Draw(t, "picture") == 0 {
		h := pdqAt(rapid.IntRange(0, 8).Draw(t, "pdq"))
		a.PDQ = &h
	}
	for range rapid.IntRange(0, 5).Draw(t, "frames") - 3 {
		a.Frames = append(a.Frames, pdqAt(rapid.IntRange(0, 12).Draw(t, "frame")))
	}
	a.Series = rapid.SampledFrom([]string{"", "", "A", "B"}).Draw(t, "series")
	a.Size = rapid.Int64Range(-1, 2).Draw(t, "size")
	return a
}

// plainMerge is what a list means: rows that say the same are one, and a size
// that is told wins, the smaller of two.
func plainMerge(all []tutela.Assertion) []tutela.Assertion {
	at := map[string]int{}
	var out []tutela.Assertion
	for _, a := range all {
		sizeless := a
		sizeless.Size = -1
		key := describe(&sizeless)
		i, there := at[key]
		switch {
		case !there:
			at[key] = len(out)
			out = append(out, a)
		case out[i].Size < 0 || a.Size >= 0 && a.Size < out[i].Size:
			out[i].Size = a.Size
		}
	}
	return out
}

func plainWithdraw(all, list []tutela.Assertion) []tutela.Assertion {
	return slices.DeleteFunc(slices.Clone(all), func(row tutela.Assertion) bool {
		return slices.ContainsFunc(list, func(a tutela.Assertion) bool {
			return text(a.MD5) == "" && text(a.SHA1) == "" && text(a.SHA256) == "" && a.PDQ == nil && a.Frames == nil ||
				(a.MD5 == nil || text(a.MD5) == text(row.MD5)) && (a.SHA1 == nil || text(a.SHA1) == text(row.SHA1)) &&
					(a.SHA256 == nil || text(a.SHA256) == text(row.SHA256)) && (a.PDQ == nil || text(a.PDQ) == text(row.PDQ)) &&
					(a.Frames == nil || fmt.Sprint(a.Frames) == fmt.Sprint(row.Frames))
		})
	})
}

// TestIncrementsAgainstWhole holds versions that are written as differences
// against the same rows compiled from nothing.
func TestIncrementsAgainstWhole(t *testing.T) {
	based := 0
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		s := &Store{dir}
		if err := os.Mkdir(filepath.Join(dir, "x"), 0o700); err != nil {
			rt.Fatal(err)
		}
		var want []tutela.Assertion
		for v := 1; v <= 3; v++ {
			list := rapid.SliceOfN(rapid.Custom(drawAssertion), 0, []int{40, 6}[min(v-1, 1)]).Draw(rt, "list")
			intent := Replace
			if v > 1 {
				intent = rapid.SampledFrom([]Intent{Replace, Add, Withdraw}).Draw(rt, "intent")
			}
			before := want
			switch intent {
			case Add:
				want = plainMerge(slices.Concat(want, list))
			case Withdraw:
				want = plainWithdraw(want, list)
			default:
				if v > 1 { // most of what was there, in another order, and some more
					keep := rapid.SliceOfN(rapid.Bool(), len(want), len(want)).Draw(rt, "keep")
					for i := range want {
						if keep[i] || i%4 != 0 {
							list = append([]tutela.Assertion{want[i]}, list...)
						}
					}
				}
				want = plainMerge(list)
			}
			m := meta("x", v, tutela.Alert)
			version, report := importRows(rt, s, m, list, intent)
			if d := diff(before, want); report.Added != d.added || report.Withdrawn != d.withdrawn || report.Unchanged != d.unchanged || report.Rows != int64(len(want)) {
				rt.Fatalf("report %+v, want %+v and %d rows", report, d, len(want))
			}
			set, err := s.Open("x", 0)
			if err != nil {
				rt.Fatal(err)
			}
			if set.Base() != 0 {
				based++
			}
			sameAsWhole(rt, set, version, want)
			if err := errors.Join(set.Damage(), set.Close()); err != nil {
				rt.Fatal(err)
			}
		}
	})
	if based < 50 {
		t.Errorf("only %d versions were based on another: is this test still about them?", based)
	}
}

type difference struct{ added, withdrawn, unchanged int64 }

func diff(before, after []tutela.Assertion) (d difference) {
	was := map[string]bool{}
	for i := range before {
		was[describe(&before[i])] = true
	}
	for i := range after {
		if was[describe(&after[i])] {
			d.unchanged++
		} else {
			d.added++
		}
	}
	d.withdrawn = int64(len(before)) - d.unchanged
	return d
}

func importRows(t interface{ Fatal(...any) }, s *Store, m Meta, list []tutela.Assertion, intent Intent) (tutela.SetVersion, Report) {
	r := slice(slices.Clone(list))
	var version tutela.SetVersion
	var report Report
	prev, err := s.Open(m.Name, 0)
	if errors.Is(err, ErrNoSet) {
		version, report, err = Compile(context.Background(), s.file(m.Name, m.Version, setSuffix), m, &r, Work{})
	} else if err == nil {
		version, report, err = compileChange(context.Background(), s.file(m.Name, m.Version, setSuffix), m, &r, prev, intent, Work{Memory: 4 << 10})
		err = errors.Join(err, prev.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return version, report
}

// sameAsWhole holds everything that a set answers, but for the numbers of rows,
// against the same rows compiled alone.
func sameAsWhole(t *rapid.T, set *Set, version tutela.SetVersion, rows []tutela.Assertion) {
	dir, err := os.MkdirTemp("", "whole")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	r := slice(slices.Clone(rows))
	path := filepath.Join(dir, "1.set")
	m := Meta{Name: version.Name, Version: version.Version, Status: version.Status, Scheme: version.Scheme, Format: version.Format, Imported: version.Imported}
	if _, _, err := Compile(context.Background(), path, m, &r, Work{}); err != nil {
		t.Fatal(err)
	}
	whole, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	a, b := set.Meta(), whole.Meta()
	a.Digest, b.Digest = tutela.SHA256{}, tutela.SHA256{}
	if a != b || set.Rows() != whole.Rows() || set.Counts() != whole.Counts() {
		t.Fatalf("%+v with %+v, want %+v with %+v", a, set.Counts(), b, whole.Counts())
	}
	for _, format := range []Export{ExportCSV, ExportMD5, ExportPDQ, ExportHashdeep} {
		var x, y bytes.Buffer
		set.Export(&x, format)
		whole.Export(&y, format)
		if !bytes.Equal(x.Bytes(), y.Bytes()) {
			t.Fatalf("exported as %s:\n%s\nwant\n%s", format, x.String(), y.String())
		}
	}
	sameRows(t, "all", rowsOf(set), rowsOf(whole))
	for n := range uint64(14) {
		answers := func(s *Set) (out []string) {
			for _, m := range NewSets(s).Match(7, &tutela.Record{Hashed: true, Digests: content(n), Picture: &tutela.Perceptual{PDQ: pdqAt(int(n)), Quality: 100}}) {
				row := s.Assertion(m.Row)
				m.Row = 0
				out = append(out, fmt.Sprint(m)+describe(&row))
			}
			for _, value := range []string{content(n).MD5.String(), content(n).SHA1.String(), content(n).SHA256.String(), pdqAt(int(n)).String()} {
				hits, err := NewSets(s).LookupValue(value)
				if err != nil {
					t.Fatal(err)
				}
				for _, h := range hits {
					out = append(out, value+fmt.Sprint(h.Kind, h.Distance)+describe(&h.Assertion))
				}
			}
			s.Video([]tutela.PDQ{pdqAt(int(n)), pdqAt(30)}, func(row uint64, query, known, distance int) {
				a := s.Assertion(row)
				out = append(out, fmt.Sprint("video", query, known, distance)+describe(&a))
			})
			return out
		}
		sameRows(t, fmt.Sprint("content ", n), answers(set), answers(whole))
	}
}

func rowsOf(s *Set) (out []string) {
	for row, a := range s.All() {
		b := s.Assertion(row)
		out = append(out, describe(&a)+describe(&b))
	}
	return out
}

func sameRows(t *rapid.T, what string, got, want []string) {
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("%s:\n%q\nwant\n%q", what, got, want)
	}
}

func TestADifferenceKeepsTheNumbersOfRows(t *testing.T) {
	s := store(t)
	if err := os.Mkdir(filepath.Join(s.dir, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	all := mixed(400)
	importRows(t, s, meta("x", 1, tutela.Alert), all, Replace)
	first, err := s.Open("x", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	importRows(t, s, meta("x", 2, tutela.Alert), append(all[5:], known(9000, hasExact, "1")), Replace)
	second, err := s.Open("x", 2)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if second.Base() != 1 || second.Rows() != 396 {
		t.Fatalf("based on %d, %d rows", second.Base(), second.Rows())
	}
	for row, a := range second.All() {
		if row == 400 {
			continue // the one that was added
		}
		if b := first.Assertion(row); describe(&a) != describe(&b) {
			t.Errorf("row %d was %s and is %s", row, describe(&b), describe(&a))
		}
	}
	if row, _, ok := second.Exact(content(9000)); !ok || row != 400 {
		t.Errorf("the row that was added is %d, %v", row, ok)
	}
	if _, _, ok := second.Exact(content(1)); ok {
		t.Error("a row that left still matches")
	}
	if _, _, ok := first.Exact(content(1)); !ok {
		t.Error("the version before has changed")
	}
	info1, _ := os.Stat(first.path)
	info2, _ := os.Stat(second.path)
	if info2.Size() > info1.Size()/2 {
		t.Errorf("a difference of 6 rows takes %d bytes, the whole %d", info2.Size(), info1.Size())
	}
}

func TestABaseThatIsAnotherIsRefused(t *testing.T) {
	s := store(t)
	if err := os.Mkdir(filepath.Join(s.dir, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	all := mixed(200)
	importRows(t, s, meta("x", 1, tutela.Alert), all, Replace)
	importRows(t, s, meta("x", 2, tutela.Alert), all[1:], Replace)
	path := s.file("x", 1, setSuffix)
	for _, name := range []string{path, path + digestSuffix} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Open("x", 2); err == nil {
		t.Error("opened without its base")
	}
	r := slice(all[2:])
	if _, _, err := Compile(context.Background(), path, meta("x", 1, tutela.Alert), &r, Work{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open("x", 2); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another base: error %v, want %v", err, ErrCorrupt)
	}
}

func TestAddAndWithdrawNeedAVersion(t *testing.T) {
	s := store(t)
	for _, intent := range []Intent{Add, Withdraw} {
		q := request("x", filepath.Join("testdata", "md5deep.txt"))
		q.Intent = intent
		if _, _, err := s.Import(context.Background(), q); !errors.Is(err, ErrNoSet) {
			t.Errorf("%s: error %v, want %v", intent, err, ErrNoSet)
		}
	}
}

func TestAddAndWithdrawGoOn(t *testing.T) {
	s := store(t)
	importSet(t, s, request("x", filepath.Join("testdata", "md5deep.txt")))
	q := ImportRequest{Name: "x", Files: []string{filepath.Join("testdata", "hashdeep.txt")}, Imported: noon, Intent: Add}
	v, report := importSet(t, s, q)
	if v.Status != tutela.Alert || v.Format != "checksums+hashdeep" || v.Count != 4 || report.Added != 2 || report.Unchanged != 2 {
		t.Errorf("added: %+v, report %+v", v, report)
	}
	q.Intent, q.Files = Withdraw, []string{filepath.Join("testdata", "md5deep.txt")}
	v, report = importSet(t, s, q)
	if v.Version != 3 || report.Withdrawn == 0 {
		t.Errorf("withdrawn: %+v, report %+v", v, report)
	}
	set, err := s.Open("x", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	src := set.Sources()
	if len(src) != 3 || src[1].Intent != Add || src[2].Intent != Withdraw {
		t.Errorf("sources %+v", src)
	}
}

// TestAListReplacesWhatIsDamaged holds that a damaged version can be replaced,
// and is not gone on from.
func TestAListReplacesWhatIsDamaged(t *testing.T) {
	s := store(t)
	if err := os.Mkdir(filepath.Join(s.dir, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	all := large(4000)
	importRows(t, s, meta("x", 1, tutela.Alert), all, Replace)
	path := s.file("x", 1, setSuffix)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[headSize+10] ^= 1 // in the SHA-256 digests
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	prev, err := s.Open("x", 1)
	if err != nil {
		t.Fatal(err)
	}
	r := slice(slices.Clone(all))
	_, _, err = compileChange(context.Background(), s.file("x", 2, setSuffix), meta("x", 2, tutela.Alert), &r, prev, Add, Work{})
	if err := errors.Join(prev.Close()); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, ErrCorrupt) {
		t.Errorf("added to a damaged version: error %v, want %v", err, ErrCorrupt)
	}
	_, report := importRows(t, s, meta("x", 2, tutela.Alert), all[10:], Replace)
	set, err := s.Open("x", 2)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	if set.Base() != 0 || set.Rows() != 3990 || report.Added != 3990 {
		t.Errorf("based on %d, %d rows, report %+v", set.Base(), set.Rows(), report)
	}
}
