package robustness

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"os"
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/pdq"
)

func TestThereAreTwentyEightTransforms(t *testing.T) {
	var names []string
	for _, transform := range Transforms() {
		names = append(names, transform.Name)
	}
	if len(names) != 28 {
		t.Errorf("%d transforms", len(names))
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != 28 {
		t.Error("two transforms have one name")
	}
}

func TestPicturesAreTheSameEachTime(t *testing.T) {
	limit := Limit{Photographs: 3, Drawings: 16}
	first, again := pictures(t, limit), pictures(t, limit)
	if len(first) != 19 {
		t.Fatalf("%d pictures", len(first))
	}
	for i := range first {
		if first[i].Name != again[i].Name || !bytes.Equal(first[i].JPEG, again[i].JPEG) {
			t.Errorf("%s differs", first[i].Name)
		}
	}
}

func TestAllPhotographsAreThereAndTheirLicencesTold(t *testing.T) {
	licences, err := os.ReadFile("testdata/pictures/LICENCES.md")
	if err != nil {
		t.Fatal(err)
	}
	all := pictures(t, Limit{Photographs: whole().Photographs + 1})
	if len(all) != whole().Photographs {
		t.Errorf("%d photographs", len(all))
	}
	for _, p := range all {
		if !bytes.Contains(licences, []byte("| "+p.Name+".jpg |")) {
			t.Errorf("the licence of %s is not told", p.Name)
		}
	}
}

func TestCopiesAreTheSameEachTime(t *testing.T) {
	set := pictures(t, Limit{Photographs: 5})
	for _, transform := range all() {
		first, err := transform.Copy(set, 4)
		if err != nil {
			t.Fatal(err)
		}
		again, err := transform.Copy(set, 4)
		if err != nil || !bytes.Equal(first.JPEG, again.JPEG) || !slices.Equal(first.Shows, again.Shows) {
			t.Errorf("%s: two copies differ (%v)", transform.Name, err)
		}
	}
}

func TestCopiesShowTheirOriginalFirst(t *testing.T) {
	set := pictures(t, Limit{Photographs: 5})
	for _, transform := range all() {
		c, err := transform.Copy(set, 1)
		if err != nil {
			t.Fatal(err)
		}
		want := 1
		if transform.Name == "mosaic" {
			want = 4
		}
		shown := slices.Compact(slices.Sorted(slices.Values(c.Shows)))
		if c.Shows[0] != 1 || len(shown) != want {
			t.Errorf("%s shows %v", transform.Name, c.Shows)
		}
	}
}

// Corners of an arrow-like picture tell every turn apart.
func TestTurnsMoveTheCorners(t *testing.T) {
	a, b, c, d := color.RGBA{1, 0, 0, 255}, color.RGBA{2, 0, 0, 255}, color.RGBA{3, 0, 0, 255}, color.RGBA{4, 0, 0, 255}
	original := image.NewRGBA(image.Rect(0, 0, 3, 2))
	original.SetRGBA(0, 0, a)
	original.SetRGBA(2, 0, b)
	original.SetRGBA(0, 1, c)
	original.SetRGBA(2, 1, d)
	for _, test := range []struct {
		name  string
		alter func(*bench) image.Image
		want  [4]color.RGBA // top left, top right, bottom left, bottom right
	}{
		{"rotate90", rotate90, [4]color.RGBA{b, d, a, c}},
		{"rotate180", rotate180, [4]color.RGBA{d, c, b, a}},
		{"rotate270", rotate270, [4]color.RGBA{c, a, d, b}},
		{"mirror", mirrored, [4]color.RGBA{b, a, d, c}},
		{"flip", flipped, [4]color.RGBA{c, d, a, b}},
	} {
		out := test.alter(&bench{RGBA: original}).(*image.RGBA)
		right, bottom := out.Rect.Max.X-1, out.Rect.Max.Y-1
		got := [4]color.RGBA{out.RGBAAt(0, 0), out.RGBAAt(right, 0), out.RGBAAt(0, bottom), out.RGBAAt(right, bottom)}
		if got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestAlterationsLeaveTheOriginalAlone(t *testing.T) {
	set := pictures(t, Limit{Photographs: 4})
	original, err := set[0].decode()
	if err != nil {
		t.Fatal(err)
	}
	before := slices.Clone(original.Pix)
	for _, transform := range all() {
		if _, err := transform.copyOf(original, set, 0); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(before, original.Pix) {
			t.Fatalf("%s changed the original", transform.Name)
		}
	}
}

// The rows that must be so whatever the pictures: what hardly changes one is
// found by its plain hash, what turns it is found by a variant only.
func TestASmallRunFindsWhatItMust(t *testing.T) {
	table, err := Run(context.Background(), Options{Limit: Limit{Photographs: 4, Drawings: 3}})
	if err != nil {
		t.Fatal(err)
	}
	known := table.Photographs + table.Drawings
	if known+len(table.Flat) != 7 || known < 5 {
		t.Fatalf("%d known, %d flat", known, len(table.Flat))
	}
	for _, r := range table.Rows {
		share := r.Both()
		if share.Copies != known || share.Plain > share.All || share.All > share.Copies {
			t.Errorf("%s: %+v", r.Name, share)
		}
		switch r.Name {
		case "greyscale", "JPEG quality 20":
			if share.Plain < known-1 {
				t.Errorf("%s: plain hashes find %d of %d", r.Name, share.Plain, known)
			}
		case "rotate 90°", "mirror":
			if share.Plain > 0 || share.All < known-1 {
				t.Errorf("%s: %+v", r.Name, share)
			}
		}
	}
	// a mosaic shows three others, of which some may be flat
	most := int64(len(all()) * known * (known - 1))
	if table.Comparisons > most || table.Comparisons < most-3*int64(known) {
		t.Errorf("%d comparisons of at most %d", table.Comparisons, most)
	}
	if len(table.False) > 0 {
		t.Errorf("false matches: %v", table.False)
	}
}

func TestACancelledRunEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, Options{Limit: Limit{Photographs: 2}}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// A made-up run, counted by hand.
func TestTabulate(t *testing.T) {
	set := []Picture{{Name: "a", Kind: Photograph}, {Name: "b", Kind: Drawing}, {Name: "flat", Kind: Drawing}}
	a, b := tutela.PDQ{}, tutela.PDQ{}
	for i := range b {
		b[i] = 0xff
	}
	nearA := tutela.PDQ{0xff, 0xff, 0xff} // 24 bits
	seen := [][]sighting{
		{{[]int{0}, []hash{{"", a}, {"border", nearA}}}, {[]int{0}, []hash{{"", b}}}, {[]int{0, 1}, []hash{{"mirror", nearA}, {"", b}}}},
		{{[]int{1}, []hash{{"", b}}}, {[]int{1}, nil}},
		nil,
	}
	got := tabulate(set, []*tutela.PDQ{&a, &b, nil}, seen)
	for i, want := range []Row{
		{Photographs: Share{1, 1, 1}, Drawings: Share{1, 1, 1}},
		{Photographs: Share{1, 0, 0}, Drawings: Share{1, 0, 0}},
		{Photographs: Share{1, 0, 1}},
	} {
		if r := got.Rows[i]; r.Photographs != want.Photographs || r.Drawings != want.Drawings {
			t.Errorf("row %d: %+v %+v", i, r.Photographs, r.Drawings)
		}
	}
	want := []Earned{{"", 4, 2, 1}, {"border", 1, 1, 0}, {"mirror", 1, 1, 1}}
	if !slices.Equal(got.Variants, want) {
		t.Errorf("variants %+v", got.Variants)
	}
	if got.Comparisons != 4 || got.Distances != 4 || len(got.False) != 1 || got.False[0].Known != "b" || got.Closest.Distance != 0 {
		t.Errorf("%d comparisons, %d distances, false %v, closest %v", got.Comparisons, got.Distances, got.False, got.Closest)
	}
	if got.Photographs != 1 || got.Drawings != 1 || !slices.Equal(got.Flat, []string{"flat"}) {
		t.Errorf("%d photographs, %d drawings, flat %v", got.Photographs, got.Drawings, got.Flat)
	}
}

func TestWriteTellsEveryRowAndEveryFalseMatch(t *testing.T) {
	table := &Table{Photographs: 1, Comparisons: 1234567, Flat: []string{"fog"}}
	table.Rows = []Row{{Transform: Transform{Name: "mirror"}, Photographs: Share{4, 1, 3}}}
	table.False = []Collision{{"mirror", "a", "rot90", "b", 30}}
	var b strings.Builder
	if err := table.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| mirror |  | 25 | 75 | 25 | 75 |", "25.0 %, with variants 75.0 %, 3.00 times",
		"1 false match in 1,234,567 comparisons", "- a (mirror, rot90) and b, 30 bits", "fog",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
}

func TestPageReplacesTheTableAndNothingElse(t *testing.T) {
	page, err := new(Table).Page([]byte("# Title\n" + begin + "old" + end + "\nprose\n"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := new(Table).Page(page)
	if err != nil || !bytes.Equal(page, again) {
		t.Errorf("written again it differs: %v", err)
	}
	if !bytes.HasPrefix(page, []byte("# Title\n")) || !bytes.HasSuffix(page, []byte("\nprose\n")) || bytes.Contains(page, []byte("old")) {
		t.Errorf("%s", page)
	}
	if _, err := new(Table).Page([]byte(begin)); err == nil {
		t.Error("a page without an end is taken")
	}
}

func TestSceneHashesAreFarApart(t *testing.T) {
	set := pictures(t, Limit{Drawings: 32})
	known, err := hashed(context.Background(), set)
	if err != nil {
		t.Fatal(err)
	}
	for i := range known {
		for k := range i {
			if known[i] != nil && known[k] != nil && pdq.Distance(*known[i], *known[k]) < 60 {
				t.Errorf("%s and %s are alike", set[i].Name, set[k].Name)
			}
		}
	}
}

func pictures(t *testing.T, l Limit) []Picture {
	t.Helper()
	set, err := Pictures(l)
	if err != nil {
		t.Fatal(err)
	}
	return set
}
