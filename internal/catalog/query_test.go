package catalog

import (
	"strings"
	"testing"
)

func FuzzMatchName(f *testing.F) {
	for _, s := range []string{"*.jpg", "[a-z]?", "[^", `\`, "*a*b*c*", "", "/"} {
		f.Add(s, []byte("/dir/A\xff.JPG"))
	}
	f.Fuzz(func(t *testing.T, pattern string, raw []byte) {
		fits := MatchName(pattern, raw)
		if fits && (&Query{Name: pattern}).Check() != nil {
			t.Errorf("%q is broken and fits %q", pattern, raw)
		}
		name := raw[strings.LastIndexByte(string(raw), '/')+1:]
		if fits != MatchName(pattern, name) {
			t.Errorf("%q: %q and its last element differ", pattern, raw)
		}
		if !MatchName("*", raw) {
			t.Errorf("* does not fit %q", raw)
		}
		if !strings.ContainsAny(string(name), `*?[\`) && !MatchName(strings.ToUpper(asciiOnly(name)), []byte(asciiOnly(name))) {
			t.Errorf("%q does not fit itself in capitals", name)
		}
	})
}

func asciiOnly(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r > 0x7f || r == '/' {
			return -1
		}
		return r
	}, string(b))
}
