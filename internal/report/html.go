package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"strings"
	"time"
)

// style sheet of the page. It is the only thing the page's own policy allows:
// no script, no picture, nothing from anywhere.
var sheet = `
:root{color-scheme:light}
body{font:16px/1.5 "Go","Source Sans 3","Segoe UI",system-ui,sans-serif;color:#14171a;background:#fff;max-width:56rem;margin:0 auto;padding:2.5rem 1.5rem 4rem}
h1{font-size:2rem;line-height:1.2;margin:0 0 .2rem}
h2{font-size:1.3rem;margin:2.6rem 0 .8rem;padding-top:.7rem;border-top:1px solid #b9c0c7}
h3{font-size:1.05rem;margin:1.6rem 0 .5rem}
.sub{font-size:1.1rem;color:#4a5259;margin:0 0 1.6rem}
.mark{background:#fff0be;border:1px solid #c9a227;padding:.5rem .9rem;font-weight:700;letter-spacing:.12em}
code{font-family:"Go Mono","Source Code Pro",Consolas,monospace;font-size:.88em;overflow-wrap:anywhere;white-space:pre-wrap}
dl{display:grid;grid-template-columns:11rem 1fr;gap:.25rem 1rem;margin:0 0 1rem}
dt{color:#4a5259}
dd{margin:0;overflow-wrap:anywhere}
ol{list-style:none;margin:0;padding:0}
ol li{position:relative;padding-left:3.2rem;margin:0 0 1rem;break-inside:avoid}
ol .n{position:absolute;left:0;font-variant-numeric:tabular-nums}
ol p{margin:0;overflow-wrap:anywhere}
.ref{color:#4a5259;font-size:.88em}
table{border-collapse:collapse;width:100%;font-size:.88rem;margin:0 0 1.4rem;table-layout:fixed}
caption{text-align:left;font-weight:700;padding:.3rem 0}
th,td{text-align:left;vertical-align:top;padding:.3rem .5rem;border-bottom:1px solid #d5dade;overflow-wrap:anywhere}
th{background:#eceef1}
.r{text-align:right;font-variant-numeric:tabular-nums}
.blank{background:#fff0be;padding:0 .2em}
.sign{border-top:1px solid #14171a;width:22rem;max-width:100%;margin:4rem 0 0;color:#4a5259;font-size:.88rem}
footer{margin-top:3rem;border-top:1px solid #b9c0c7;padding-top:.7rem;color:#4a5259;font-size:.85rem}
@media(max-width:40rem){dl{grid-template-columns:1fr;gap:0 0}dd{margin-bottom:.5rem}}
@media print{@page{size:A4;margin:20mm}body{padding:0;max-width:none;font-size:10pt}thead{display:table-header-group}h2,h3{break-after:avoid}tr{break-inside:avoid}}
` + columnWidths()

// columnWidths are rules for columns of each percentage: the policy allows no
// style in the elements themselves.
func columnWidths() string {
	var b strings.Builder
	for percent := 1; percent < 100; percent++ {
		fmt.Fprintf(&b, ".w%d{width:%d%%}", percent, percent)
	}
	return b.String() + "\n"
}

// writeHTML writes the document as one page of HTML that is well-formed XML too,
// so that any reader sees the same tree.
func writeHTML(w io.Writer, doc *document, issued time.Time) error {
	if issued.IsZero() {
		return errUndated
	}
	p := &page{}
	p.begin(doc, issued)
	for i, part := range doc.sections {
		title := part.title
		if doc.numbered {
			title = fmt.Sprintf("%d  %s", i+1, title)
		}
		p.put(`<section aria-labelledby="s%d"><h2 id="s%d">%s</h2>`+"\n", i+1, i+1, escaped(title))
		p.blocks(part.blocks)
		p.put("</section>\n")
	}
	p.put("</main>\n<footer>Log root <code>%s</code></footer>\n</body>\n</html>\n", escaped(doc.root))
	_, err := w.Write(p.Bytes())
	return err
}

// page is HTML in the making. Only escaped text and constants come into it.
type page struct{ bytes.Buffer }

func (p *page) put(format string, args ...any) { fmt.Fprintf(&p.Buffer, format, args...) }

func (p *page) begin(doc *document, issued time.Time) {
	sum := sha256.Sum256([]byte(sheet))
	p.put("<!DOCTYPE html>\n<html lang=\"en-GB\">\n<head>\n<meta charset=\"utf-8\"/>\n")
	p.put("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'\"/>\n", base64.StdEncoding.EncodeToString(sum[:]))
	p.put("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<meta name=\"referrer\" content=\"no-referrer\"/>\n")
	p.put("<meta name=\"date\" content=\"%s\"/>\n<title>%s</title>\n<style>%s</style>\n</head>\n<body>\n", issued.UTC().Format(time.RFC3339), escaped(doc.title+", "+doc.running), sheet)
	if doc.mark != "" {
		p.put("<p class=\"mark\" role=\"note\">%s</p>\n", escaped(doc.mark))
	}
	p.put("<main>\n<h1>%s</h1>\n<p class=\"sub\">%s</p>\n", escaped(doc.title), escaped(doc.subtitle))
	p.facts(doc.front)
}

