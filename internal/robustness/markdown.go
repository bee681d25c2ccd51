package robustness

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The marks in the page of the documentation between which the table stands.
const (
	begin = "<!-- robustness:begin -->\n"
	end   = "<!-- robustness:end -->"
)

// Page is a page of the documentation with this table in place of the one that
// stands in it. The page must have both marks.
func (t *Table) Page(old []byte) ([]byte, error) {
	before, rest, found := bytes.Cut(old, []byte(begin))
	_, after, closed := bytes.Cut(rest, []byte(end))
	if !found || !closed {
		return nil, errors.New("the page has no place for the table of robustness")
	}
	var b bytes.Buffer
	b.Write(before)
	b.WriteString(begin + "\n")
	if err := t.Write(&b); err != nil {
		return nil, err
	}
	b.WriteString("\n" + end)
	b.Write(after)
	return b.Bytes(), nil
}

// Write writes the table as Markdown: the shares by transform, what the variants
// brought, and false matches.
func (t *Table) Write(w io.Writer) error {
	var b strings.Builder
	t.writeSummary(&b)
	t.writeRows(&b)
	t.writeOthers(&b)
	t.writeVariants(&b)
	t.writeFalse(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) writeSummary(b *strings.Builder) {
	fmt.Fprintf(b, "%d pictures (%d photographs and paintings, %d drawn scenes) × %d transforms. ",
		t.Photographs+t.Drawings, t.Photographs, t.Drawings, len(t.Rows))
	fmt.Fprintf(b, "Found, mean over the transforms: by the plain hash %.1f %%, with variants %.1f %%, %.2f times as much; ",
		t.PlainMean(), t.Mean(), t.Gain())
	fmt.Fprintf(b, "%s in %s comparisons of unrelated pictures.\n\n", counted(len(t.False)), thousands(t.Comparisons))
}

func (t *Table) writeRows(b *strings.Builder) {
	b.WriteString(rowsHead)
	for _, r := range t.Rows {
		r.write(b)
	}
	photographs := func(r Row) Share { return r.Photographs }
	fmt.Fprintf(b, "| **mean** | | **%.1f** | **%.1f** | **%.1f** | **%.1f** |\n\n", t.PlainMean(), t.Mean(),
		t.mean(photographs, plain), t.mean(photographs, withVariants))
}

const rowsHead = "| transform | what | plain % | with variants % | photographs: plain % | with variants % |\n|---|---|--:|--:|--:|--:|\n"

func (r Row) write(b *strings.Builder) {
	both := r.Both()
	fmt.Fprintf(b, "| %s | %s | %.0f | %.0f | %.0f | %.0f |\n", r.Name, r.What,
		plain(both), withVariants(both), plain(r.Photographs), withVariants(r.Photographs))
}

func (t *Table) writeOthers(b *strings.Builder) {
	b.WriteString("The same by other amounts, or elsewhere; in no mean:\n\n" + rowsHead)
	for _, r := range t.Others {
		r.write(b)
	}
	b.WriteString("\n")
}

func (t *Table) writeVariants(b *strings.Builder) {
	b.WriteString("| variant | copies it was made of | copies it found | that nothing else found |\n|---|--:|--:|--:|\n")
	for _, e := range t.Variants {
		name := e.Variant
		if name == "" {
			name = "(the picture as it is)"
		}
		fmt.Fprintf(b, "| %s | %d | %d | %d |\n", name, e.Made, e.Found, e.Alone)
	}
	b.WriteString("\n")
}

func (t *Table) writeFalse(b *strings.Builder) {
	fmt.Fprintf(b, "Comparisons of a copy with a picture that is not in it: %s, which took %s distances between hashes; %s. The closest: %s.\n",
		thousands(t.Comparisons), thousands(t.Distances), counted(len(t.False)), t.Closest)
	for _, c := range t.False {
		fmt.Fprintf(b, "\n- %s", c)
	}
	if len(t.False) > 0 {
		b.WriteString("\n")
	}
	if len(t.Flat) > 0 {
		fmt.Fprintf(b, "\nLeft out, because their hashes have a quality below 50 and would not be in a set: %s.\n", strings.Join(t.Flat, ", "))
	}
}

func counted(falseMatches int) string {
	switch falseMatches {
	case 0:
		return "no false match"
	case 1:
		return "1 false match"
	}
	return fmt.Sprintf("%d false matches", falseMatches)
}

// String tells a collision in words.
func (c Collision) String() string {
	variant := "as it is"
	if c.Variant != "" {
		variant = c.Variant
	}
	return fmt.Sprintf("%s (%s, %s) and %s, %d bits", c.Copy, c.Transform, variant, c.Known, c.Distance)
}

// thousands writes a number with commas.
func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
