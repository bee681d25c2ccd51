// Package hashdeep reads the lists that checksum tools write: hashdeep's own
// format, the lines of md5deep, md5sum, sha1sum and sha256sum (GNU and BSD
// style), and bare lists of digests as X-Ways and many others export them.
//
// Call [NewReader] for hashdeep files, [NewSums] for checksum lines, [NewList]
// for bare lists; each gives assertions until io.EOF. Promised: a line that is
// not understood is an error with its number, never passed over. Not promised:
// file names, which these lists carry, are no part of an assertion and are not
// kept.
package hashdeep

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"tutela"
	"tutela/internal/hashset/feed"
)

// Magic begins the first line of a hashdeep file.
const Magic = "%%%% HASHDEEP-"

// Reader reads a hashdeep file. Columns are those of the latest column line, so
// that concatenated files read as one.
type Reader struct {
	lines   *feed.Lines
	columns []string
}

// NewReader reads the header; a file without one is not a hashdeep file.
func NewReader(r io.Reader) (*Reader, error) {
	lines, err := feed.NewLines(r)
	if err != nil {
		return nil, err
	}
	first, err := lines.Next()
	if err != nil && err != io.EOF {
		return nil, err
	}
	if !strings.HasPrefix(first, Magic) {
		return nil, lines.Fail(fmt.Errorf("no %q header", Magic+"1.0"))
	}
	return &Reader{lines: lines}, nil
}

// Next is the next assertion, or io.EOF.
func (r *Reader) Next() (tutela.Assertion, error) {
	for {
		line, err := r.lines.Next()
		if err != nil {
			return tutela.Assertion{}, err
		}
		switch {
		case strings.HasPrefix(line, Magic), strings.HasPrefix(line, "#"):
			continue
		case strings.HasPrefix(line, "%%%% "):
			r.columns = strings.Split(strings.ToLower(line[len("%%%% "):]), ",")
			continue
		}
		a, err := r.parse(line)
		if err != nil {
			return tutela.Assertion{}, r.lines.Fail(err)
		}
		return a, nil
	}
}

// parse splits into as many fields as there are columns: the last one, the
// file name, may hold commas itself.
func (r *Reader) parse(line string) (tutela.Assertion, error) {
	a := tutela.Assertion{Size: -1}
	if len(r.columns) == 0 {
		return a, fmt.Errorf("an entry before the line that names the columns")
	}
	fields := strings.SplitN(line, ",", len(r.columns))
	if len(fields) != len(r.columns) {
		return a, fmt.Errorf("%d fields for %d columns", len(fields), len(r.columns))
	}
	for i, column := range r.columns {
		if err := set(&a, column, fields[i]); err != nil {
			return a, err
		}
	}
	return a, nil
}

func set(a *tutela.Assertion, column, value string) error {
	switch column {
	case "size":
		size, err := strconv.ParseInt(value, 10, 64)
		if err != nil || size < 0 {
			return fmt.Errorf("size %q is not a number of bytes", value)
		}
		a.Size = size
	case "md5":
		return add(a, tutela.MatchMD5, value)
	case "sha1":
		return add(a, tutela.MatchSHA1, value)
	case "sha256":
		return add(a, tutela.MatchSHA256, value)
	}
	return nil // tiger, whirlpool and the file name say nothing that is matched
}

func add(a *tutela.Assertion, kind tutela.MatchKind, value string) error {
	switch kind {
	case tutela.MatchMD5:
		d, err := tutela.ParseMD5(value)
		a.MD5 = &d
		return err
	case tutela.MatchSHA1:
		d, err := tutela.ParseSHA1(value)
		a.SHA1 = &d
		return err
	case tutela.MatchPDQ:
		d, err := tutela.ParsePDQ(value)
		a.PDQ = &d
		return err
	default:
		d, err := tutela.ParseSHA256(value)
		a.SHA256 = &d
		return err
	}
}

// kindOf tells the digest by its length in hexadecimal digits; 0 if none.
func kindOf(digits int) tutela.MatchKind {
	switch digits {
	case 32:
		return tutela.MatchMD5
	case 40:
		return tutela.MatchSHA1
	case 64:
		return tutela.MatchSHA256
	}
	return 0
}
