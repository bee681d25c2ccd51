package vics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"tutela"
)

// medium is what is kept of a media record.
type medium struct {
	Category          scalar
	MD5, SHA1         scalar
	SHA256, PDQ       scalar
	MediaSize         scalar
	Series            scalar
	AlternativeHashes []struct{ HashName, HashValue scalar }
}

// scalar is a string, number or boolean, as text; null and absent are "".
type scalar string

func (s *scalar) UnmarshalJSON(raw []byte) error {
	switch {
	case bytes.Equal(raw, []byte("null")):
		*s = ""
	case raw[0] == '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		*s = scalar(strings.TrimSpace(text))
	case raw[0] == '{' || raw[0] == '[':
		return fmt.Errorf("a list or object where a value should be")
	default:
		*s = scalar(raw)
	}
	return nil
}

func (v *Reader) medium() (tutela.Assertion, error) {
	var m medium
	if err := v.dec.Decode(&m); err != nil {
		return tutela.Assertion{}, noEOF(err)
	}
	a := tutela.Assertion{Size: -1, Series: string(m.Series)}
	var err error
	if a.Category, err = v.category(string(m.Category)); err != nil {
		return tutela.Assertion{}, err
	}
	if a.Size, err = size(string(m.MediaSize)); err != nil {
		return tutela.Assertion{}, err
	}
	if err := m.digests(&a); err != nil {
		return tutela.Assertion{}, err
	}
	return a, nil
}

// category keeps the number as a code. In the default and US profiles 5 is how
// a tool writes that nobody categorised the medium, as null is.
func (v *Reader) category(code string) (tutela.Category, error) {
	if code == "" {
		return tutela.Category{}, nil
	}
	n, err := strconv.ParseInt(code, 10, 32)
	if err != nil {
		return tutela.Category{}, fmt.Errorf("category %.64q is not a number", code)
	}
	if n == 5 && (v.scheme == "vics-default" || v.scheme == "vics-us") {
		return tutela.Category{}, nil
	}
	return tutela.Category{Scheme: v.scheme, Code: strconv.FormatInt(n, 10)}, nil
}

// size is -1 where it is not told; some tools write -1 themselves.
func size(s string) (int64, error) {
	if s == "" || s == "-1" {
		return -1, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("media size %.64q is not a number of bytes", s)
	}
	return n, nil
}

func (m *medium) digests(a *tutela.Assertion) error {
	for _, d := range []struct {
		name  string
		value scalar
	}{{"md5", m.MD5}, {"sha1", m.SHA1}, {"sha256", m.SHA256}, {"pdq", m.PDQ}} {
		if err := setDigest(a, d.name, string(d.value)); err != nil {
			return err
		}
	}
	for _, h := range m.AlternativeHashes {
		name := strings.ReplaceAll(strings.ToLower(string(h.HashName)), "-", "")
		if err := setDigest(a, name, string(h.HashValue)); err != nil {
			return err
		}
	}
	return nil
}

// setDigest leaves digests alone that are not matched (PhotoDNA and others) or
// not told.
func setDigest(a *tutela.Assertion, name, value string) (err error) {
	if value == "" {
		return nil
	}
	switch name {
	case "md5":
		err = once(&a.MD5, name, value, tutela.ParseMD5)
	case "sha1":
		err = once(&a.SHA1, name, value, tutela.ParseSHA1)
	case "sha256":
		err = once(&a.SHA256, name, value, tutela.ParseSHA256)
	case "pdq":
		err = once(&a.PDQ, name, value, tutela.ParsePDQ)
	}
	return err
}

// once refuses a record that gives two different digests of one kind.
func once[D comparable](into **D, name, value string, parse func(string) (D, error)) error {
	d, err := parse(value)
	if err != nil {
		return err
	}
	if *into != nil && **into != d {
		return fmt.Errorf("two different %s digests in one record", name)
	}
	*into = &d
	return nil
}
