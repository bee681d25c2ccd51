// Package vics reads media lists in the Video Image Classification Standard of
// Project VIC, 1.2, 1.3 and 2.0, lists of media and lists of cases alike.
//
// Call [NewReader]; [Reader.Context] says what the file claims to be. The
// standard is not openly published, so this reader follows what files in the
// field look like and is tolerant where they differ: booleans and numbers may
// be strings, digests may be null or empty, members may come in any order.
//
// Promised: records are read one at a time, whatever the size of the file; a
// category is a code of the scheme that the context names, because category
// numbers are national. Not promised: miniatures, Exif, file locations,
// PhotoDNA and what the file says about persons are not kept.
package vics

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"tutela"
	"tutela/internal/hashset/feed"
)

// MaxRecord is the longest media record that is read, in bytes. Miniatures are
// part of a record.
const MaxRecord = 16 << 20

// Context is what the head of a file says about it.
type Context struct {
	Version string // "1.2", "1.3", "2.0"; "" if there is none
	Profile string // "Default", "US", "UK", "CUSTOM" …; "" before 2.0
	Cases   bool   // media lie in cases
}

// Scheme is the category scheme that the context stands for.
func (c Context) Scheme() string {
	switch profile := strings.ToLower(c.Profile); profile {
	case "", "default":
		return "vics-default"
	case "uk":
		return "caid-uk"
	default:
		return "vics-" + profile
	}
}

// ParseContext reads the value of @odata.context (2.0) or odata.metadata (1.x):
// …/DataModels/2.0.xml/US/$metadata#Cases, …/DataModels/1.3.xml#Media.
func ParseContext(s string) (Context, error) {
	_, rest, ok := strings.Cut(s, "/DataModels/")
	version, rest, ok2 := strings.Cut(rest, ".xml")
	if !ok || !ok2 || len(version) > 8 {
		return Context{}, fmt.Errorf("context %.200q is not of a VICS data model", s)
	}
	path, what, _ := strings.Cut(rest, "#")
	c := Context{Version: version, Profile: strings.Trim(strings.TrimSuffix(path, "$metadata"), "/")}
	if !isProfile(c.Profile) {
		return Context{}, fmt.Errorf("context %.200q names no profile that can be understood", s)
	}
	switch what {
	case "Media":
	case "Cases":
		c.Cases = true
	default:
		return Context{}, fmt.Errorf("context %.200q lists neither Media nor Cases", s)
	}
	return c, nil
}

