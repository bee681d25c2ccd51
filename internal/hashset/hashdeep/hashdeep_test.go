package hashdeep

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/hashset/feed"
)

const (
	aMD5    = "728ee0a8939199ca5b0e8d16fe171dba"
	aSHA1   = "6de3322c12b30210033fd2e5df3044c947c96084"
	aSHA256 = "3811b8835336d9e7bbe5ee5b8a255bcc74adca9d83c848ed46592d0619278f31"
)

type reader interface {
	Next() (tutela.Assertion, error)
}

func readAll(t *testing.T, r reader) []tutela.Assertion {
	t.Helper()
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

func sample(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestHashdeepSample(t *testing.T) {
	r, err := NewReader(strings.NewReader(sample(t, "hashdeep.txt")))
	if err != nil {
		t.Fatal(err)
	}
	all := readAll(t, r)
	if len(all) != 2 {
		t.Fatalf("%d assertions, want 2", len(all))
	}
	a := all[0]
	if a.MD5.String() != aMD5 || a.SHA1.String() != aSHA1 || a.SHA256.String() != aSHA256 || a.Size != 13 {
		t.Errorf("first assertion is %v %v %v, %d bytes", a.MD5, a.SHA1, a.SHA256, a.Size)
	}
}

func TestHashdeepColumns(t *testing.T) {
	text := "%%%% HASHDEEP-1.0\r\n%%%% size,md5,filename\r\n## x\r\n7," + strings.ToUpper(aMD5) + ",a,b,c\r\n" +
		"%%%% HASHDEEP-1.0\n%%%% size,tiger,sha1,filename\n9,0011," + aSHA1 + ",d\n"
	r, err := NewReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	all := readAll(t, r)
	if len(all) != 2 || all[0].MD5.String() != aMD5 || all[0].Size != 7 || all[1].SHA1.String() != aSHA1 || all[1].MD5 != nil {
		t.Errorf("read %+v", all)
	}
}

func TestHashdeepMalformed(t *testing.T) {
	head := "%%%% HASHDEEP-1.0\n%%%% size,md5,filename\n"
	for name, c := range map[string]struct {
		text string
		line int64
	}{
		"short digest":   {head + "1," + aMD5 + ",a\n1,00ff,b\n", 4},
		"negative size":  {head + "-1," + aMD5 + ",a\n", 3},
		"missing fields": {head + "1\n", 3},
		"no columns":     {"%%%% HASHDEEP-1.0\n1," + aMD5 + ",a\n", 2},
		"long line":      {head + strings.Repeat("x", feed.MaxLine+1) + "\n", 3},
	} {
		r, err := NewReader(strings.NewReader(c.text))
		if err != nil {
			t.Fatal(err)
		}
		checkPlace(t, name, r, c.line)
	}
}

func checkPlace(t *testing.T, name string, r reader, line int64) {
	t.Helper()
	var err error
	for err == nil {
		_, err = r.Next()
	}
	var place *feed.PlaceError
	if !errors.As(err, &place) || place.Number != line {
		t.Errorf("%s: error %v, want one of line %d", name, err, line)
	}
}

func TestSumsSamples(t *testing.T) {
	for _, name := range []string{"md5deep.txt", "sha256sum.txt", "sha256sum_bsd.txt"} {
		s, err := NewSums(strings.NewReader(sample(t, name)))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, a := range readAll(t, s) {
			found = found || a.MD5 != nil && a.MD5.String() == aMD5 || a.SHA256 != nil && a.SHA256.String() == aSHA256
			if a.Size != -1 {
				t.Errorf("%s: size %d, want -1", name, a.Size)
			}
		}
		if !found {
			t.Errorf("%s: the digest of a is not in it", name)
		}
	}
}

func TestSumsStyles(t *testing.T) {
	for _, line := range []string{
		aSHA256 + "  name", aSHA256 + " *name", `\` + aSHA256 + `  with\nnewline`, aSHA256 + "   leading blank",
		"SHA256 (na (x) = me) = " + aSHA256, "SHA2-256 (a) = " + aSHA256, `\SHA256 (a\nb) = ` + aSHA256,
		strings.ToUpper(aSHA256) + "  upper\r",
	} {
		s, err := NewSums(strings.NewReader("# comment\n\n" + line + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		all := readAll(t, s)
		if len(all) != 1 || all[0].SHA256 == nil || all[0].SHA256.String() != aSHA256 {
			t.Errorf("%q: read %+v", line, all)
		}
	}
	for _, line := range []string{"nonsense", aSHA256, aSHA256 + " x", "SHA512 (a) = " + aSHA256, "MD5 (a) = " + aSHA256, aSHA1[1:] + "  x", "zz" + aMD5[2:] + "  x"} {
		s, err := NewSums(strings.NewReader("# comment\n\n" + line + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		checkPlace(t, line, s, 3)
	}
}

func TestList(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want tutela.MatchKind
	}{
		"x-ways":       {sample(t, "xways_md5.txt"), tutela.MatchMD5},
		"no header":    {aMD5 + "\n", tutela.MatchMD5},
		"sha-256":      {"\ufeffSHA-256\n" + aSHA256, tutela.MatchSHA256},
		"64 digits":    {"# mine\n" + aSHA256, tutela.MatchSHA256},
		"pdq":          {"PDQ\n" + aSHA256, tutela.MatchPDQ},
		"sha1, blanks": {"SHA1\n\n  " + aSHA1 + "  \n", tutela.MatchSHA1},
	} {
		l, err := NewList(strings.NewReader(c.text))
		if err != nil {
			t.Fatal(err)
		}
		all := readAll(t, l)
		if len(all) == 0 {
			t.Errorf("%s: nothing read", name)
			continue
		}
		got := map[tutela.MatchKind]bool{tutela.MatchMD5: all[0].MD5 != nil, tutela.MatchSHA1: all[0].SHA1 != nil,
			tutela.MatchSHA256: all[0].SHA256 != nil, tutela.MatchPDQ: all[0].PDQ != nil}
		if !got[c.want] {
			t.Errorf("%s: read %+v, want %s", name, all[0], c.want)
		}
	}
	l, err := NewList(strings.NewReader("MD5\n" + aSHA1 + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	checkPlace(t, "SHA-1 under an MD5 header", l, 2)
}

func TestUTF16IsNamed(t *testing.T) {
	if _, err := NewList(strings.NewReader("\xff\xfeM\x00D\x005\x00")); !errors.Is(err, feed.ErrUTF16) {
		t.Errorf("error %v, want %v", err, feed.ErrUTF16)
	}
}

// drain reads to the end or the first error and holds that what was given makes
// sense.
func drain(t *testing.T, r reader, err error) {
	if err != nil {
		return
	}
	for {
		a, err := r.Next()
		if err != nil {
			return
		}
		if a.Size < -1 {
			t.Fatalf("size %d", a.Size)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(sample(f, "hashdeep.txt")))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewReader(strings.NewReader(string(b)))
		drain(t, r, err)
	})
}

func FuzzSums(f *testing.F) {
	f.Add([]byte(sample(f, "sha256sum.txt")))
	f.Add([]byte(sample(f, "sha256sum_bsd.txt")))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewSums(strings.NewReader(string(b)))
		drain(t, r, err)
	})
}

func FuzzList(f *testing.F) {
	f.Add([]byte(sample(f, "xways_md5.txt")))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewList(strings.NewReader(string(b)))
		drain(t, r, err)
	})
}
