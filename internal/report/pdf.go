package report

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
)

// A page is A4; all lengths are millimetres but for sizes of type, which are
// points.
const (
	pageWidth, pageHeight = 210.0, 297.0
	marginLeft            = 24.0
	marginRight           = 22.0
	bodyTop               = 27.0
	bodyBottom            = 274.0
	bodyWidth             = pageWidth - marginLeft - marginRight

	bodySize  = 9.5
	smallSize = 8.0 // tables, references
	leading   = 1.38
	point     = 25.4 / 72
)

// family is the font of each style. The fonts are Bigelow and Holmes' Go fonts,
// under the licence of the Go project, and are embedded in every PDF.
var family = [styles]struct {
	name, variant string
	ttf           []byte
	scale         float64 // mono is set smaller: its letters look larger
}{
	plain:  {"go", "", goregular.TTF, 1},
	strong: {"go", "B", gobold.TTF, 1},
	code:   {"gomono", "", gomono.TTF, 0.9},
	blank:  {"go", "", goregular.TTF, 1},
}

// writePDF sets the document twice: the first time to know how many pages there
// are, which the foot of each page tells.
func writePDF(w io.Writer, doc *document, issued time.Time) error {
	if issued.IsZero() {
		return errUndated
	}
	counted, err := setPages(doc, issued, 0)
	if err != nil {
		return err
	}
	set, err := setPages(doc, issued, counted.pdf.PageCount())
	if err != nil {
		return err
	}
	var out bytes.Buffer // so that an error leaves no half document behind
	if err := set.pdf.Output(&out); err != nil {
		return fmt.Errorf("write the PDF: %w", err)
	}
	_, err = w.Write(out.Bytes())
	return err
}

// setter sets a document on pages.
type setter struct {
	pdf    *fpdf.Fpdf
	doc    *document
	pages  int // in all; 0 while they are counted
	y      float64
	widths map[width]float64
}

// width is that of a rune at a size; looking it up in the font is slow.
type width struct {
	r     rune
	style style
	size  float64
}

func setPages(doc *document, issued time.Time, pages int) (*setter, error) {
	s := &setter{pdf: fpdf.New("P", "mm", "A4", ""), doc: doc, pages: pages, widths: map[width]float64{}}
	for _, f := range family {
		s.pdf.AddUTF8FontFromBytes(f.name, f.variant, bytes.Clone(f.ttf)) // which it changes
	}
	s.pdf.SetCatalogSort(true)
	s.pdf.SetCreationDate(issued.UTC())
	s.pdf.SetModificationDate(issued.UTC())
	s.pdf.SetProducer("tutela", false)
	s.pdf.SetTitle(doc.title+", "+doc.running, true)
	s.pdf.SetAuthor(printed(doc.author), true)
	s.pdf.SetLang("en-GB")
	s.pdf.SetAutoPageBreak(false, 0)
	s.newPage()
	s.front()
	for i, part := range doc.sections {
		s.section(i, part)
	}
	if err := s.pdf.Error(); err != nil {
		return nil, fmt.Errorf("set the PDF: %w", err)
	}
	return s, nil
}

func (s *setter) newPage() {
	s.pdf.AddPage()
	s.head()
	s.foot()
	s.y = bodyTop
}

func (s *setter) head() {
	const baseline = 16.0
	s.pdf.SetTextColor(90, 90, 90)
	s.lineAt(s.fit(say(text(s.doc.running)), smallSize, bodyWidth*0.72), marginLeft, baseline, smallSize)
	s.right(s.fit(say(text(s.doc.title)), smallSize, bodyWidth*0.26), baseline, smallSize)
	s.rule(baseline+2, 0.2)
	s.pdf.SetTextColor(0, 0, 0)
	if s.doc.mark != "" {
		s.mark()
	}
}

// mark writes a word large and pale across the page, under the text.
func (s *setter) mark() {
	s.pdf.SetFont(family[strong].name, family[strong].variant, 130)
	s.pdf.SetTextColor(238, 236, 232)
	s.pdf.TransformBegin()
	s.pdf.TransformRotate(52, pageWidth/2, pageHeight/2)
	s.pdf.Text((pageWidth-s.pdf.GetStringWidth(s.doc.mark))/2, pageHeight/2+15, s.doc.mark)
	s.pdf.TransformEnd()
	s.pdf.SetTextColor(0, 0, 0)
}

func (s *setter) foot() {
	const baseline = 285.0
	s.rule(baseline-4.5, 0.2)
	s.pdf.SetTextColor(90, 90, 90)
	s.lineAt(s.glyphs(say(text("Log root "), exact(s.doc.root)), 7), marginLeft, baseline, 7)
	page := fmt.Sprintf("Page %d of %d", s.pdf.PageNo(), s.pages)
	s.right(s.glyphs(say(text(page)), smallSize), baseline, smallSize)
	s.pdf.SetTextColor(0, 0, 0)
}

