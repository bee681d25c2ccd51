package archive

import (
	"bytes"
	"io"
	"mime"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/text/encoding/htmlindex"
)

// mailHeader is what the header of a part says of it.
type mailHeader struct {
	kind     string // "image/jpeg" in small letters
	boundary string
	encoding string // of the transfer, in small letters
	name     string // of the file; may be empty
}

// plain reports whether the part is text that was not encoded.
func (h mailHeader) plain() bool {
	return (h.kind == "" || h.kind == "text/plain") && (h.encoding == "" || h.encoding == "7bit" || h.encoding == "8bit")
}

// readMailHeader reads up to an empty line. Of a field that stands there twice
// the first counts.
func readMailHeader(lines *lineReader) (h mailHeader) {
	fields := map[string]string{}
	var name string
	var value []byte
	put := func() {
		if _, twice := fields[name]; !twice {
			fields[name] = string(value)
		}
	}
	room := maxHeader
	for lines.next() {
		line := bytes.TrimRight(lines.line, "\r\n")
		if len(line) == 0 {
			break
		}
		if room -= len(line); room < 0 {
			continue
		}
		if line[0] == ' ' || line[0] == '\t' {
			value = append(append(value, ' '), bytes.TrimSpace(line)...)
			continue
		}
		put()
		_, after, _ := bytes.Cut(line, []byte{':'})
		name, value = fieldName(line), bytes.Clone(bytes.TrimSpace(after))
	}
	put()
	kind, params := parameters(fields["content-type"])
	_, disposition := parameters(fields["content-disposition"])
	h.kind, h.boundary = strings.ToLower(kind), params["boundary"]
	encoding, _, _ := strings.Cut(fields["content-transfer-encoding"], ";")
	h.encoding = strings.ToLower(strings.TrimSpace(encoding))
	if h.name = disposition["filename"]; h.name == "" {
		h.name = params["name"]
	}
	if h.name == "" && h.kind == "message/rfc822" {
		h.name = strings.TrimSpace(strings.TrimSuffix(decodeWords(fields["content-description"]), ".eml"))
		if h.name != "" {
			h.name += ".eml"
		}
	}
	return h
}

// parameters takes a field apart (RFC 2045 5.1). Names come in small letters,
// values in UTF-8, those that RFC 2231 cuts in pieces put together. What does
// not follow the grammar is read as far as it can be understood.
func parameters(field string) (value string, params map[string]string) {
	value, rest, _ := strings.Cut(field, ";")
	params = map[string]string{}
	pieces := map[string]string{}
	for rest != "" {
		var key, v string
		key, v, rest = parameter(rest)
		if key != "" && pieces[key] == "" {
			pieces[key] = v
		}
	}
	for key, v := range pieces {
		if !strings.Contains(key, "*") {
			params[key] = decodeWords(v)
		}
	}
	for key := range pieces { // what is extended counts before what is not
		if base, _, extended := strings.Cut(key, "*"); extended {
			params[base] = joined(pieces, base)
		}
	}
	return strings.TrimSpace(value), params
}

// parameter reads "key=value;".
func parameter(s string) (key, value, rest string) {
	end := strings.IndexAny(s, "=;")
	switch {
	case end < 0:
		return "", "", ""
	case s[end] == ';':
		return "", "", s[end+1:]
	}
	key = strings.ToLower(strings.TrimSpace(s[:end]))
	s = strings.TrimLeft(s[end+1:], " \t")
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, ";")
		return key, strings.TrimSpace(value), rest
	}
	var b strings.Builder
	i := 1
	for ; i < len(s) && s[i] != '"'; i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	_, rest, _ = strings.Cut(s[min(i+1, len(s)):], ";")
	return key, b.String(), rest
}

const maxPiecesOfName = 100

// joined puts together the pieces of a parameter (RFC 2231 3 and 4).
func joined(pieces map[string]string, base string) string {
	if whole, ok := pieces[base+"*"]; ok {
		return extended(whole)
	}
	var b strings.Builder
	charset := ""
	for i := range maxPiecesOfName {
		key := base + "*" + strconv.Itoa(i)
		piece, ok := pieces[key]
		if ok {
			b.WriteString(piece)
			continue
		}
		if piece, ok = pieces[key+"*"]; !ok {
			break
		}
		if i == 0 {
			charset, piece = cutCharset(piece)
		}
		b.WriteString(percent(piece))
	}
	return toUTF8(charset, b.String())
}

// extended decodes "charset'language'value" with percent signs.
func extended(s string) string {
	charset, value := cutCharset(s)
	return toUTF8(charset, percent(value))
}

func cutCharset(s string) (charset, value string) {
	charset, rest, ok := strings.Cut(s, "'")
	_, value, also := strings.Cut(rest, "'")
	if !ok || !also {
		return "", s
	}
	return charset, value
}

func percent(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

func toUTF8(charset, s string) string {
	r, err := charsetReader(charset, strings.NewReader(s))
	if err != nil {
		return s
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return s
	}
	return string(b)
}

func charsetReader(charset string, r io.Reader) (io.Reader, error) {
	if charset == "" {
		return r, nil
	}
	e, err := htmlindex.Get(charset)
	if err != nil {
		return nil, err
	}
	return e.NewDecoder().Reader(r), nil
}

// decodeWords decodes encoded words (RFC 2047), which programs write into
// parameters against its section 5. What cannot be decoded stays as it is.
func decodeWords(s string) string {
	d := mime.WordDecoder{CharsetReader: charsetReader}
	if plain, err := d.DecodeHeader(s); err == nil {
		return plain
	}
	return s
}
