package check

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

func drawnList() *BundleList {
	return &BundleList{
		Case: "2026-0815", To: "Court of First Instance, chamber 3", Purpose: "trial", Officer: "Erika Mustermann", Opened: 2,
		Issued: time.Date(2026, 11, 25, 21, 0, 0, 0, time.UTC),
		Files: []BundleFile{
			{Hash{1, 0xab}, 83, "checkpoint"}, {Hash{2}, 0, "events/0.entry"}, {Hash{3}, 1<<64 - 1, "report/a-b.txt"},
		},
	}
}

// drawnListText is the same, written by hand from docs/reference/bundle-format.md.
const drawnListText = "tutela-bundle@v1\ncase 2026-0815\nto Court of First Instance, chamber 3\npurpose trial\n" +
	"issued 2026-11-25T21:00:00Z\nofficer Erika Mustermann\nopened 2\n" +
	"01ab000000000000000000000000000000000000000000000000000000000000 83 checkpoint\n" +
	"0200000000000000000000000000000000000000000000000000000000000000 0 events/0.entry\n" +
	"0300000000000000000000000000000000000000000000000000000000000000 18446744073709551615 report/a-b.txt\n"

func TestBundleListHasOneForm(t *testing.T) {
	if got := string(drawnList().Text()); got != drawnListText {
		t.Fatalf("written:\n%s", got)
	}
	got, err := ParseBundleList([]byte(drawnListText))
	if err != nil || !reflect.DeepEqual(got, drawnList()) {
		t.Fatalf("read: %+v, %v", got, err)
	}
	for name, change := range map[string][2]string{
		"version 2":           {"@v1", "@v2"},
		"an empty value":      {"trial", ""},
		"a space behind":      {"trial", "trial "},
		"two spaces":          {"case ", "case  "},
		"a control character": {"trial", "tri\x1bal"},
		"a mark that turns":   {"trial", "tri\u202eal"},
		"an Arabic mark":      {"trial", "tri\u061cal"},
		"a line separator":    {"trial", "tri\u2028al"},
		"no UTF-8":            {"trial", "tri\xffal"},
		"a long value":        {"trial", strings.Repeat("a", 1001)},
		"another order":       {"to Court of First Instance, chamber 3\npurpose trial\n", "purpose trial\nto Court of First Instance, chamber 3\n"},
		"a leap second":       {"21:00:00Z", "21:00:60Z"},
		"a fraction":          {"21:00:00Z", "21:00:00.5Z"},
		"no such day":         {"2026-11-25", "2026-11-31"},
		"year 0":              {"2026-11-25", "0000-11-25"},
		"another zone":        {"00Z", "00+00:00"},
		"a leading zero":      {"opened 2", "opened 02"},
		"2⁶⁴":                 {"18446744073709551615", "18446744073709551616"},
		"capitals":            {"01ab", "01AB"},
		"a short hash":        {"01ab", "01a"},
		"not sorted":          {"checkpoint", "policy"},
		"twice":               {"events/0.entry", "checkpoint"},
		"BUNDLE itself":       {"checkpoint", "BUNDLE"},
		"its signature":       {"checkpoint", "BUNDLE.sig"},
		"no such place":       {"report/a-b.txt", "report/a_b.txt"},
		"no end":              {"a-b.txt\n", "a-b.txt"},
		"an empty line":       {"opened 2\n", "opened 2\n\n"},
	} {
		bad := strings.Replace(drawnListText, change[0], change[1], 1)
		if bad == drawnListText {
			t.Fatalf("%s: nothing changed", name)
		}
		if _, err := ParseBundleList([]byte(bad)); !errors.Is(err, ErrBundle) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBundlePaths(t *testing.T) {
	for path, want := range map[string]BundlePath{
		"BUNDLE": {Kind: PathList}, "BUNDLE.sig": {Kind: PathListSignature}, "policy": {Kind: PathPolicy},
		"events/0.entry":                    {Kind: PathEvent},
		"events/18446744073709551615.entry": {Kind: PathEvent, N: 1<<64 - 1},
		"trees/6-records/12.open":           {Kind: PathLeaf, N: 6, I: 12, Tree: "records"},
		"trees/6-matches/proof-sha512":      {Kind: PathTreeProof512, N: 6, Tree: "matches"},
		"content/6-records/1":               {Kind: PathContent, N: 6, I: 1, Tree: "records"},
		"prev/7.checkpoint":                 {Kind: PathPrevHead, N: 7},
		"time/7-3.tsr":                      {Kind: PathStamp, N: 7, I: 3},
		"time/0-0.ots":                      {Kind: PathAnchor},
		"report/...":                        {Kind: PathUnread},
		"gossip/a-1.checkpoint":             {Kind: PathUnread},
		"report/" + strings.Repeat("a", 93): {Kind: PathUnread},
	} {
		if got, err := ParseBundlePath(path); err != nil || got != want {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
	}
	for _, path := range []string{
		"", "bundle", "events", "events/", "events/01.entry", "events/+1.entry", "events/1.ENTRY", "events/1.entry/", "events//1.entry", "/policy", "./policy",
		"events/18446744073709551616.entry", "trees/1-other/1.open", "trees/1-records/1", "trees/-records/1.open", "content/1-matches/1", "content/1-records/",
		"time/1.tsr", "time/1-1.tsr.tsr", "time/1--1.tsr", "report/", "report/.", "report/..", "report/a/b", "report/A", "gossip/.checkpoint", "gossip/a.b.checkpoint",
		"tool/other.txt", "report/" + strings.Repeat("a", 94), "policy\x00", `events\1.entry`,
	} {
		if got, err := ParseBundlePath(path); !errors.Is(err, ErrBundle) {
			t.Errorf("%q: %+v, %v", path, got, err)
		}
	}
}

// TestTarHeadersAreUstar: the standard library reads what is written, and what
// is read is what was written and nothing else.
func TestTarHeadersAreUstar(t *testing.T) {
	for path, size := range map[string]uint64{"BUNDLE": 3, "report/" + strings.Repeat("a", 93): 0, "content/1-records/2": 1<<33 - 1} {
		h, err := TarHeader(path, size)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tar.NewReader(io.MultiReader(bytes.NewReader(h[:]), bytes.NewReader(make([]byte, 2048)))).Next()
		if err != nil || got.Name != path || got.Size != int64(size) || got.Mode != 0o644 || got.Typeflag != tar.TypeReg || got.Format != tar.FormatUSTAR {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
		for i := range h {
			for bit := range 8 {
				bad := h
				bad[i] ^= 1 << bit
				if p, n, err := ParseTarHeader(bad); err == nil {
					t.Fatalf("%s: bit %d of byte %d changed is read as %s of %d", path, bit, i, p, n)
				}
			}
		}
		if p, n, err := ParseTarHeader(h); err != nil || p != path || n != size {
			t.Errorf("%s: read as %s of %d, %v", path, p, n, err)
		}
	}
	if _, err := TarHeader("BUNDLE", 1<<33); !errors.Is(err, ErrBundle) {
		t.Errorf("8 GiB: %v", err)
	}
}

func FuzzParseBundleList(f *testing.F) {
	f.Add([]byte(drawnListText))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseBundleList(b)
		if err == nil && !bytes.Equal(l.Text(), b) {
			t.Errorf("read, and written as %q", l.Text())
		}
	})
}

func FuzzParseTarHeader(f *testing.F) {
	h, _ := TarHeader("trees/6-records/12.open", 29)
	f.Add(h[:])
	f.Fuzz(func(t *testing.T, b []byte) {
		var h [TarHeaderSize]byte
		copy(h[:], b)
		path, size, err := ParseTarHeader(h)
		if err != nil {
			return
		}
		if again, err := TarHeader(path, size); err != nil || again != h {
			t.Errorf("%q of %d: %v", path, size, err)
		}
		if strings.Contains(path, "..") && !strings.HasPrefix(path, "report/") {
			t.Errorf("path %q", path)
		}
	})
}
