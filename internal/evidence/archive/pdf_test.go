package archive_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/hex"
	"fmt"
	imagepng "image/png"
	"io"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
	"tutela/internal/evidencetest"
)

func deflated(content string) string {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	io.WriteString(w, content)
	w.Close()
	return z.String()
}

// pdfOf is a PDF file of objects that are numbered from 1.
func pdfOf(trailer string, objects ...string) []byte {
	b := "%PDF-1.5\n"
	for i, o := range objects {
		b += fmt.Sprintf("%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	return []byte(b + "trailer\n<< " + trailer + " >>\n")
}

func pdfStream(dict, data string) string {
	return fmt.Sprintf("<< %s /Length %d >>\nstream\n%s\nendstream", dict, len(data), data)
}

const pdfPicture = "/Subtype /Image /Width 4 /Height 2 /BitsPerComponent 8 /ColorSpace "

// What one program encrypted in five ways comes out the same, by the user's
// passphrase and by the owner's.
func TestLockedPDF(t *testing.T) {
	for _, name := range []string{"rc4-40.pdf", "rc4-128.pdf", "aes-128.pdf", "aes-256.pdf", "aes-256-r5.pdf"} {
		content := readTestdata(t, "locked-pdf/"+name)
		var first string
		for _, passphrase := range []string{"secret", "other"} {
			got := contents(t, content, evidence.Keys{Passphrases: []string{"wrong", passphrase}})
			if strings.Count(got, "\n") != 8 || strings.Contains(got, ":") || first != "" && got != first {
				t.Errorf("%s: %s opens\n%s", name, passphrase, got)
			}
			first = got
		}
		if want := contents(t, readTestdata(t, "pdf/packed.pdf"), evidence.Keys{}); !sameLines(first, want) {
			t.Errorf("%s: contents\n%swant\n%s", name, first, want)
		}
	}
}

// contents is a digest for each member.
func contents(t *testing.T, content []byte, keys evidence.Keys) string {
	var b strings.Builder
	x := archive.New(archive.Options{Spool: &memorySpool{}, Keys: keys})
	err := x.Expand(context.Background(), rootEntry("r"), bytes.NewReader(content), int64(len(content)), func(e *evidence.Entry) error {
		if e.Kind == tutela.File {
			fmt.Fprintln(&b, digest(e))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func sameLines(a, b string) bool {
	for _, line := range strings.Fields(a) {
		if !strings.Contains(b, line) {
			return false
		}
	}
	return len(a) == len(b)
}

// The PNG around samples is one that others read.
func TestSamplesBecomePNG(t *testing.T) {
	made := 0
	for _, name := range []string{"drawn.pdf", "revised.pdf"} {
		content := readTestdata(t, "pdf/"+name)
		x := archive.New(archive.Options{Spool: &memorySpool{}})
		err := x.Expand(context.Background(), rootEntry("r"), bytes.NewReader(content), int64(len(content)), func(e *evidence.Entry) error {
			if !strings.HasSuffix(string(e.Path), ".png") {
				return nil
			}
			c, err := e.Open()
			if err != nil {
				return err
			}
			b, err := io.ReadAll(c)
			if err != nil || int64(len(b)) != e.Size {
				t.Errorf("%s: %d of %d bytes, %v", e.Path, len(b), e.Size, err)
			}
			made++
			_, err = imagepng.Decode(bytes.NewReader(b))
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if made != 9 {
		t.Errorf("%d pictures", made)
	}
}

// Structures that are damaged in known ways, and what is found all the same.
func TestDamagedPDF(t *testing.T) {
	picture := pdfStream(pdfPicture+"/DeviceGray", "12345678")
	for name, tc := range map[string]struct {
		content []byte
		members int
		finding string
	}{
		"whole":           {pdfOf("", picture), 1, ""},
		"length wrong":    {pdfOf("", strings.Replace(picture, "/Length 8", "/Length 5000", 1)), 1, ""},
		"length absent":   {pdfOf("", strings.Replace(picture, "/Length 8", "", 1)), 1, ""},
		"length itself":   {pdfOf("", strings.Replace(picture, "/Length 8", "/Length 1 0 R", 1)), 1, ""},
		"no end":          {pdfOf("", strings.Replace(picture, "endstream", "", 1)), 1, ""},
		"cut":             {pdfOf("", strings.Replace(picture, "345678\nendstream", "", 1)), 1, ""},
		"too few samples": {pdfOf("", pdfStream(pdfPicture+"/DeviceRGB", "123")), 1, "read: " + tutela.FindingTruncated},
		"no such filter":  {pdfOf("", pdfStream(pdfPicture+"/DeviceGray /Filter /Nope", "123")), 1, "read: " + tutela.FindingUnsupported},
		"filter loops":    {pdfOf("", pdfStream(pdfPicture+"/DeviceGray /Filter 1 0 R", "123")), 1, "read: " + tutela.FindingDamaged},
		"no object":       {pdfOf(""), 1, tutela.FindingDamaged},
		"other handler":   {pdfOf("/Encrypt 2 0 R", picture, "<< /Filter /Own >>"), 1, tutela.FindingEncrypted},
		"no handler":      {pdfOf("/Encrypt 7 0 R", picture), 1, tutela.FindingEncrypted},
		"deep":            {pdfOf("", strings.Repeat("[", 5000), picture), 1, ""},
		"object stream":   {pdfOf("", picture, pdfStream("/Type /ObjStm /N 99 /First 4", "1 0 2 0")), 2, tutela.FindingDamaged},
		"junk before":     {append([]byte("\xef\xbb\xbf\r\n"), pdfOf("", picture)...), 1, ""},
	} {
		got := expand(t, tc.content, evidence.Limits{})
		if len(got.paths) != tc.members || tc.finding != "" && got.findings[tc.finding] == 0 {
			t.Errorf("%s: %q, findings %v", name, got.paths, got.findings)
		}
	}
}

// Zeros deflated three times are found out while they are small.
func TestPDFBombStops(t *testing.T) {
	bomb := deflated(deflated(deflated(strings.Repeat("\x00", 64<<20))))
	filters := "/Filter [/FlateDecode /FlateDecode /FlateDecode]"
	limits := evidence.Limits{RatioAfter: 8 << 20}
	for name, content := range map[string][]byte{
		"picture":       pdfOf("", pdfStream(pdfPicture+"/DeviceGray "+filters+" /Height 99999 /Width 999", bomb)),
		"embedded":      pdfOf("", pdfStream("/Type /EmbeddedFile "+filters, bomb)),
		"object stream": pdfOf("", pdfStream("/Type /ObjStm /N 1 /First 10 "+filters, bomb)),
		"many":          pdfOf("", pdfStream("/Type /EmbeddedFile /Filter ["+strings.Repeat("/FlateDecode ", 17)+"]", bomb)),
	} {
		got := expand(t, content, limits)
		if name == "many" {
			if got.findings["read: "+tutela.FindingUnsupported] == 0 {
				t.Errorf("%s: findings %v", name, got.findings)
			}
			continue
		}
		if got.findings[tutela.FindingBomb] == 0 && got.findings["read: "+tutela.FindingBomb] == 0 || got.read > 9<<20 {
			t.Errorf("%s: %d bytes, findings %v", name, got.read, got.findings)
		}
	}
}

// Bytes that make a parser go over the same ground again are counted.
func TestPDFQuadraticStops(t *testing.T) {
	for name, content := range map[string]string{
		"strings": strings.Repeat("1 0 obj (", 100_000),
		"arrays":  strings.Repeat("1 0 obj [[[[[[", 100_000),
		"streams": strings.Repeat("1 0 obj<<>>stream\n", 100_000),
		"packed":  "1 0 obj << /Type /ObjStm /N 100000 /First 800000 >> stream\n" + strings.Repeat("1 0 2 1 ", 100_000) + strings.Repeat("[1 ", 100_000) + "\nendstream",
	} {
		got := expand(t, []byte("%PDF-1.4\n"+content), evidence.Limits{RatioAfter: 32 << 20, Ratio: 20})
		if stopped := got.findings[tutela.FindingBomb] > 0; stopped == (name == "streams") {
			t.Errorf("%s: %d entries, findings %v", name, len(got.paths), got.findings)
		}
	}
}

func TestPDFMutants(t *testing.T) {
	for _, name := range []string{"pdf/revised.pdf", "pdf/packed.pdf", "locked-pdf/aes-128.pdf"} {
		t.Run(name, func(t *testing.T) {
			evidencetest.Mutants(t, openMembers(nil, evidence.Keys{Passphrases: []string{"secret"}}), readTestdata(t, name))
		})
	}
}

func FuzzPDF(f *testing.F) {
	fuzzDamage(f, nil, evidence.Keys{Passphrases: []string{"secret"}}, testdataFiles(f, "pdf/revised.pdf", "pdf/packed.pdf", "locked-pdf/aes-256.pdf")...)
}

func FuzzPDFObjects(f *testing.F) {
	f.Add([]byte(pdfStream(pdfPicture+"[/Indexed /DeviceRGB 1 <"+hex.EncodeToString([]byte("abcdef"))+">]", "12345678")))
	f.Add([]byte(pdfStream(pdfPicture+"/DeviceGray /Filter [/A85 /LZW] /DecodeParms [null << /Predictor 12 /Columns 4 >>]", "J.)Pl~>")))
	f.Add([]byte(pdfStream("/Type /ObjStm /N 1 /First 4 /Filter /RL", "\x083 0 (a)1 0")))
	f.Fuzz(func(t *testing.T, object []byte) { fuzzExpand(t, pdfOf("", string(object), "<<>>")) })
}
