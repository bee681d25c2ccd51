package report

import (
	"slices"
	"strings"
)

// glyph is a rune as it will be drawn.
type glyph struct {
	r     rune
	style style
	width float64 // mm
}

// line is what fits side by side.
type line []glyph

// glyphs measures text at a size. What the fonts lack is escaped here, so that
// no way leads around it.
func (s *setter) glyphs(p paragraph, size float64) (out line) {
	for _, span := range p {
		for _, r := range printed(span.text) {
			out = append(out, glyph{r, span.style, s.width(width{r, span.style, size})})
		}
	}
	return out
}

func (s *setter) width(of width) float64 {
	w, ok := s.widths[of]
	if !ok {
		s.font(of.style, of.size)
		w = s.pdf.GetStringWidth(string(of.r))
		s.widths[of] = w
	}
	return w
}

func (s *setter) font(st style, size float64) {
	f := family[st]
	s.pdf.SetFont(f.name, f.variant, size*f.scale)
}

// lines breaks a paragraph to a width. There is always at least one line.
func (s *setter) lines(p paragraph, width, size float64) []line {
	return breakLines(s.glyphs(p, size), width)
}

// breakLines breaks after a space or, in what is verbatim, after a slash; where
// neither comes in time, anywhere: a path has no end that one could wait for.
func breakLines(all line, width float64) (out []line) {
	for len(all) > 0 {
		n := fitting(all, width)
		out = append(out, trimSpace(all[:n]))
		all = all[n:]
	}
	if len(out) == 0 {
		out = []line{nil}
	}
	return out
}

// fitting is how many glyphs, at least one, the next line takes.
func fitting(all line, width float64) int {
	at, used := 0, 0.0
	for i, g := range all {
		used += g.width
		if used > width && g.r != ' ' {
			if at == 0 {
				at = max(i, 1)
			}
			return at
		}
		if g.r == ' ' || g.r == '/' && g.style == code {
			at = i + 1
		}
	}
	return len(all)
}

func trimSpace(l line) line {
	for len(l) > 0 && l[len(l)-1].r == ' ' {
		l = l[:len(l)-1]
	}
	return l
}

func (l line) width() (sum float64) {
	for _, g := range l {
		sum += g.width
	}
	return sum
}

// fit cuts a paragraph to one line; three dots say that something is missing.
func (s *setter) fit(p paragraph, size, width float64) line {
	all := s.glyphs(p, size)
	if all.width() <= width {
		return all
	}
	dots := s.glyphs(sentence("…"), size)
	for len(all) > 0 && all.width()+dots.width() > width {
		all = all[:len(all)-1]
	}
	return append(slices.Clip(all), dots...)
}

// lineAt draws a line with its baseline at y, a run of one style at a time.
func (s *setter) lineAt(l line, x, y, size float64) {
	for len(l) > 0 {
		n := slices.IndexFunc(l, func(g glyph) bool { return g.style != l[0].style })
		if n < 0 {
			n = len(l)
		}
		run := l[:n]
		if run[0].style == blank {
			s.shade(x, y, run.width(), size)
		}
		s.font(run[0].style, size)
		s.pdf.Text(x, y, run.String())
		x += run.width()
		l = l[n:]
	}
}

// shade marks a place that a person has to fill in.
func (s *setter) shade(x, y, width, size float64) {
	s.pdf.SetFillColor(255, 240, 190)
	s.pdf.Rect(x-0.4, y-size*point*0.85, width+0.8, size*point*1.15, "F")
}

func (s *setter) right(l line, y, size float64) {
	s.lineAt(l, pageWidth-marginRight-l.width(), y, size)
}

func (l line) String() string {
	var b strings.Builder
	for _, g := range l {
		b.WriteRune(g.r)
	}
	return b.String()
}
