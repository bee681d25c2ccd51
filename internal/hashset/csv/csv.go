// Package csv reads hash sets from tables with a header line: comma, semicolon
// or tab, quoted or not, with or without a byte order mark.
//
// Call [NewReader]; it recognises columns by their usual names, and a [Mapping]
// names those that are called something else. Promised: a row with a wrong
// number of fields or a digest that is none is an error with its line, and no
// column is taken for a digest on a guess. Not promised: columns that are not
// recognised are not kept.
package csv

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"tutela"
	"tutela/internal/hashset/feed"
)

// Mapping says that a column holds a field. Columns are compared without
// regard to case.
type Mapping struct {
	Column string
	Field  string // one of Fields
}

// ParseMapping reads COLUMN=FIELD.
func ParseMapping(s string) (Mapping, error) {
	at := strings.LastIndexByte(s, '=')
	if at < 1 {
		return Mapping{}, fmt.Errorf("mapping %q is not COLUMN=FIELD", s)
	}
	m := Mapping{Column: s[:at], Field: strings.ToLower(s[at+1:])}
	return m, m.check()
}

func (m Mapping) check() error {
	if !slices.Contains(Fields(), m.Field) {
		return fmt.Errorf("mapping %s=%s: no such field: one of %s", m.Column, m.Field, strings.Join(Fields(), ", "))
	}
	return nil
}

// Fields lists what a column can hold. "hash" is a digest whose kind the number
// of digits tells: 32 MD5, 40 SHA-1, 64 SHA-256. "frames" are the PDQ hashes of
// the frames of a video, with blanks between them.
func Fields() []string {
	return []string{"md5", "sha1", "sha256", "pdq", "frames", "hash", "size", "category", "scheme", "series"}
}

// usual maps names that tools give their columns, without case, blanks, dashes
// and underscores, to fields.
var usual = map[string]string{
	"md5": "md5", "md5hash": "md5", "hashmd5": "md5", "md5sum": "md5",
	"sha1": "sha1", "sha1hash": "sha1", "hashsha1": "sha1",
	"sha256": "sha256", "sha256hash": "sha256", "hashsha256": "sha256", "sha2256": "sha256",
	"pdq": "pdq", "pdqhash": "pdq", "hashpdq": "pdq",
	"frames": "frames",
	"hash":   "hash", "hashvalue": "hash",
	"size": "size", "filesize": "size", "mediasize": "size", "sizebytes": "size", "bytes": "size",
	"category": "category", "cat": "category", "categorycode": "category",
	"scheme": "scheme", "categoryscheme": "scheme",
	"series": "series", "seriesname": "series",
}

// Options say how to read a table. The zero value finds everything out itself.
type Options struct {
	Scheme string    // of category codes where no column tells it
	Map    []Mapping // wins over usual names
}

// Reader reads a table.
type Reader struct {
	table   *csv.Reader
	limit   *feed.Limited
	scheme  string
	columns []column
}

type column struct {
	index int
	field string
}

// NewReader reads the header line and decides which columns count. It fails if
// there is no digest among them or if two hold the same field.
func NewReader(r io.Reader, o Options) (*Reader, error) {
	text, err := feed.Open(r)
	if err != nil {
		return nil, err
	}
	comma, err := delimiter(text)
	if err != nil {
		return nil, err
	}
	limit := feed.Limit(text, maxRow)
	table := csv.NewReader(limit)
	table.Comma, table.ReuseRecord = comma, true
	header, err := table.Read()
	if err == io.EOF {
		return nil, &feed.PlaceError{Unit: "line", Number: 1, Err: errors.New("no header line")}
	}
	if err != nil {
		return nil, place(table, err)
	}
	columns, err := choose(header, o.Map)
	if err != nil {
		return nil, &feed.PlaceError{Unit: "line", Number: 1, Err: err}
	}
	return &Reader{table, limit, o.Scheme, columns}, nil
}

// maxRow is the longest row that is read, in bytes: a day of frames and more.
const maxRow = 8 << 20

// delimiter is whichever of comma, semicolon and tab the header has most of.
func delimiter(text *bufio.Reader) (rune, error) {
	head, err := text.Peek(16 << 10)
	if err != nil && err != io.EOF {
		return 0, err
	}
	line, _, _ := strings.Cut(string(head), "\n")
	best, most := ',', 0
	for _, c := range ",;\t" {
		if n := unquoted(line, byte(c)); n > most {
			best, most = c, n
		}
	}
	return best, nil
}

func unquoted(line string, c byte) int {
	n, quoted := 0, false
	for i := range len(line) {
		switch {
		case line[i] == '"':
			quoted = !quoted
		case line[i] == c && !quoted:
			n++
		}
	}
	return n
}

