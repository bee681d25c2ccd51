// Package term shows progress on a terminal and writes quantities for people.
//
// Call [NewStatus] for a line that is rewritten in place, [Bytes], [Count] and
// [Span] for quantities. Promised: nothing is drawn where the output is not a
// terminal, and a status line never mixes with other output that goes through
// [Status.Clear]. Not promised: colours; the program uses none.
package term

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// IsTerminal reports whether f is a terminal.
func IsTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// Status is one line at the bottom of a terminal.
type Status struct {
	mu    sync.Mutex // guards all below
	out   io.Writer
	width func() int
	shown bool
}

// NewStatus draws on f if it is a terminal; on anything else the Status is
// silent.
func NewStatus(f *os.File) *Status {
	if !IsTerminal(f) || os.Getenv("TERM") == "dumb" {
		return &Status{}
	}
	return &Status{out: f, width: func() int {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			return w
		}
		return 80
	}}
}

// Show replaces the line, cut to the width of the terminal.
func (s *Status) Show(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out == nil {
		return
	}
	fmt.Fprint(s.out, "\r\x1b[K", cut(line, s.width()-1))
	s.shown = true
}

// Clear takes the line away before something else is printed.
func (s *Status) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shown {
		fmt.Fprint(s.out, "\r\x1b[K")
		s.shown = false
	}
}

func cut(line string, width int) string {
	if utf8.RuneCountInString(line) <= width {
		return line
	}
	return string([]rune(line)[:max(width-1, 0)]) + "…"
}

// Bytes writes a size in decimal units, as drives are sold: "1.5 GB".
func Bytes(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1000, 0
	for value >= 999.95 && unit < len(units)-1 {
		value /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", value, units[unit])
}

// Count writes a number with thin groups of three: "1,234,567".
func Count[N ~int | ~int64 | ~uint64](n N) string {
	s := fmt.Sprint(n)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// Span writes a duration as people say it: "12s", "3m 05s", "2h 07m", "6d 03h".
func Span(d time.Duration) string {
	seconds := int64(d.Round(time.Second) / time.Second)
	switch {
	case seconds < 60:
		return fmt.Sprintf("%ds", seconds)
	case seconds < 3600:
		return fmt.Sprintf("%dm %02ds", seconds/60, seconds%60)
	case seconds < 86400:
		return fmt.Sprintf("%dh %02dm", seconds/3600, seconds/60%60)
	}
	return fmt.Sprintf("%dd %02dh", seconds/86400, seconds/3600%24)
}
