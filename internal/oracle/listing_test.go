package oracle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func recorded(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestPartitions(t *testing.T) {
	for name, want := range map[string][]partition{
		"mmls-dos.txt": {{65536, 17825792, "Win95 FAT16 (0x0e)"}},
		"mmls-gpt.txt": {{1048576, 16777216, "home"}, {18874368, 4194304, "disc"}},
	} {
		got, err := parsePartitions(strings.NewReader(recorded(t, name)))
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %v, %v", name, got, err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: %+v, want %+v", name, got[i], want[i])
			}
		}
	}
	big := "Units are in 4096-byte sectors\n000:  000       0000000006   0000000009   0000000004   data\n"
	if got, err := parsePartitions(strings.NewReader(big)); err != nil || len(got) != 1 || got[0].offset != 6*4096 || got[0].length != 4*4096 {
		t.Errorf("sectors of 4096 bytes: %v, %v", got, err)
	}
	absurd := "000:  000       0000000006   0000000009   999999999999999   data\n"
	if got, err := parsePartitions(strings.NewReader(absurd)); err == nil {
		t.Errorf("a partition larger than any disk: %v", got)
	}
}

func TestRows(t *testing.T) {
	all := map[string]row{}
	count := 0
	err := parseRows(strings.NewReader(recorded(t, "fls.txt")), func(r row) error {
		all[r.path] = r
		count++
		return nil
	})
	if err != nil || count != strings.Count(recorded(t, "fls.txt"), "\n") {
		t.Fatalf("%d rows: %v", count, err)
	}
	for _, want := range []row{
		{'r', 'r', true, false, "13", "_EADME.md", 496},
		{'r', 'r', true, true, "22", "directory1/subdirectory1/.fortune4.XeUb7T", 65},
		{'-', 'r', true, false, "37-128-3", "deleted.bin", 0},
		{'r', 'r', false, false, "46-128-5", "Folder A/Folder B/Hello world text document.txt:goodbye.txt", 20},
		{'d', 'd', false, false, "18", "^^^^HFS+ Private Data", 0},
	} {
		if got := all[want.path]; got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

func TestRowsThatAreNone(t *testing.T) {
	for _, line := range []string{
		"", "r/r 5", "r/r x:\tname\ta\tb\tc\td\t1\t0\t0", "r/r 5:\tname\ta\tb\tc\td\t-1\t0\t0", "r/r 5:\tname\ta\tb\tc\td\tmany\t0\t0",
		"r/r 5:\tname\ta\tb\tc\td\t0\t0", "r/r 5:\ttab\tname\ta\tb\tc\td\t1\t0\t0", "r/r -h:\tname\ta\tb\tc\td\t1\t0\t0",
	} {
		if got, err := parseRow(line); err == nil {
			t.Errorf("%q is %+v", line, got)
		}
	}
}

func TestAside(t *testing.T) {
	for want, all := range map[string][]row{
		"":               {{nameType: 'r', metaType: 'r'}, {nameType: '-', metaType: 'r', deleted: true}, {nameType: 'l', metaType: 'l'}, {nameType: 'r', metaType: '-'}},
		"folder":         {{nameType: 'd', metaType: 'd'}, {nameType: '-', metaType: 'd', deleted: true}, {nameType: 'd', metaType: 'r', realloc: true}},
		"made up by tsk": {{nameType: 'v', metaType: 'v', path: "$MBR"}, {nameType: 'V', metaType: 'V', path: "$OrphanFiles"}},
		"volume label":   {{nameType: 'r', metaType: 'r', path: "STICK (Volume Label Entry)"}},
	} {
		for _, r := range all {
			if got := r.aside(); got != want {
				t.Errorf("%+v: %q, want %q", r, got, want)
			}
		}
	}
}

func TestKey(t *testing.T) {
	for path, want := range map[string]string{
		"/a/b.txt":                      "a/b.txt",
		"Été.jpg":                       "Été.jpg",
		"/two\nlines\tand\x1b":          "two^lines^and^",
		"caf\xe9":                       "caf^",
		"^^^^HFS+ Private":              "^HFS+ Private",
		"/\x00\x00\x00\x00HFS+ Private": "^HFS+ Private",
		"half \xed\xa0\x80 pair":        "half ^ pair",
		"right\u202eto-left":            "right\u202eto-left",
	} {
		if got := key(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

// FuzzListing feeds the parsers what a program that reads hostile bytes might
// print.
func FuzzListing(f *testing.F) {
	f.Add(recorded(f, "mmls-gpt.txt"))
	f.Add(recorded(f, "fls.txt"))
	f.Add("r/r * 0(realloc):\t\xff\ta\tb\tc\td\t9223372036854775807\t0\t0\n")
	f.Fuzz(func(t *testing.T, text string) {
		found, err := parsePartitions(strings.NewReader(text))
		for _, p := range found {
			if err == nil && (p.offset < 0 || p.length < 0) {
				t.Fatalf("%+v", p)
			}
		}
		parseRows(strings.NewReader(text), func(r row) error {
			if r.size < 0 || r.address == "" || strings.HasPrefix(r.address, "-") {
				t.Fatalf("%+v", r)
			}
			if k := key(r.path); key(k) != k && !strings.HasPrefix(k, "/") {
				t.Fatalf("key of %q: %q, and of that: %q", r.path, k, key(k))
			}
			return nil
		})
	})
}