func choose(header []string, wanted []Mapping) ([]column, error) {
	byField := map[string]int{}
	for _, m := range wanted {
		if err := m.check(); err != nil {
			return nil, err
		}
		i := slices.IndexFunc(header, func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), m.Column) })
		if i < 0 {
			return nil, fmt.Errorf("no column %q: there are %s", m.Column, quoteAll(header))
		}
		if _, twice := byField[m.Field]; twice {
			return nil, fmt.Errorf("two columns are mapped to %s", m.Field)
		}
		byField[m.Field] = i
	}
	if err := recognise(header, byField, len(wanted)); err != nil {
		return nil, err
	}
	return ordered(header, byField)
}

// recognise adds columns by their usual names, where nobody mapped the field or
// the column.
func recognise(header []string, byField map[string]int, mapped int) error {
	fixed, taken := make(map[string]bool, mapped), make(map[int]bool, mapped)
	for field, i := range byField {
		fixed[field], taken[i] = true, true
	}
	for i, name := range header {
		field, ok := usual[plain(name)]
		if !ok || fixed[field] || taken[i] {
			continue
		}
		if other, twice := byField[field]; twice {
			return fmt.Errorf("columns %q and %q could both be %s: map one", header[other], name, field)
		}
		byField[field] = i
	}
	return nil
}

func ordered(header []string, byField map[string]int) ([]column, error) {
	var columns []column
	digests := 0
	for n, field := range Fields() {
		if i, ok := byField[field]; ok {
			columns = append(columns, column{i, field})
			if n < 6 {
				digests++
			}
		}
	}
	if digests == 0 {
		return nil, fmt.Errorf("no column holds a digest: there are %s; map one with COLUMN=FIELD", quoteAll(header))
	}
	return columns, nil
}

func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '_' || r == '-' {
			return -1
		}
		return r
	}, strings.ToLower(strings.TrimSpace(name)))
}

func quoteAll(names []string) string {
	shown := names[:min(len(names), 32)]
	quoted := make([]string, len(shown))
	for i, n := range shown {
		quoted[i] = strconv.Quote(n[:min(len(n), 64)])
	}
	return strings.Join(quoted, ", ")
}

// Next is the next assertion, or io.EOF. A row without any digest is given
// without any: who reads it decides.
func (r *Reader) Next() (tutela.Assertion, error) {
	r.limit.Reset()
	a := tutela.Assertion{Size: -1}
	row, err := r.table.Read()
	if err == io.EOF {
		return a, err
	}
	if err != nil {
		return a, place(r.table, err)
	}
	for _, c := range r.columns {
		if err := set(&a, c.field, strings.TrimSpace(row[c.index])); err != nil {
			line, _ := r.table.FieldPos(c.index)
			return tutela.Assertion{}, &feed.PlaceError{Unit: "line", Number: int64(line), Err: err}
		}
	}
	if a.Category.Code == "" {
		a.Category = tutela.Category{}
	} else if a.Category.Scheme == "" {
		a.Category.Scheme = r.scheme
	}
	return a, nil
}

func place(table *csv.Reader, err error) error {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return &feed.PlaceError{Unit: "line", Number: int64(parse.Line), Err: parse.Err}
	}
	return fmt.Errorf("after byte %d: %w", table.InputOffset(), err)
}

func set(a *tutela.Assertion, field, value string) error {
	if value == "" {
		return nil
	}
	switch field {
	case "size":
		size, err := strconv.ParseInt(value, 10, 64)
		if err != nil || size < 0 {
			return fmt.Errorf("size %q is not a number of bytes", value)
		}
		a.Size = size
	case "category":
		a.Category.Code = strings.Clone(value)
	case "scheme":
		a.Category.Scheme = strings.Clone(value)
	case "series":
		a.Series = strings.Clone(value)
	case "hash":
		return setHash(a, value)
	case "frames":
		return setFrames(a, value)
	default:
		return setDigest(a, field, value)
	}
	return nil
}

func setFrames(a *tutela.Assertion, value string) error {
	for hash := range strings.FieldsSeq(value) {
		h, err := tutela.ParsePDQ(hash)
		if err != nil {
			return err
		}
		a.Frames = append(a.Frames, h)
	}
	return nil
}

// setHash does not overwrite a column that says which digest it holds.
func setHash(a *tutela.Assertion, value string) error {
	switch {
	case len(value) == 32 && a.MD5 == nil:
		return setDigest(a, "md5", value)
	case len(value) == 40 && a.SHA1 == nil:
		return setDigest(a, "sha1", value)
	case len(value) == 64 && a.SHA256 == nil:
		return setDigest(a, "sha256", value)
	case len(value) == 32 || len(value) == 40 || len(value) == 64:
		return nil
	}
	return fmt.Errorf("%w: %d characters are neither MD5, SHA-1 nor SHA-256", tutela.ErrDigest, len(value))
}

func setDigest(a *tutela.Assertion, field, value string) error {
	switch field {
	case "md5":
		d, err := tutela.ParseMD5(value)
		a.MD5 = &d
		return err
	case "sha1":
		d, err := tutela.ParseSHA1(value)
		a.SHA1 = &d
		return err
	case "sha256":
		d, err := tutela.ParseSHA256(value)
		a.SHA256 = &d
		return err
	default:
		d, err := tutela.ParsePDQ(value)
		a.PDQ = &d
		return err
	}
}
