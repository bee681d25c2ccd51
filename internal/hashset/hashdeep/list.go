package hashdeep

import (
	"fmt"
	"io"
	"strings"

	"tutela"
	"tutela/internal/hashset/feed"
)

// List reads one digest a line. The first line may name the digest, as X-Ways
// writes it; without it the number of digits tells, and 64 digits are SHA-256:
// only a list that says so holds PDQ hashes.
type List struct {
	lines *feed.Lines
	kind  tutela.MatchKind // 0: by digits
	first string           // a first line that was no header
}

// NewList reads the header, if there is one.
func NewList(r io.Reader) (*List, error) {
	lines, err := feed.NewLines(r)
	if err != nil {
		return nil, err
	}
	l := &List{lines: lines}
	first, err := lines.Next()
	if err == io.EOF {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	if l.kind = kindNamed(strings.TrimSpace(first)); l.kind == 0 {
		l.first = first
	}
	return l, nil
}

// Next is the next assertion, or io.EOF.
func (l *List) Next() (tutela.Assertion, error) {
	for {
		line, err := l.take()
		if err != nil {
			return tutela.Assertion{}, err
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		a, err := l.parse(strings.TrimSpace(line))
		if err != nil {
			return tutela.Assertion{}, l.lines.Fail(err)
		}
		return a, nil
	}
}

func (l *List) take() (string, error) {
	if line := l.first; line != "" {
		l.first = ""
		return line, nil
	}
	return l.lines.Next()
}

func (l *List) parse(digest string) (tutela.Assertion, error) {
	a := tutela.Assertion{Size: -1}
	kind := l.kind
	if kind == 0 {
		kind = kindOf(len(digest))
	}
	if kind == 0 {
		return a, fmt.Errorf("%w: %d characters are neither MD5, SHA-1 nor SHA-256", tutela.ErrDigest, len(digest))
	}
	return a, add(&a, kind, digest)
}

// IsListed reports whether a line can begin a list: the name of a digest, or a
// digest.
func IsListed(line string) bool {
	if kindNamed(strings.TrimSpace(line)) != 0 {
		return true
	}
	_, err := (&List{}).parse(strings.TrimSpace(line))
	return err == nil
}
