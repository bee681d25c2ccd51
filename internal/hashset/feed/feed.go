// Package feed stands between a foreign file and the reader of its format: it
// takes off a byte order mark, bounds what one record may make a reader hold in
// memory, and says in which line or record something was wrong.
//
// Call [Open] on a stream before parsing it, [Lines] to read it line by line.
// Promised: neither holds more than one record at a time. Not promised: that
// the text is valid UTF-8.
package feed

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrUTF16 means that the text is UTF-16, which no hash set format asks for.
var ErrUTF16 = errors.New("UTF-16 text is not read: save it as UTF-8")

// ErrTooLong means that one line or record is longer than a reader may hold.
var ErrTooLong = errors.New("longer than any honest record")

// MaxLine is the longest line that is read, in bytes.
const MaxLine = 1 << 20

// PlaceError says where in a file something was wrong.
type PlaceError struct {
	Unit   string // "line" or "record"
	Number int64  // from 1
	Err    error
}

func (e *PlaceError) Error() string { return fmt.Sprintf("%s %d: %v", e.Unit, e.Number, e.Err) }
func (e *PlaceError) Unwrap() error { return e.Err }

// Open passes over a UTF-8 byte order mark.
func Open(r io.Reader) (*bufio.Reader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(3)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}) {
		return nil, ErrUTF16
	}
	if bytes.Equal(head, []byte{0xef, 0xbb, 0xbf}) {
		b.Discard(3)
	}
	return b, nil
}

// Limited is a reader that fails with ErrTooLong when more than max bytes were
// taken from it since the last Reset.
type Limited struct {
	r         io.Reader
	max, left int64
}

// Limit bounds r to max bytes a record.
func Limit(r io.Reader, max int64) *Limited { return &Limited{r, max, max} }

// Reset is called after each record.
func (l *Limited) Reset() { l.left = l.max }

// Read is io.Reader's.
func (l *Limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, ErrTooLong
	}
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	n, err := l.r.Read(p)
	l.left -= int64(n)
	return n, err
}

// Lines reads lines that say something: blank lines are passed over, and line
// ends of either kind are taken off.
type Lines struct {
	scanner *bufio.Scanner
	number  int64
}

// NewLines reads the lines of r.
func NewLines(r io.Reader) (*Lines, error) {
	b, err := Open(r)
	if err != nil {
		return nil, err
	}
	s := bufio.NewScanner(b)
	s.Buffer(make([]byte, 0, 4096), MaxLine)
	return &Lines{scanner: s}, nil
}

// Next is the next line; io.EOF follows the last.
func (l *Lines) Next() (string, error) {
	for l.scanner.Scan() {
		l.number++
		if line := strings.TrimSuffix(l.scanner.Text(), "\r"); strings.TrimSpace(line) != "" {
			return line, nil
		}
	}
	err := l.scanner.Err()
	if err == nil {
		return "", io.EOF
	}
	if errors.Is(err, bufio.ErrTooLong) {
		err = ErrTooLong
	}
	l.number++
	return "", l.Fail(err)
}

// Fail puts the number of the line that was read last to an error.
func (l *Lines) Fail(err error) error { return &PlaceError{"line", l.number, err} }
