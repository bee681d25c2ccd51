package report

import (
	"fmt"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"

	"tutela"
)

// Shown writes a path from the evidence as the report does: valid UTF-8 without
// control characters, in which bytes that are not text, control characters and
// backslashes are written \xNN, and so are spaces that nobody would see, at an
// end or beside another. Characters that the PDF's fonts lack (they have Latin,
// Greek and Cyrillic), marks that combine with the letter before and spaces of
// other widths are written \u{XXXX}, the number being that of Unicode. No two
// paths are shown alike.
func Shown(path []byte) string { return printed(shownPath(path)) }

// shownPath is a path for HTML, whose reader has fonts of its own.
func shownPath(path []byte) string {
	s := tutela.DisplayPath(path)
	if !strings.Contains(s, "  ") && s == strings.Trim(s, " ") {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if s[i] == ' ' && (i == 0 || i == len(s)-1 || s[i-1] == ' ' || s[i+1] == ' ') {
			b.WriteString(`\x20`)
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// visible writes text so that nothing in it acts on a page or screen: no control
// characters, no marks that turn the direction of writing, no bytes that are not
// text.
func visible(s string) string {
	return rewrite(s, func(r rune) bool { return unicode.IsGraphic(r) && (r == ' ' || !unicode.IsSpace(r)) })
}

// printed is visible for paper: what the fonts lack is escaped too.
func printed(s string) string {
	return rewrite(s, func(r rune) bool {
		return unicode.IsGraphic(r) && (r == ' ' || !unicode.IsSpace(r)) && !unicode.Is(unicode.M, r) && (r < 0x7f || inFonts(r))
	})
}

func rewrite(s string, fits func(rune) bool) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case fits(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\u{%04X}`, r)
		}
	}
	return b.String()
}

// inFonts reports whether both families of the PDF have a glyph for a rune.
func inFonts(r rune) bool {
	for _, f := range coverage() {
		if index, err := f.GlyphIndex(nil, r); err != nil || index == 0 {
			return false
		}
	}
	return true
}

// coverage parses the fonts that say which runes there are. All weights and
// slants of the Go fonts have the same ones; TestFontsAlike holds that.
var coverage = sync.OnceValue(func() (fonts []*sfnt.Font) {
	for _, ttf := range [][]byte{goregular.TTF, gomono.TTF} {
		f, err := sfnt.Parse(ttf)
		if err != nil {
			panic("internal error: " + err.Error())
		}
		fonts = append(fonts, f)
	}
	return fonts
})
