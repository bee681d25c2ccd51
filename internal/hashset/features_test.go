package hashset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"image"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/feature"
)

// scene draws a picture with many places, another for each seed.
func scene(seed uint64) *image.Gray {
	const side = 400
	r := rand.New(rand.NewPCG(seed, 7))
	m := image.NewGray(image.Rect(0, 0, side, side))
	for range 160 {
		radius, cx, cy, shade := 4+40*r.Float64()*r.Float64(), side*r.Float64(), side*r.Float64(), uint8(r.IntN(256))
		for i := range m.Pix {
			if dx, dy := float64(i%side)-cx, float64(i/side)-cy; dx*dx+dy*dy < radius*radius {
				m.Pix[i] = shade
			}
		}
	}
	return m
}

func contentOf(seed uint64) tutela.SHA256 { return sha256.Sum256([]byte{byte(seed)}) }

func featuresOf(t *testing.T, m *image.Gray) []byte {
	t.Helper()
	b, err := feature.Extract(m).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// scenes are known pictures of these seeds; 0 is a flat one.
func scenes(t *testing.T, seeds ...uint64) iter.Seq2[Picture, error] {
	return func(yield func(Picture, error) bool) {
		for _, seed := range seeds {
			m := image.NewGray(image.Rect(0, 0, 400, 400))
			if seed > 0 {
				m = scene(seed)
			}
			sum := contentOf(seed)
			if !yield(Picture{"picture", tutela.Assertion{SHA256: &sum, Size: 7}, featuresOf(t, m)}, nil) {
				return
			}
		}
	}
}

func importScenes(t *testing.T, s *Store, name string, intent Intent, seeds ...uint64) (tutela.SetVersion, Report) {
	t.Helper()
	return importSet(t, s, ImportRequest{Name: name, Status: tutela.Alert, Imported: noon, Intent: intent, Pictures: scenes(t, seeds...)})
}

func active(t *testing.T, s *Store) *Sets {
	t.Helper()
	sets, err := s.OpenActive()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sets.Close() })
	return sets
}

// met are the contents that a cut copy of a scene meets.
func met(t *testing.T, sets *Sets, seed uint64) (out []tutela.SHA256) {
	t.Helper()
	cut := scene(seed).SubImage(image.Rect(60, 50, 390, 360)).(*image.Gray)
	for _, m := range sets.Places(5, featuresOf(t, cut), "d") {
		if m.Kind != tutela.MatchFeature || m.Leaf != 5 || m.Decoder != "d" || m.QueryShare < 20 || m.QueryShare > 100 || !strings.HasSuffix(m.Variant, " places agree") {
			t.Errorf("%+v", m)
		}
		for _, set := range sets.All() {
			if meta := set.Meta(); meta.Name == m.Set && meta.Version == m.Version {
				out = append(out, *set.Assertion(m.Row).SHA256)
			}
		}
	}
	return out
}

