package hashdeep

import (
	"fmt"
	"io"
	"strings"

	"tutela"
	"tutela/internal/hashset/feed"
)

// Sums reads checksum lines. Each line tells its own style: GNU
// (`digest  name`, `digest *name`) or BSD (`SHA256 (name) = digest`), and each
// may begin with the backslash that GNU puts before a line whose name is
// escaped (coreutils manual, "md5sum invocation"). Comment lines begin with #.
type Sums struct{ lines *feed.Lines }

// NewSums reads checksum lines from r.
func NewSums(r io.Reader) (*Sums, error) {
	lines, err := feed.NewLines(r)
	if err != nil {
		return nil, err
	}
	return &Sums{lines}, nil
}

// Next is the next assertion, or io.EOF.
func (s *Sums) Next() (tutela.Assertion, error) {
	for {
		line, err := s.lines.Next()
		if err != nil {
			return tutela.Assertion{}, err
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		a, err := parseSum(line)
		if err != nil {
			return tutela.Assertion{}, s.lines.Fail(err)
		}
		return a, nil
	}
}

// IsSum reports whether a line is a checksum line.
func IsSum(line string) bool {
	_, err := parseSum(line)
	return err == nil
}

func parseSum(line string) (tutela.Assertion, error) {
	a := tutela.Assertion{Size: -1}
	line = strings.TrimPrefix(line, `\`)
	kind, digest, ok := splitBSD(line)
	if !ok {
		kind, digest, ok = splitGNU(line)
	}
	if !ok {
		return a, fmt.Errorf("neither `digest  name` nor `SHA256 (name) = digest`")
	}
	if kind == 0 {
		return a, fmt.Errorf("%w: neither MD5, SHA-1 nor SHA-256", tutela.ErrDigest)
	}
	return a, add(&a, kind, digest)
}

func splitGNU(line string) (tutela.MatchKind, string, bool) {
	digest, rest, ok := strings.Cut(line, " ")
	if !ok || len(rest) < 2 || rest[0] != ' ' && rest[0] != '*' {
		return 0, "", false
	}
	return kindOf(len(digest)), digest, true
}

// splitBSD cuts at the last `) = `: the name may hold one itself.
func splitBSD(line string) (tutela.MatchKind, string, bool) {
	algorithm, rest, ok := strings.Cut(line, " (")
	at := strings.LastIndex(rest, ") = ")
	if !ok || at < 0 || strings.ContainsRune(algorithm, ' ') {
		return 0, "", false
	}
	return kindNamed(algorithm), strings.TrimSpace(rest[at+len(") = "):]), true
}

func kindNamed(name string) tutela.MatchKind {
	switch strings.ReplaceAll(strings.ToLower(name), "-", "") {
	case "md5":
		return tutela.MatchMD5
	case "sha1":
		return tutela.MatchSHA1
	case "sha256", "sha2256":
		return tutela.MatchSHA256
	case "pdq":
		return tutela.MatchPDQ
	}
	return 0
}
