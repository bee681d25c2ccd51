package hashset

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestDetect(t *testing.T) {
	for text, want := range map[string]Format{
		"":                      "",
		"hello world":           "",
		"a,b\n":                 CSV,
		"\ufeffMD5\r\n":         List,
		"{}":                    "",
		`{"@odata.context":""}`: VICS,
		"\xef\xbb\xbf \n{ \"odata.metadata\": \"\"":        VICS,
		"MD5;SHA1;Baseline\n":                              ICSE,
		"SHA512 (a) = 00\n":                                "",
		"\x00\x01,\x02":                                    "",
		"# comment\n728ee0a8939199ca5b0e8d16fe171dba *x\n": Checksums,
	} {
		if got := Detect([]byte(text), "x.txt"); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	if Detect([]byte("checksum\n"), "a.CSV") != CSV {
		t.Error("the name of a table of one column was not heard")
	}
}

func TestParseFormat(t *testing.T) {
	for _, f := range Formats() {
		if got, err := ParseFormat(string(f)); err != nil || got != f {
			t.Errorf("%s: %s, %v", f, got, err)
		}
	}
	if f, err := ParseFormat("SHA256SUM"); err != nil || f != Checksums {
		t.Errorf("sha256sum: %s, %v", f, err)
	}
	if _, err := ParseFormat("xlsx"); err == nil {
		t.Error("xlsx was taken for a format")
	}
}

func TestOpenFileNamesWhatItCannotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("nothing we know"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenFile(path, "", Options{}); !errors.Is(err, ErrFormat) {
		t.Errorf("error %v, want %v", err, ErrFormat)
	}
}

func TestSchemesAreWellFormed(t *testing.T) {
	names := map[string]bool{}
	for _, s := range Schemes() {
		if names[s.Name] || s.Version == "" || s.Title == "" || len(s.Codes) == 0 {
			t.Errorf("scheme %+v", s)
		}
		names[s.Name] = true
		codes := map[string]bool{}
		for _, c := range s.Codes {
			if label, ok := s.Label(c.Code); codes[c.Code] || !ok || label == "" {
				t.Errorf("%s: code %+v", s.Name, c)
			}
			codes[c.Code] = true
		}
	}
	for _, want := range []string{"vics-default", "vics-us", "caid-uk", "interpol-baseline"} {
		if _, ok := SchemeNamed(want); !ok {
			t.Errorf("no scheme %s", want)
		}
	}
}

func FuzzDetect(f *testing.F) {
	f.Add([]byte("MD5;Baseline\n"), "x.csv")
	f.Fuzz(func(t *testing.T, head []byte, name string) {
		if got := Detect(head, name); got != "" {
			if _, err := ParseFormat(string(got)); err != nil {
				t.Fatal(err)
			}
		}
	})
}
