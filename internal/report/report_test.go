package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"

	"tutela"
)

var writers = map[string]func(io.Writer, *Data) error{
	"report.pdf": PDF, "report.html": HTML, "certificate.pdf": Certificate, "certificate.html": CertificateHTML, "case.jsonld": CASE,
}

func written(t *testing.T, name string, d *Data) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := writers[name](&b, d); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b.Bytes()
}

// TestReproducible: the same Data gives the same bytes, also in a process whose
// time zone is another.
func TestReproducible(t *testing.T) {
	if dir := os.Getenv("TUTELA_REPORT_OUT"); dir != "" {
		for name := range writers {
			if err := os.WriteFile(dir+"/"+name, written(t, name, sample()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	dir := t.TempDir()
	again := exec.Command(os.Args[0], "-test.run=^TestReproducible$")
	again.Env = append(os.Environ(), "TUTELA_REPORT_OUT="+dir, "TZ=Pacific/Kiritimati")
	if out, err := again.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name := range writers {
		want := written(t, name, sample())
		if !bytes.Equal(want, written(t, name, sample())) {
			t.Errorf("%s: written twice, it differs", name)
		}
		got, err := os.ReadFile(dir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: in another time zone it differs", name)
		}
	}
}

func TestUndated(t *testing.T) {
	d := sample()
	d.Issued = time.Time{}
	for name, write := range writers {
		if err := write(io.Discard, d); !errors.Is(err, errUndated) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEmpty: a case of which there is nothing to tell is told.
func TestEmpty(t *testing.T) {
	d := &Data{Issued: time.Unix(1, 0)}
	for name := range writers {
		if len(written(t, name, d)) == 0 {
			t.Errorf("%s: nothing", name)
		}
	}
}

// TestHTMLIsInert: whatever the evidence is called, the page is well-formed XML
// of elements that the report writes, with no attribute that could act.
func TestHTMLIsInert(t *testing.T) {
	d := sample()
	const nasty = `/a"onmouseover='alert(1)'><script>alert(1)</script><img src=x>&#x3c;` + "\x00\x1b[2J\xff\u202e\u2028"
	d.Exhibits[0].Items[0].Record.Path = []byte(nasty)
	d.Case.Title, d.Officer, d.Opinion, d.To = nasty, nasty, nasty, nasty
	d.Exhibits[0].Items[0].Record.Findings = []tutela.Finding{{Code: nasty, Detail: nasty}}
	d.Exhibits[0].Items[0].Matches[0].Set = nasty
	for _, name := range []string{"report.html", "certificate.html"} {
		checkInert(t, name, written(t, name, d))
	}
}

func checkInert(t *testing.T, name string, page []byte) {
	t.Helper()
	allowed := map[string]bool{}
	for _, e := range strings.Fields("html head meta title style body main section h1 h2 h3 p dl dt dd ol ul li span strong bdi code table caption colgroup col thead tbody tr th td footer") {
		allowed[e] = true
	}
	attributes := map[string]bool{}
	for _, a := range strings.Fields("lang dir charset http-equiv content name class id aria-labelledby role scope") {
		attributes[a] = true
	}
	decoder := xml.NewDecoder(bytes.NewReader(page))
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if !allowed[start.Name.Local] {
			t.Errorf("%s: element %s", name, start.Name.Local)
		}
		for _, a := range start.Attr {
			if !attributes[a.Name.Local] {
				t.Errorf("%s: attribute %s of %s", name, a.Name.Local, start.Name.Local)
			}
		}
	}
}

// TestHTMLAsksForNothing: no address is in it but in text.
func TestHTMLAsksForNothing(t *testing.T) {
	page := written(t, "report.html", sample())
	for _, bad := range []string{"<script", "<link", "<iframe", "src=", "href=", "url(", "@import", "javascript:"} {
		if bytes.Contains(bytes.ToLower(page), []byte(bad)) {
			t.Errorf("it contains %q", bad)
		}
	}
	if !bytes.Contains(page, []byte(`content="default-src 'none'; style-src 'sha256-`)) {
		t.Error("it has no policy")
	}
}

// TestEveryFactIsTold: what Data says of an item stands in the page.
func TestEveryFactIsTold(t *testing.T) {
	d := sample()
	page := string(written(t, "report.html", d))
	for _, e := range d.Exhibits {
		for _, want := range []string{e.Serial, e.Holder} {
			if !strings.Contains(page, want) {
				t.Errorf("exhibit %s: %q is missing", e.Label, want)
			}
		}
		for _, item := range e.Items {
			r := item.Record
			for _, want := range []string{r.Digests.SHA256.String(), r.Digests.SHA1.String(), r.Digests.MD5.String(), reference(e, item)} {
				if !strings.Contains(page, want) {
					t.Errorf("%s leaf %d: %q is missing", e.Label, item.Leaf, want)
				}
			}
		}
		for _, s := range e.Scans {
			if !strings.Contains(page, s.Seal.Root.String()) {
				t.Errorf("root of scan %d of %s is missing", s.Number, e.Label)
			}
		}
	}
	for _, want := range []string{"No opinion is given.", "0 in 1,490,262 comparisons", "fewer than 1 false match in 496,754", d.Log.Root.String()} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing", want)
		}
	}
}

func TestOpinionStandsApart(t *testing.T) {
	d := sample()
	d.Opinion = "In my opinion the pictures are copies.\n\nOf one another."
	page := string(written(t, "report.html", d))
	if strings.Contains(page, "No opinion is given") {
		t.Error("it says that none is given")
	}
	if !regexp.MustCompile(`(?s)Opinion</h2>.*<p>In my opinion the pictures are copies\.</p>\s*<p>Of one another\.</p>`).MatchString(page) {
		t.Error("the opinion is not under its heading")
	}
}

func TestCertificateIsADraft(t *testing.T) {
	page := string(written(t, "certificate.html", sample()))
	for _, want := range []string{">DRAFT<", "[name]", "[date]", "Counsel must check", "28 U.S.C. § 1746"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing", want)
		}
	}
}

func TestShown(t *testing.T) {
	for _, c := range []struct{ path, want string }{
		{"/Bilder/Fähre.jpg", "/Bilder/Fähre.jpg"},
		{"/фото/ΑΒΓ", "/фото/ΑΒΓ"},
		{"/写真.jpg", `/\u{5199}\u{771F}.jpg`},
		{"/שלום", `/\u{05E9}\u{05DC}\u{05D5}\u{05DD}`},
		{"/a\u202egpj.exe", `/a\xe2\x80\xaegpj.exe`},
		{"/a\xffb\x00", `/a\xffb\x00`},
		{`/a\u{5199}`, `/a\x5cu{5199}`},
		{"/e\u0301", `/e\u{0301}`},
		{"/two  spaces ", `/two\x20\x20spaces\x20`},
		{"/no\u00a0break", `/no\u{00A0}break`},
		{"/😀", `/\u{1F600}`},
		{"/\uFFFD", `/\u{FFFD}`},
	} {
		if got := Shown([]byte(c.path)); got != c.want && !(c.path == "/\uFFFD" && got == c.path) {
			t.Errorf("%q: %s, not %s", c.path, got, c.want)
		}
	}
}

// FuzzShown: whatever the path, what is shown can be read back, so no two are
// shown alike.
func FuzzShown(f *testing.F) {
	for _, seed := range []string{"/a/b", "\xff\x00", "写真  ", `\u{41}`, "e\u0301 \u202e"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, path []byte) {
		for _, shown := range []string{Shown(path), shownPath(path)} {
			if got := unshown(t, shown); got != string(path) {
				t.Errorf("%q is shown as %s, which is %q", path, shown, got)
			}
		}
	})
}

var escapes = regexp.MustCompile(`\\x[0-9a-f]{2}|\\u\{[0-9A-F]+\}`)

// unshown reads back what Shown wrote.
func unshown(t *testing.T, s string) string {
	return escapes.ReplaceAllStringFunc(s, func(e string) string {
		var n rune
		for _, c := range strings.Trim(e[2:], "{}") {
			n = n*16 + rune(strings.IndexRune("0123456789abcdef", c|0x20))
		}
		if e[1] == 'x' {
			return string([]byte{byte(n)})
		}
		return string(n)
	})
}

// TestFontsAlike: the fonts of the PDF have the same runes, so that asking two of
// them is asking all.
func TestFontsAlike(t *testing.T) {
	var fonts []*sfnt.Font
	for _, ttf := range [][]byte{goregular.TTF, gobold.TTF, gomono.TTF} {
		f, err := sfnt.Parse(ttf)
		if err != nil {
			t.Fatal(err)
		}
		fonts = append(fonts, f)
	}
	for r := rune(0x20); r < 0x10000; r++ {
		for _, f := range fonts {
			if index, err := f.GlyphIndex(nil, r); inFonts(r) && (err != nil || index == 0) {
				t.Errorf("U+%04X is not in all fonts", r)
			}
		}
	}
	for _, r := range "•…×§·–ßЖΩ" {
		if !inFonts(r) {
			t.Errorf("%c is not in the fonts", r)
		}
	}
}

// TestPages: a report of hundreds of items goes over many pages, each of which
// says which one it is, and nothing is set outside the margins.
func TestPages(t *testing.T) {
	d := sample()
	one := d.Exhibits[0].Items[0]
	for i := range 400 {
		one.Leaf = uint64(100 + i)
		one.Record.Path = []byte("/" + strings.Repeat("very-long-name-", i%40) + ".jpg")
		d.Exhibits[0].Items = append(d.Exhibits[0].Items, one)
	}
	for _, doc := range []*document{tell(d), certify(d)} {
		s, err := setPages(doc, d.Issued, 0)
		if err != nil {
			t.Fatal(err)
		}
		if s.pdf.PageCount() < 20 || s.y > bodyBottom {
			t.Errorf("%s: %d pages, the last to %.1f mm", doc.title, s.pdf.PageCount(), s.y)
		}
	}
}

// TestLines: nothing is lost by breaking lines but spaces at their ends, and no
// line is wider than it may be.
func TestLines(t *testing.T) {
	const unit = 2.0
	for _, words := range []string{"", "a", "one two three four five", strings.Repeat("x", 95), "/a/" + strings.Repeat("bb/", 40), "a " + strings.Repeat("y", 30) + " z", "    "} {
		var all line
		for _, r := range words {
			all = append(all, glyph{r, code, unit})
		}
		var back strings.Builder
		for _, l := range breakLines(all, 20) {
			if l.width() > 20 {
				t.Errorf("%q: line %q is %.0f wide", words, l, l.width())
			}
			back.WriteString(l.String())
		}
		if got, want := strings.ReplaceAll(back.String(), " ", ""), strings.ReplaceAll(words, " ", ""); got != want {
			t.Errorf("%q became %q", want, got)
		}
	}
}

// TestLookAtIt writes the sample where somebody wants to look at it.
func TestLookAtIt(t *testing.T) {
	dir := os.Getenv("TUTELA_REPORT_LOOK")
	if dir == "" {
		dir = t.TempDir()
	}
	for name := range writers {
		if err := os.WriteFile(dir+"/"+name, written(t, name, sample()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
