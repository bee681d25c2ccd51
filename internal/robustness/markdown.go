package robustness

import (
	"fmt"
	"io"
	"strings"
)

// Write writes the table as Markdown: the shares by transform, what the variants
// brought, and false matches.
func (t *Table) Write(w io.Writer) error {
	var b strings.Builder
	t.writeSummary(&b)
	t.writeRows(&b)
	t.writeVariants(&b)
	t.writeFalse(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) writeSummary(b *strings.Builder) {
	fmt.Fprintf(b, "%d pictures (%d photographs and paintings, %d drawn scenes) × %d transforms. ",
		t.Photographs+t.Drawings, t.Photographs, t.Drawings, len(t.Rows))
	fmt.Fprintf(b, "Mean found by the plain hash %.1f %%, with variants %.1f %%: %.2f times as many. ",
		t.PlainMean(), t.Mean(), t.Gain())
	fmt.Fprintf(b, "%d false matches in %s comparisons of unrelated pictures.\n\n", len(t.False), thousands(t.Comparisons))
}

func (t *Table) writeRows(b *strings.Builder) {
	b.WriteString("| transform | what | plain % | with variants % | photographs: plain % | with variants % |\n|---|---|--:|--:|--:|--:|\n")
	for _, r := range t.Rows {
		both := r.Both()
		fmt.Fprintf(b, "| %s | %s | %.0f | %.0f | %.0f | %.0f |\n", r.Name, r.What,
			plain(both), withVariants(both), plain(r.Photographs), withVariants(r.Photographs))
	}
	photographs := func(r Row) Share { return r.Photographs }
	fmt.Fprintf(b, "| **mean** | | **%.1f** | **%.1f** | **%.1f** | **%.1f** |\n\n", t.PlainMean(), t.Mean(),
		t.mean(photographs, plain), t.mean(photographs, withVariants))
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
	fmt.Fprintf(b, "%s comparisons of a copy with a picture that is not in it took %s distances between hashes; ",
		thousands(t.Comparisons), thousands(t.Distances))
	fmt.Fprintf(b, "%d were false matches. The closest: %s.\n", len(t.False), t.Closest)
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
