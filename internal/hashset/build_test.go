package hashset

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tutela"
)

// slice is a Reader of what a test wrote down.
type slice []tutela.Assertion

func (s *slice) Next() (tutela.Assertion, error) {
	if len(*s) == 0 {
		return tutela.Assertion{}, io.EOF
	}
	a := (*s)[0]
	*s = (*s)[1:]
	return a, nil
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func meta(name string, version int, status tutela.Status) Meta {
	return Meta{Name: name, Version: version, Status: status, Scheme: "vics-default", Format: "csv", Imported: noon}
}

// compile makes a set in a new folder and opens it.
func compile(t testing.TB, m Meta, all []tutela.Assertion) (*Set, Report) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.set")
	r := slice(all)
	version, report, err := Compile(context.Background(), path, m, &r, Work{})
	if err != nil {
		t.Fatal(err)
	}
	return open(t, path, version), report
}

func open(t testing.TB, path string, version tutela.SetVersion) *Set {
	t.Helper()
	set, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	})
	if set.Meta() != version {
		t.Fatalf("opened %+v, compiled %+v", set.Meta(), version)
	}
	return set
}

// content is the digests of a made-up content.
func content(n uint64) tutela.Digests {
	b := binary.LittleEndian.AppendUint64(nil, n)
	return tutela.Digests{MD5: md5.Sum(b), SHA1: sha1.Sum(b), SHA256: sha256.Sum256(b)}
}

// known makes an assertion about a content by some of its digests.
func known(n uint64, has uint8, code string) tutela.Assertion {
	d := content(n)
	a := tutela.Assertion{Size: -1}
	if has&hasMD5 != 0 {
		a.MD5 = &d.MD5
	}
	if has&hasSHA1 != 0 {
		a.SHA1 = &d.SHA1
	}
	if has&hasSHA256 != 0 {
		a.SHA256 = &d.SHA256
	}
	if code != "" {
		a.Category = tutela.Category{Scheme: "vics-default", Code: code}
	}
	return a
}

func randomPDQ(r *rand.Rand) (h tutela.PDQ) {
	for i := 0; i < len(h); i += 8 {
		binary.LittleEndian.PutUint64(h[i:], r.Uint64())
	}
	return h
}

// mixed is a set with every combination of digests.
func mixed(n int) []tutela.Assertion {
	r := rand.New(rand.NewPCG(1, 2))
	var all []tutela.Assertion
	for i := range n {
		a := known(uint64(i), uint8(i%8), []string{"", "0", "1", "2"}[i%4])
		if i%8 == 0 || i%3 == 0 {
			h := randomPDQ(r)
			a.PDQ = &h
		}
		if i%5 == 0 {
			a.Series, a.Size = "series "+string(rune('A'+i%20)), int64(i)
		}
		all = append(all, a)
	}
	return all
}

func TestEveryRowIsThere(t *testing.T) {
	all := mixed(5000)
	set, report := compile(t, meta("mixed", 1, tutela.Alert), all)
	if report.Read != 5000 || report.Rows != 5000 || set.Rows() != 5000 {
		t.Fatalf("report %+v, %d rows", report, set.Rows())
	}
	want := map[string]bool{}
	for _, a := range all {
		want[describe(&a)] = true
	}
	for row, a := range set.All() {
		if !want[describe(&a)] {
			t.Fatalf("row %d was never asserted: %s", row, describe(&a))
		}
		delete(want, describe(&a))
	}
	if len(want) != 0 {
		t.Errorf("%d assertions are not in the set", len(want))
	}
}

func describe(a *tutela.Assertion) string {
	frames := ""
	for _, f := range a.Frames {
		frames += f.String()
	}
	return text(a.MD5) + text(a.SHA1) + text(a.SHA256) + "|" + text(a.PDQ) + frames + "|" + size(a.Size) + a.Category.String() + a.Series
}

func TestSpillingChangesNothing(t *testing.T) {
	all := mixed(4000)
	var files [][]byte
	for _, memory := range []int64{0, 1 << 20, 20 << 10} {
		path := filepath.Join(t.TempDir(), "x.set")
		r := slice(all)
		if _, _, err := Compile(context.Background(), path, meta("x", 1, tutela.Alert), &r, Work{Memory: memory}); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, b)
	}
	if !bytes.Equal(files[0], files[1]) || !bytes.Equal(files[0], files[2]) {
		t.Error("the memory at hand changed the bytes of the set")
	}
}

func TestDigestBesideTheFile(t *testing.T) {
	set, _ := compile(t, meta("x", 3, tutela.KnownGood), mixed(100))
	b, err := os.ReadFile(set.path)
	if err != nil {
		t.Fatal(err)
	}
	if set.Meta().Digest != sha256.Sum256(b) {
		t.Error("the digest is not that of the file")
	}
	if err := set.Verify(context.Background()); err != nil {
		t.Error(err)
	}
	if err := os.Remove(set.path + digestSuffix); err != nil {
		t.Fatal(err)
	}
	open(t, set.path, set.Meta())
}

func TestMerging(t *testing.T) {
	sized, series, other := known(1, hasMD5|hasSHA1, "1"), known(1, hasMD5|hasSHA1, "1"), known(1, hasMD5|hasSHA1, "2")
	sized.Size, series.Series = 13, "S"
	set, report := compile(t, meta("x", 1, tutela.Alert),
		[]tutela.Assertion{known(1, hasMD5|hasSHA1, "1"), sized, known(1, hasMD5|hasSHA1, "1"), series, other, known(1, hasMD5, "1")})
	if report.Read != 6 || report.Merged != 2 || report.Rows != 4 {
		t.Errorf("report %+v", report)
	}
	sizes := map[int64]int{}
	for _, a := range set.All() {
		sizes[a.Size]++
	}
	if sizes[13] != 1 {
		t.Errorf("sizes %v: the one that was told is lost", sizes)
	}
}