// blocks writes the blocks of a section; facts that follow one another are one
// list.
func (p *page) blocks(blocks []block) {
	for i, b := range blocks {
		_, is := b.(fact)
		if is && (i == 0 || !isFact(blocks[i-1])) {
			p.put("<ol>\n")
		}
		p.block(b)
		if is && (i == len(blocks)-1 || !isFact(blocks[i+1])) {
			p.put("</ol>\n")
		}
	}
}

func isFact(b block) bool { _, is := b.(fact); return is }

func (p *page) block(b block) {
	switch b := b.(type) {
	case heading:
		p.put("<h3>%s</h3>\n", escaped(b.text))
	case paragraph:
		p.put("<p>%s</p>\n", spans(b))
	case fact:
		p.fact(b)
	case facts:
		p.facts(b)
	case list:
		p.put("<ul>\n")
		for _, one := range b {
			p.put("<li>%s</li>\n", spans(one))
		}
		p.put("</ul>\n")
	case table:
		p.table(b)
	case signature:
		for _, name := range b.names {
			p.put("<p class=\"sign\">%s</p>\n", escaped(name))
		}
	default:
		panic(fmt.Sprintf("internal error: no way to write %T", b))
	}
}

func (p *page) fact(f fact) {
	p.put("<li id=\"f%d\"><span class=\"n\">%d.</span><p>%s</p>\n", f.number, f.number, spans(f.say))
	for _, one := range f.more {
		p.put("<p>%s</p>\n", spans(one))
	}
	p.put("<p class=\"ref\">%s</p></li>\n", escaped(f.ref))
}

func (p *page) facts(pairs []pair) {
	if len(pairs) == 0 {
		return // an empty list is not HTML
	}
	p.put("<dl>\n")
	for _, one := range pairs {
		p.put("<dt>%s</dt><dd>%s</dd>\n", escaped(one.name), spans(one.value))
	}
	p.put("</dl>\n")
}

func (p *page) table(t table) {
	p.put("<table>\n")
	if t.caption != "" {
		p.put("<caption>%s</caption>\n", escaped(t.caption))
	}
	p.put("<colgroup>")
	for _, share := range t.shares {
		p.put("<col class=\"w%.0f\"/>", share*100)
	}
	p.put("</colgroup>\n<thead><tr>")
	for i, name := range t.head {
		p.put("<th scope=\"col\"%s>%s</th>", t.class(i), escaped(name))
	}
	p.put("</tr></thead>\n<tbody>\n")
	for _, row := range t.rows {
		p.put("<tr>")
		for i, cell := range row {
			p.put("<td%s>%s</td>", t.class(i), spans(cell))
		}
		p.put("</tr>\n")
	}
	p.put("</tbody>\n</table>\n")
}

func (t table) class(column int) string {
	if t.numbers != nil && t.numbers[column] {
		return ` class="r"`
	}
	return ""
}

// spans writes text with its styles.
func spans(p paragraph) string {
	var b strings.Builder
	for _, s := range p {
		switch s.style {
		case strong:
			b.WriteString("<strong>" + escaped(s.text) + "</strong>")
		case code:
			b.WriteString(verbatimHTML(s.text))
		case blank:
			b.WriteString(`<span class="blank">` + escaped(s.text) + "</span>")
		default:
			b.WriteString(escaped(s.text))
		}
	}
	return b.String()
}

// verbatimHTML keeps what is verbatim apart from the direction of writing around
// it, and the parts of a path from one another: else a browser would show folders
// with Hebrew or Arabic names in the wrong order.
func verbatimHTML(s string) string {
	if !strings.ContainsFunc(s, rightToLeft) {
		return "<code>" + escaped(s) + "</code>"
	}
	parts := strings.Split(s, "/")
	for i, part := range parts {
		parts[i] = `<bdi dir="ltr">` + escaped(part) + "</bdi>"
	}
	return `<code dir="ltr">` + strings.Join(parts, "/") + "</code>"
}

// rightToLeft reports whether a rune may be written from right to left: the
// blocks that Unicode sets aside for such scripts (UAX 9, table of defaults).
func rightToLeft(r rune) bool {
	return r >= 0x0590 && r <= 0x08ff || r >= 0xfb1d && r <= 0xfdff || r >= 0xfe70 && r <= 0xfeff || r >= 0x10800 && r <= 0x10fff || r >= 0x1e800 && r <= 0x1efff
}

func escaped(s string) string { return html.EscapeString(visible(s)) }
