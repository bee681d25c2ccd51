package tutela

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// printablePrefix is how many bytes at the front of raw are one rune that can
// be shown as it is; 0 if the first byte must be escaped.
func printablePrefix(raw []byte) int {
	c := raw[0]
	if c < utf8.RuneSelf {
		if c < 0x20 || c == 0x7f || c == '\\' {
			return 0
		}
		return 1
	}
	r, n := utf8.DecodeRune(raw)
	if r == utf8.RuneError && n == 1 || !unicode.IsGraphic(r) {
		return 0
	}
	return n
}

// ShellWord writes a name as it can be typed into a POSIX shell as one word.
func ShellWord(name string) string {
	if name != "" && !strings.ContainsAny(name, " \t\n'\"\\$&|;<>()*?[]{}~#!`") {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}
