package csv

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/hashset/feed"
)

const (
	md5    = "728EE0A8939199CA5B0E8D16FE171DBA"
	sha1   = "6de3322c12b30210033fd2e5df3044c947c96084"
	sha256 = "3811b8835336d9e7bbe5ee5b8a255bcc74adca9d83c848ed46592d0619278f31"
)

func readAll(t *testing.T, text string, o Options) []tutela.Assertion {
	t.Helper()
	r, err := NewReader(strings.NewReader(text), o)
	if err != nil {
		t.Fatal(err)
	}
	var out []tutela.Assertion
	for {
		a, err := r.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, a)
	}
}

func TestTables(t *testing.T) {
	for name, text := range map[string]string{
		"comma":     "name,MD5,Category,File Size,Series\nx," + md5 + ",2,13,S",
		"semicolon": "\ufeffMD5;Cat;Size;series_name\r\n" + md5 + ";2;13;S\r\n",
		"tab":       "md5-hash\tcategory\tsize\tseries\n" + md5 + "\t2\t13\tS\n",
		"quoted":    "\"md5\",\"category\",\"size\",\"series\",\"a;b;c;d;e;f\"\n\"" + md5 + "\",\" 2 \",13,\"S\",\"x\ny\"\n",
	} {
		all := readAll(t, text, Options{Scheme: "own"})
		if len(all) != 1 {
			t.Errorf("%s: %d rows, want 1", name, len(all))
			continue
		}
		a := all[0]
		want := tutela.Category{Scheme: "own", Code: "2"}
		if a.MD5 == nil || !strings.EqualFold(a.MD5.String(), md5) || a.Category != want || a.Size != 13 || a.Series != "S" {
			t.Errorf("%s: read %+v", name, a)
		}
	}
}

func TestMapping(t *testing.T) {
	m, err := ParseMapping("Print=1=SHA256")
	if err != nil || m != (Mapping{"Print=1", "sha256"}) {
		t.Fatalf("parsed %+v, %v", m, err)
	}
	all := readAll(t, "print=1,md5,scheme,category\n"+sha256+",,theirs,9\n", Options{Scheme: "own", Map: []Mapping{m}})
	if len(all) != 1 || all[0].SHA256.String() != sha256 || all[0].MD5 != nil || all[0].Category.Scheme != "theirs" {
		t.Errorf("read %+v", all)
	}
	for _, bad := range []string{"x", "=md5", "x=colour"} {
		if _, err := ParseMapping(bad); err == nil {
			t.Errorf("%q was taken for a mapping", bad)
		}
	}
}

func TestHashColumn(t *testing.T) {
	all := readAll(t, "hash\n"+md5+"\n"+sha1+"\n"+sha256+"\n\"\"\n", Options{})
	if len(all) != 4 || all[0].MD5 == nil || all[1].SHA1 == nil || all[2].SHA256 == nil {
		t.Errorf("read %+v", all)
	}
	b, err := os.ReadFile("../testdata/hashkeeper.hke.csv")
	if err != nil {
		t.Fatal(err)
	}
	all = readAll(t, string(b), Options{})
	if len(all) != 1 || all[0].MD5.String() != "cccc2107a003a9aed0667c41bdc78289" || all[0].Size != 7 {
		t.Errorf("HashKeeper: read %+v", all)
	}
}

func TestHeaders(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		o    Options
	}{
		"empty":            {"", Options{}},
		"no digest":        {"name,size\na,1\n", Options{}},
		"ambiguous":        {"md5,MD5 Hash\n,\n", Options{}},
		"no such column":   {"md5\n\n", Options{Map: []Mapping{{"x", "md5"}}}},
		"no such field":    {"md5\n\n", Options{Map: []Mapping{{"md5", "x"}}}},
		"mapped twice":     {"a,b\n\n", Options{Map: []Mapping{{"a", "md5"}, {"b", "md5"}}}},
		"quote not closed": {"\"md5\n", Options{}},
	} {
		if _, err := NewReader(strings.NewReader(c.text), c.o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestMalformedRows(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		line int64
	}{
		"digest":     {"md5,size\n" + md5 + ",1\nxyz,1\n", 3},
		"fields":     {"md5,size\n" + md5 + "\n", 2},
		"size":       {"md5,size\n\n" + md5 + ",many\n", 3},
		"bare quote": {"md5,size\n" + md5 + ",1\"\n", 2},
	} {
		r, err := NewReader(strings.NewReader(c.text), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = r.Next()
		}
		var place *feed.PlaceError
		if !errors.As(err, &place) || place.Number != c.line {
			t.Errorf("%s: error %v, want one of line %d", name, err, c.line)
		}
	}
}

// endless is a quoted field that never ends.
type endless struct{ head string }

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.head)
	e.head = e.head[n:]
	for i := n; i < len(p); i++ {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestEndlessFieldIsCut(t *testing.T) {
	r, err := NewReader(&endless{"md5\n\""}, Options{})
	if err == nil {
		_, err = r.Next()
	}
	if !errors.Is(err, feed.ErrTooLong) {
		t.Errorf("error %v, want %v", err, feed.ErrTooLong)
	}
}

func FuzzReader(f *testing.F) {
	f.Add("md5,category\n"+md5+",1\n", "md5=hash")
	f.Add("hash;size\n"+sha1+";1\n", "x=md5")
	f.Fuzz(func(t *testing.T, text, mapping string) {
		o := Options{Scheme: "own"}
		if m, err := ParseMapping(mapping); err == nil {
			o.Map = []Mapping{m}
		}
		r, err := NewReader(strings.NewReader(text), o)
		for err == nil {
			var a tutela.Assertion
			if a, err = r.Next(); err == nil && (a.Size < -1 || a.Category.Code == "" && a.Category.Scheme != "") {
				t.Fatalf("read %+v", a)
			}
		}
	})
}