func (s *setter) rule(y, thickness float64) {
	s.pdf.SetLineWidth(thickness)
	s.pdf.SetDrawColor(150, 150, 150)
	s.pdf.Line(marginLeft, y, pageWidth-marginRight, y)
}

// need begins a new page unless so much height is left.
func (s *setter) need(height float64) {
	if s.y+height > bodyBottom {
		s.newPage()
	}
}

func (s *setter) front() {
	s.y += 6
	s.text(say(bold(s.doc.title)), marginLeft, bodyWidth, 20)
	s.y += 1
	s.text(sentence(s.doc.subtitle), marginLeft, bodyWidth, 11)
	s.y += 4
	s.facts(s.doc.front)
	s.y += 2
}

func (s *setter) section(i int, part section) {
	title := part.title
	if s.doc.numbered {
		title = strconv.Itoa(i+1) + "  " + title
	}
	s.need(room(part))
	s.y += 5
	s.pdf.Bookmark(printed(title), 0, s.y)
	s.text(say(bold(title)), marginLeft, bodyWidth, 13)
	s.y += 1.5
	for _, b := range part.blocks {
		s.block(b)
	}
}

// room is what must be left on a page for a section to begin there: nobody signs
// a page that says nothing else.
func room(part section) float64 {
	for _, b := range part.blocks {
		if _, signed := b.(signature); signed {
			return 65
		}
	}
	return 24
}

func (s *setter) block(b block) {
	switch b := b.(type) {
	case heading:
		s.need(18)
		s.y += 2.5
		s.text(say(bold(b.text)), marginLeft, bodyWidth, 10.5)
		s.y += 1
	case paragraph:
		s.text(b, marginLeft, bodyWidth, bodySize)
		s.y += 1.8
	case fact:
		s.fact(b)
	case facts:
		s.facts(b)
	case list:
		s.list(b)
	case table:
		s.table(b)
	case signature:
		s.signature(b)
	default:
		panic(fmt.Sprintf("internal error: no way to set %T", b))
	}
}

// fact sets a numbered paragraph with a hanging number.
func (s *setter) fact(f fact) {
	const indent = 10.0
	s.need(4 * lineHeight(bodySize))
	number := s.glyphs(say(text(strconv.Itoa(f.number)+".")), bodySize)
	s.lineAt(number, marginLeft, s.y+bodySize*point, bodySize)
	s.text(f.say, marginLeft+indent, bodyWidth-indent, bodySize)
	for _, p := range f.more {
		s.text(p, marginLeft+indent, bodyWidth-indent, bodySize)
	}
	if f.ref != "" {
		s.pdf.SetTextColor(90, 90, 90)
		s.text(sentence(f.ref), marginLeft+indent, bodyWidth-indent, smallSize)
		s.pdf.SetTextColor(0, 0, 0)
	}
	s.y += 2.2
}

func (s *setter) facts(pairs []pair) {
	const names = 42.0
	for _, p := range pairs {
		name, value := s.lines(sentence(p.name), names-4, bodySize), s.lines(p.value, bodyWidth-names, bodySize)
		for len(value) < len(name) {
			value = append(value, nil)
		}
		s.need(lineHeight(bodySize) * float64(max(len(name), min(len(value), 4))))
		s.pdf.SetTextColor(90, 90, 90)
		for i, l := range name {
			s.lineAt(l, marginLeft, s.y+float64(i)*lineHeight(bodySize)+bodySize*point, bodySize)
		}
		s.pdf.SetTextColor(0, 0, 0)
		s.place(value, marginLeft+names, bodySize)
	}
	s.y += 2
}

func (s *setter) list(items list) {
	const indent = 5.0
	for _, p := range items {
		s.need(2 * lineHeight(bodySize))
		s.lineAt(s.glyphs(sentence("•"), bodySize), marginLeft+1, s.y+bodySize*point, bodySize)
		s.text(p, marginLeft+indent, bodyWidth-indent, bodySize)
		s.y += 0.8
	}
	s.y += 1.2
}

// signature leaves room for handwriting over each line.
func (s *setter) signature(b signature) {
	const height = 15.0
	for _, name := range b.names {
		s.need(height)
		s.y += height - 5
		s.pdf.SetLineWidth(0.3)
		s.pdf.SetDrawColor(0, 0, 0)
		s.pdf.Line(marginLeft, s.y, marginLeft+90, s.y)
		s.y += 0.5
		s.pdf.SetTextColor(90, 90, 90)
		s.text(sentence(name), marginLeft, bodyWidth, smallSize)
		s.pdf.SetTextColor(0, 0, 0)
	}
}

// text sets a paragraph from s.y on, over as many pages as it takes.
func (s *setter) text(p paragraph, x, width, size float64) {
	s.place(s.lines(p, width, size), x, size)
}

func (s *setter) place(lines []line, x, size float64) {
	for _, l := range lines {
		s.need(lineHeight(size))
		s.lineAt(l, x, s.y+size*point, size)
		s.y += lineHeight(size)
	}
}

func lineHeight(size float64) float64 { return size * point * leading }
