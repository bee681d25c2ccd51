package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"tutela"
)

// drawn is one drawing for all tests that only look at it.
var drawn = sync.OnceValues(func() (*Plan, error) {
	dir, err := os.MkdirTemp("", "tutela-demo-")
	if err != nil {
		return nil, err
	}
	return Draw(context.Background(), dir, plainPDQ)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if plan, err := drawn(); err == nil {
		os.RemoveAll(filepath.Dir(plan.Folder))
	}
	os.Exit(code)
}

func plan(t *testing.T) *Plan {
	t.Helper()
	p, err := drawn()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTwoDrawingsAreEqual(t *testing.T) {
	first := plan(t)
	second, err := Draw(t.Context(), t.TempDir(), plainPDQ)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(first.Planted, second.Planted) {
		t.Error("other things were planted the second time")
	}
	a, b := listing(t, filepath.Dir(first.Folder)), listing(t, filepath.Dir(second.Folder))
	if !maps.Equal(a, b) {
		t.Errorf("the files differ:\n%v\n%v", a, b)
	}
}

// listing is what lies below dir: kind, time and digest of the content, or
// the target of a link.
func listing(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		if d.Type() == fs.ModeSymlink {
			out[rel], err = os.Readlink(name)
			return err
		}
		content, err := os.ReadFile(name)
		out[rel] = fmt.Sprintf("%s %x", d.Type(), sha256.Sum256(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFolderHoldsWhatIsPlanted(t *testing.T) {
	p := plan(t)
	lies := map[string]bool{}
	for name := range listing(t, p.Folder) {
		lies["/"+tutela.DisplayPath([]byte(filepath.ToSlash(name)))] = true
	}
	for _, planted := range p.Planted {
		if planted.Source != Folder {
			continue
		}
		outer, _, inside := strings.Cut(planted.Path, "!/")
		if planted.Volume != "" || inside != (planted.State == tutela.Embedded) {
			t.Errorf("%s: volume %q, state %v", planted.Path, planted.Volume, planted.State)
		}
		if !inside && !lies[outer] {
			t.Errorf("%s is planted and not there", planted.Path)
		}
		if !inside {
			delete(lies, outer)
		}
	}
	for name := range lies {
		t.Errorf("%s is there and not planted, or planted twice", name)
	}
}

// Names that a host may refuse must be there where the host is known to take
// them, or nobody would notice that they are never planted.
func TestOddNamesArePlanted(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other hosts refuse some of these names")
	}
	for _, path := range []string{`/desktop/caf\xe9.jpg`, `/desktop/two\x0alines.txt`, "/desktop/camera"} {
		if !slices.ContainsFunc(plan(t).Planted, func(p Planted) bool { return p.Path == path }) {
			t.Errorf("%s is not planted", path)
		}
	}
}

// Every expectation is held against the lists themselves: digests for exact
// ones, a plain PDQ for altered copies and for those that must not match.
func TestExpectationsFollowFromTheLists(t *testing.T) {
	p := plan(t)
	alert, near := readAlertList(t, p.AlertList)
	good := readKnownGood(t, p.KnownGoodList)
	seen := map[Expectation]int{}
	for planted, content := range contents(t, p) {
		seen[planted.Expect]++
		digest := fmt.Sprintf("%x", sha256.Sum256(content))
		closest := closestAlert(content, near)
		var says Expectation
		switch {
		case alert[digest]:
			says = AlertExact
		case good[digest]:
			says = KnownGood
		case closest <= 31:
			says = AlertNear
		default:
			says = Unknown
		}
		if says != planted.Expect {
			t.Errorf("%s %s: expected %s, the lists say %s (distance %d)", planted.Source, planted.Path, planted.Expect, says, closest)
		}
		// Decoders and implementations differ by some bits: no case may hang on them.
		if closest > 21 && closest < 70 {
			t.Errorf("%s %s: distance %d is too close to call", planted.Source, planted.Path, closest)
		}
	}
	t.Log(seen)
	for _, e := range []Expectation{AlertExact, AlertNear, KnownGood, Unknown} {
		if seen[e] < 10 {
			t.Errorf("only %d planted things are %s", seen[e], e)
		}
	}
}

// closestAlert is the least distance of a picture, as it is or mirrored or
// turned, to any alert; 256 if it is no picture.
func closestAlert(content []byte, near []string) int {
	img, _, err := image.Decode(bytes.NewReader(content))
	if err != nil {
		return 256
	}
	least := 256
	for _, small := range positions(smallLuma(img)) {
		for _, known := range near {
			least = min(least, distance(hashOf(small), known))
		}
	}
	return least
}

func readAlertList(t *testing.T, name string) (digests map[string]bool, pdqs []string) {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	if err != nil || len(rows) != 1+alertPictures || !slices.Equal(rows[0], []string{"sha256", "pdq", "category"}) {
		t.Fatalf("alert list: %v, %d rows", err, len(rows))
	}
	digests = map[string]bool{}
	for _, row := range rows[1:] {
		digests[row[0]] = true
		pdqs = append(pdqs, row[1])
	}
	return digests, pdqs
}

func readKnownGood(t *testing.T, name string) map[string]bool {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	digests := map[string]bool{}
	for line := range strings.Lines(string(content)) {
		digest, _, ok := strings.Cut(line, "  ")
		if raw, err := hex.DecodeString(digest); !ok || err != nil || len(raw) != sha256.Size {
			t.Fatalf("known-good list: %q", line)
		}
		digests[digest] = true
	}
	return digests
}

func TestDrawReplacesNothing(t *testing.T) {
	dir := filepath.Dir(plan(t).Folder)
	before := listing(t, dir)
	if _, err := Draw(t.Context(), dir, plainPDQ); err == nil || !strings.Contains(err.Error(), "there already") {
		t.Errorf("drawing over a drawing: %v", err)
	}
	if !maps.Equal(before, listing(t, dir)) {
		t.Error("something was changed")
	}
}

func TestDrawStopsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Draw(ctx, t.TempDir(), plainPDQ); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestFlatPicturesAreRefused(t *testing.T) {
	picture, err := drawStill(0)
	if err != nil {
		t.Fatal(err)
	}
	flat := func(image.Image) (string, int) { return strings.Repeat("0", 64), minQuality - 1 }
	if _, err := alertList(&album{alert: []still{picture}}, flat); err == nil || !strings.Contains(err.Error(), "too flat") {
		t.Errorf("got %v", err)
	}
}

// The demonstration must fit on any laptop, and be more than a toy.
func TestSizeOfTheWhole(t *testing.T) {
	total := int64(0)
	err := filepath.WalkDir(filepath.Dir(plan(t).Folder), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if total < 30e6 || total > 60e6 {
		t.Errorf("%d bytes in all", total)
	}
}