func TestPlaces(t *testing.T) {
	s := store(t)
	v, report := importScenes(t, s, "known", Replace, 1, 2, 0, 3, 2)
	if v.Count != 4 || v.Format != "pictures" || report.Placeless != 1 || report.Merged != 1 {
		t.Fatalf("%+v, %+v", v, report)
	}
	importScenes(t, s, "other", Replace, 2)
	sets := active(t, s)
	if !sets.Features() || sets.All()[0].Features() != 3 || len(sets.All()[0].Sources()) != 5 {
		t.Fatalf("features of %d pictures, %d sources", sets.All()[0].Features(), len(sets.All()[0].Sources()))
	}
	for seed, want := range map[uint64]int{1: 1, 2: 2, 3: 1, 4: 0} {
		got := met(t, sets, seed)
		if len(got) != want {
			t.Fatalf("a copy of scene %d met %d pictures", seed, len(got))
		}
		for _, sum := range got {
			if sum != contentOf(seed) {
				t.Errorf("a copy of scene %d met another", seed)
			}
		}
	}
	mirrored := feature.Extract(scene(1)).Mirror()
	b, _ := mirrored.MarshalBinary()
	if got := sets.Places(0, b, ""); len(got) != 1 || !strings.HasSuffix(got[0].Variant, ", mirrored") {
		t.Errorf("mirrored: %+v", got)
	}
	if got := sets.Places(0, []byte("no features"), ""); got != nil || sets.Damage() != nil {
		t.Errorf("%v, %v", got, sets.Damage())
	}
	for _, set := range sets.All() {
		if err := set.Verify(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

// Features follow their rows through later versions.
func TestPlacesFollow(t *testing.T) {
	s := store(t)
	importScenes(t, s, "x", Replace, 1, 2, 11, 12, 13, 14, 15, 16)
	if v, _ := importScenes(t, s, "x", Add, 3); v.Count != 9 {
		t.Fatalf("%+v", v)
	}
	list := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(list, []byte(contentOf(2).String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if v, _ := importSet(t, s, ImportRequest{Name: "x", Imported: noon, Intent: Withdraw, Files: []string{list}}); v.Count != 8 {
		t.Fatalf("%+v", v)
	}
	sets := active(t, s)
	for seed, want := range map[uint64]int{1: 1, 2: 0, 3: 1} {
		if got := met(t, sets, seed); len(got) != want {
			t.Errorf("scene %d met %d", seed, len(got))
		}
	}
	if _, _, err := s.Import(context.Background(), ImportRequest{Name: "x", Imported: noon, Intent: Withdraw, Pictures: scenes(t, 1)}); err == nil {
		t.Error("pictures were withdrawn by themselves")
	}
	importSet(t, s, ImportRequest{Name: "x", Status: tutela.Alert, Imported: noon, Files: []string{list}})
	if active(t, s).Features() {
		t.Error("a list that replaced pictures has features")
	}
}

// Known-good pictures are never matched by likeness, nor by places.
func TestPlacesOfKnownGood(t *testing.T) {
	s := store(t)
	importSet(t, s, ImportRequest{Name: "x", Status: tutela.KnownGood, Imported: noon, Pictures: scenes(t, 1)})
	if sets := active(t, s); sets.Features() || len(met(t, sets, 1)) > 0 {
		t.Error("matched")
	}
}

// TestDamagedFeatures: no byte of the file can change unseen, and a file that is
// not there is told when the set is opened.
func TestDamagedFeatures(t *testing.T) {
	s := store(t)
	importScenes(t, s, "x", Replace, 1, 2)
	path := s.file("x", 1, featuresSuffix)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	query := featuresOf(t, scene(1))
	for at := 0; at < len(whole); at += 397 {
		bad := bytes.Clone(whole)
		bad[at] ^= 0x10
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		sets := active(t, s)
		if got := sets.Places(0, query, ""); len(got) > 0 || sets.Damage() == nil {
			t.Fatalf("byte %d: %+v, %v", at, got, sets.Damage())
		}
		if err := sets.All()[0].Verify(context.Background()); err == nil {
			t.Fatalf("byte %d: verified", at)
		}
	}
	for _, cut := range [][]byte{nil, whole[:100]} {
		if err := os.WriteFile(path, cut, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Open("x", 0); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d bytes: %v", len(cut), err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.OpenActive(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("without the file: %v", err)
	}
}

// An import that ends leaves nothing, and what a power cut left is swept away.
func TestFeaturesOfAnImportThatEnds(t *testing.T) {
	s := store(t)
	broken := errors.New("broken")
	_, _, err := s.Import(context.Background(), ImportRequest{Name: "x", Status: tutela.Alert, Imported: noon, Pictures: func(yield func(Picture, error) bool) {
		for p := range scenes(t, 1) {
			_ = yield(p, nil) && yield(Picture{}, broken)
		}
	}})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	stray := s.file("x", 1, featuresSuffix)
	if err := os.WriteFile(stray, []byte("stray"), 0o600); err != nil {
		t.Fatal(err)
	}
	importSet(t, s, request("x", filepath.Join("testdata", "hashdeep.txt")))
	left, err := filepath.Glob(filepath.Join(s.dir, "x", "[0-9]*"))
	if err != nil || len(left) != 2 {
		t.Errorf("left: %q, %v", left, err)
	}
	hidden, _ := filepath.Glob(filepath.Join(s.dir, "x", ".set-*"))
	if len(hidden) > 0 {
		t.Errorf("left: %q", hidden)
	}
}

func FuzzReadFeatures(f *testing.F) {
	f.Add([]byte("tutfea\r\n\x01\x00\x00\x00"))
	set, _ := feature.Set{}.MarshalBinary()
	f.Add(append(append([]byte("tutfea\r\n\x01\x00\x00\x00"), make([]byte, 32)...), append([]byte{byte(len(set)), 0}, set...)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		visited := uint64(0)
		n, err := readFeatures(context.Background(), bytes.NewReader(b), func(tutela.SHA256, feature.Set) { visited++ })
		if n != visited {
			t.Errorf("%d entries, visited %d", n, visited)
		}
		if err == nil && len(b) < featuresHead {
			t.Error("a file without a head")
		}
	})
}