func isProfile(s string) bool {
	for _, r := range strings.ToLower(s) {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return len(s) <= 32
}

// Reader reads a list of media.
type Reader struct {
	limit   *feed.Limited
	dec     *json.Decoder
	context Context
	known   bool // a context was read
	scheme  string
	records int64
	depth   place
}

// place is where in the document the reader stands.
type place uint8

const (
	inDocument  place = iota // between members of the outermost object
	inMedia                  // between media of the list
	inCases                  // between cases of the list
	inCase                   // between members of a case
	inCaseMedia              // between media of a case
	atEnd
)

// NewReader reads up to the first record. A scheme other than "" replaces the
// one that the context stands for; a file that tells no context before its
// records needs one.
func NewReader(r io.Reader, scheme string) (*Reader, error) {
	text, err := feed.Open(r)
	if err != nil {
		return nil, err
	}
	limit := feed.Limit(text, MaxRecord)
	v := &Reader{limit: limit, dec: json.NewDecoder(limit), scheme: scheme}
	if err := v.expect('{'); err != nil {
		return nil, fmt.Errorf("head: %w", err)
	}
	if err := v.document(); err != nil {
		return nil, fmt.Errorf("head: %w", err)
	}
	if v.depth == atEnd {
		return nil, errors.New("no list of media in it")
	}
	return v, nil
}

// Context says what the file claims to be.
func (v *Reader) Context() Context { return v.context }

// Scheme is the category scheme of the records.
func (v *Reader) Scheme() string { return v.scheme }

// Next is the next assertion, or io.EOF once the whole document was read and
// found well-formed. A medium without a digest that is understood is given
// without any.
func (v *Reader) Next() (tutela.Assertion, error) {
	for {
		a, found, err := v.step()
		if err != nil {
			return a, &feed.PlaceError{Unit: "record", Number: v.records + 1, Err: err}
		}
		if found {
			v.records++
			return a, nil
		}
		if v.depth == atEnd {
			return a, v.end()
		}
	}
}

// step does one thing at the place where the reader stands.
func (v *Reader) step() (a tutela.Assertion, found bool, err error) {
	v.limit.Reset()
	switch v.depth {
	case inMedia, inCaseMedia:
		if v.dec.More() {
			a, err = v.medium()
			return a, err == nil, err
		}
		return a, false, v.leaveList()
	case inCases:
		return a, false, v.cases()
	case inCase:
		return a, false, v.inCase()
	case inDocument:
		return a, false, v.document()
	}
	return a, false, nil
}

func (v *Reader) leaveList() error {
	if err := v.expect(']'); err != nil {
		return err
	}
	if v.depth == inCaseMedia {
		v.depth = inCase
	} else {
		v.depth = inDocument
	}
	return nil
}

// document reads members of the outermost object up to the list or the end.
func (v *Reader) document() error {
	for v.dec.More() {
		v.limit.Reset()
		key, err := v.key()
		if err != nil {
			return err
		}
		switch key {
		case "@odata.context", "odata.metadata":
			err = v.readContext()
		case "value":
			return v.enterList()
		default:
			err = v.skip()
		}
		if err != nil {
			return err
		}
	}
	v.depth = atEnd
	return v.expect('}')
}

func (v *Reader) readContext() error {
	var s string
	if err := v.dec.Decode(&s); err != nil {
		return err
	}
	if v.known {
		return nil // it stood first, where the standard puts it
	}
	c, err := ParseContext(s)
	v.context, v.known = c, true
	return err
}

func (v *Reader) enterList() error {
	if v.records > 0 {
		return errors.New("a second list of media in one document")
	}
	if v.scheme == "" && !v.known {
		return errors.New("records before any @odata.context: name the category scheme")
	}
	if v.scheme == "" {
		v.scheme = v.context.Scheme()
	}
	v.depth = inMedia
	if v.context.Cases {
		v.depth = inCases
	}
	return v.expect('[')
}

func (v *Reader) cases() error {
	if !v.dec.More() {
		v.depth = inDocument
		return v.expect(']')
	}
	v.depth = inCase
	return v.expect('{')
}

// inCase reads one member of a case.
func (v *Reader) inCase() error {
	if !v.dec.More() {
		v.depth = inCases
		return v.expect('}')
	}
	key, err := v.key()
	if err != nil {
		return err
	}
	if key != "Media" {
		return v.skip()
	}
	t, err := v.dec.Token()
	if err != nil || t == nil {
		return err // "Media": null is a case without media
	}
	if t != json.Delim('[') {
		return errors.New(`"Media" is not a list`)
	}
	v.depth = inCaseMedia
	return nil
}

func (v *Reader) key() (string, error) {
	t, err := v.dec.Token()
	key, ok := t.(string)
	if err == nil && !ok {
		err = errors.New("a member without a name")
	}
	return key, noEOF(err)
}

func (v *Reader) skip() error {
	var nothing skipped
	return noEOF(v.dec.Decode(&nothing))
}

type skipped struct{}

func (*skipped) UnmarshalJSON([]byte) error { return nil }

func (v *Reader) expect(want json.Delim) error {
	t, err := v.dec.Token()
	if err != nil {
		return noEOF(err)
	}
	if t != want {
		return fmt.Errorf("%v where %v should be", t, want)
	}
	return nil
}

// end holds that nothing but blanks follows the document.
func (v *Reader) end() error {
	_, err := v.dec.Token()
	if err == nil {
		err = errors.New("more text after the document")
	}
	return err
}

// noEOF tells the end of a cut file from the end of the records.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
