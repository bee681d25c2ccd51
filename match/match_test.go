package match_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tutela"
	"tutela/internal/hashset"
	"tutela/match"
)

func TestMain(m *testing.M) {
	match.Child()
	os.Exit(m.Run())
}

// bridge is a picture and its hash, from the vectors of package pdq.
const bridge = "../internal/pdq/testdata/bridge-mods_aaa-orig.png"

// opened is a matcher over a folder of sets: one knows a text by its MD5, one
// the bridge by a hash that differs from its own in a bit.
func opened(t *testing.T) *match.Matcher {
	t.Helper()
	dir := t.TempDir()
	store, err := hashset.OpenStore(filepath.Join(dir, "sets"))
	if err != nil {
		t.Fatal(err)
	}
	for name, list := range map[string]string{
		"texts":   "md5\nb1946ac92492d2347c6235b4d2611184\n",
		"bridges": "pdq,category\nd8f8f0cee0f4a84f0637022a078f67f0b36e2ed596621e1d33e6339c4e9c9b23,9\n",
	} {
		file := filepath.Join(dir, name+".csv")
		if err := os.WriteFile(file, []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
		q := hashset.ImportRequest{Name: name, Status: tutela.Alert, Files: []string{file}, Imported: time.Unix(1, 0)}
		if _, _, err := store.Import(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	m, err := match.Open(filepath.Join(dir, "sets"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func ask(t *testing.T, m *match.Matcher, content []byte) *match.Answer {
	t.Helper()
	a, err := m.Content(t.Context(), bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Sets) != 2 || a.Size != int64(len(content)) {
		t.Errorf("%d sets were asked about %d bytes", len(a.Sets), a.Size)
	}
	return a
}

func TestContent(t *testing.T) {
	m := opened(t)
	if a := ask(t, m, []byte("hello\n")); len(a.Matches) != 1 || a.Matches[0].Kind != tutela.MatchMD5 || a.Matches[0].Set != "texts" || a.Picture != nil {
		t.Errorf("a known text: %+v", a)
	}
	if a := ask(t, m, []byte("unknown\n")); len(a.Matches) != 0 || len(a.Findings) != 0 || a.Type != "text/plain" {
		t.Errorf("an unknown text: %+v", a)
	}
	data, err := os.ReadFile(bridge)
	if err != nil {
		t.Fatal(err)
	}
	a := ask(t, m, data)
	if len(a.Matches) != 1 {
		t.Fatalf("a picture that looks alike: %+v", a)
	}
	got := a.Matches[0]
	if got.Kind != tutela.MatchPDQ || got.Distance != 1 || got.Variant != "" || got.Scale != 0 || got.Decoder != a.Picture.Decoder || got.Category.Code != "9" {
		t.Errorf("met %+v, decoded by %s", got, a.Picture.Decoder)
	}
	if cut := ask(t, m, data[:100]); len(cut.Findings) != 1 || cut.Findings[0].Code != tutela.FindingNotDecoded || cut.Picture != nil {
		t.Errorf("a picture that was cut off: %+v", cut)
	}
}

func TestValue(t *testing.T) {
	m := opened(t)
	hits, err := m.Value("b1946ac92492d2347c6235b4d2611184")
	if err != nil || len(hits) != 1 || hits[0].Set.Name != "texts" {
		t.Errorf("%+v, %v", hits, err)
	}
	if _, err := m.Value("no digest"); err == nil {
		t.Error("what is no digest was looked up")
	}
}