func TestTrivialDigestsAreRefused(t *testing.T) {
	empty := tutela.Digests{MD5: md5.Sum(nil), SHA1: sha1.Sum(nil), SHA256: sha256.Sum256(nil)}
	block := tutela.Digests{MD5: md5.Sum(make([]byte, 4096)), SHA1: sha1.Sum(make([]byte, 512)), SHA256: sha256.Sum256(make([]byte, 1<<20))}
	zeroMD5, zeroPDQ := tutela.MD5{}, tutela.PDQ{}
	kept := known(7, hasSHA256, "1")
	kept.MD5, kept.PDQ = &zeroMD5, &zeroPDQ
	set, report := compile(t, meta("x", 1, tutela.Alert), []tutela.Assertion{
		{MD5: &empty.MD5}, {SHA1: &empty.SHA1}, {SHA256: &empty.SHA256}, {MD5: &empty.MD5, SHA1: &empty.SHA1},
		{MD5: &block.MD5}, {SHA1: &block.SHA1}, {SHA256: &block.SHA256}, {PDQ: &zeroPDQ}, {}, kept,
	})
	want := Report{Read: 10, Rows: 1, NoDigest: 1, Refused: 8, Trivial: 11}
	if report.Unlisted != nil || report.Read != want.Read || report.Rows != want.Rows || report.NoDigest != want.NoDigest ||
		report.Refused != want.Refused || report.Trivial != want.Trivial {
		t.Errorf("report %+v, want %+v", report, want)
	}
	if a := set.Assertion(0); a.MD5 != nil || a.PDQ != nil || a.SHA256 == nil {
		t.Errorf("kept %s", describe(&a))
	}
}

func TestUnlistedCodesAreKeptAndFlagged(t *testing.T) {
	strange := known(1, hasMD5, "")
	strange.Category = tutela.Category{Scheme: "own", Code: "x"}
	set, report := compile(t, meta("x", 1, tutela.Alert), []tutela.Assertion{known(2, hasMD5, "9"), known(3, hasMD5, "9"), known(4, hasMD5, "1"), strange, known(5, hasMD5, "")})
	if len(report.Unlisted) != 2 || report.Unlisted[0].Category.String() != "own:x" || report.Unlisted[1].Count != 2 || report.Uncategorised != 1 {
		t.Errorf("report %+v", report)
	}
	if row, _, ok := set.Exact(content(2)); !ok || set.Assertion(row).Category.Code != "9" {
		t.Error("an assertion with an unlisted code was not kept")
	}
}

// broken fails after some assertions.
type broken struct{ left int }

func (b *broken) Next() (tutela.Assertion, error) {
	if b.left--; b.left < 0 {
		return tutela.Assertion{}, io.ErrUnexpectedEOF
	}
	return known(uint64(b.left), hasMD5, ""), nil
}

func TestAFailedCompileLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.set")
	if _, _, err := Compile(context.Background(), path, meta("x", 1, tutela.Alert), &broken{5000}, Work{Memory: 40 << 10}); err == nil {
		t.Fatal("no error")
	}
	stopped, cancel := context.WithCancel(context.Background())
	cancel()
	r := slice(mixed(10))
	if _, _, err := Compile(stopped, path, meta("x", 1, tutela.Alert), &r, Work{}); err == nil {
		t.Fatal("no error from a context that ended")
	}
	for _, m := range []Meta{meta("x", 0, tutela.Alert), meta("../x", 1, tutela.Alert), meta("x", 1, 0)} {
		r := slice(mixed(10))
		if _, _, err := Compile(context.Background(), path, m, &r, Work{}); err == nil {
			t.Errorf("%+v was compiled", m)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left %v, error %v", left, err)
	}
}

func TestAFailedPublishTakesBothBack(t *testing.T) {
	dir := t.TempDir()
	tmp, path := filepath.Join(dir, "tmp"), filepath.Join(dir, "none", "x.set")
	if err := os.WriteFile(tmp, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := publish(tmp, path, tutela.SHA256{}); err == nil {
		t.Error("published into a folder that is not there")
	}
	if err := publish(filepath.Join(dir, "no tmp"), filepath.Join(dir, "x.set"), tutela.SHA256{}); err == nil {
		t.Error("published what is not there")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left %v, error %v", left, err)
	}
}

func TestAVersionIsNeverReplaced(t *testing.T) {
	set, _ := compile(t, meta("x", 1, tutela.Alert), mixed(10))
	r := slice(mixed(20))
	if _, _, err := Compile(context.Background(), set.path, meta("x", 1, tutela.Alert), &r, Work{}); err == nil {
		t.Error("a set was compiled over another")
	}
}

func TestEmptySet(t *testing.T) {
	set, report := compile(t, meta("x", 1, tutela.Alert), nil)
	if report.Rows != 0 || set.Rows() != 0 {
		t.Errorf("report %+v", report)
	}
	if _, _, ok := set.Exact(content(1)); ok {
		t.Error("an empty set knows something")
	}
	set.Near(tutela.PDQ{}, 256, func(uint64, int) { t.Error("an empty set has something near") })
}
