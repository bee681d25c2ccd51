package demo

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
)

// prose is so many lines of words about nothing; another number of lines is
// another text.
func prose(lines int) []byte {
	words := strings.Fields("the slow river runs past green hills where an old mill turns and grey herons wait for evening light on wet stones")
	rnd := rand.New(rand.NewPCG(seed, uint64(lines)<<32))
	var text strings.Builder
	for range lines {
		for range 10 {
			text.WriteString(words[rnd.IntN(len(words))] + " ")
		}
		text.WriteByte('\n')
	}
	return []byte(text.String())
}

// pdf is a document of one page with one line of text (ISO 32000-1, 7.5).
func pdf(line string) []byte {
	page := fmt.Sprintf("BT /F1 18 Tf 72 720 Td (%s) Tj ET", line)
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
		fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(page), page),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
	}
	var out bytes.Buffer
	out.WriteString("%PDF-1.4\n")
	offsets := make([]int, len(objects))
	for i, object := range objects {
		offsets[i] = out.Len()
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", i+1, object)
	}
	xref := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, offset := range offsets {
		fmt.Fprintf(&out, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&out, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, xref)
	return out.Bytes()
}

// docx is a word-processing document that shows one picture: the parts that
// the Open Packaging Conventions demand, and the least WordprocessingML.
func docx(name string, picture []byte) ([]byte, error) {
	const head = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"
	const relationships = "http://schemas.openxmlformats.org/package/2006/relationships"
	const office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	return zipped(
		part{"[Content_Types].xml", []byte(head + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
			`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
			`<Default Extension="jpg" ContentType="image/jpeg"/>` +
			`<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>`)},
		part{"_rels/.rels", []byte(head + `<Relationships xmlns="` + relationships + `">` +
			`<Relationship Id="rId1" Type="` + office + `/officeDocument" Target="word/document.xml"/></Relationships>`)},
		part{"word/document.xml", []byte(head + `<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">` +
			`<w:body><w:p><w:r><w:t>` + string(bytes.TrimSpace(prose(1))) + `</w:t></w:r></w:p></w:body></w:document>`)},
		part{"word/_rels/document.xml.rels", []byte(head + `<Relationships xmlns="` + relationships + `">` +
			`<Relationship Id="rId1" Type="` + office + `/image" Target="media/` + name + `"/></Relationships>`)},
		part{"word/media/" + name, picture},
	)
}
