package pdf

import (
	"bytes"
	"encoding/hex"
	"strconv"
)

// The objects of ISO 32000-1, 7.3. An integer is an int64, a real a float64, a
// boolean a bool, null nil; the others have types of their own.
type (
	// Name is a name without its slash, "#xx" resolved.
	Name string
	// Text is the bytes of a string.
	Text []byte
	// Ref is a reference to another object.
	Ref struct{ Number, Generation int64 }
	// Dict is a dictionary.
	Dict map[Name]any
	// keyword is a word that is none of the above: "obj", "stream".
	keyword string
)

const (
	maxDepth = 32  // arrays and dictionaries in one another
	maxName  = 127 // bytes; Annex C, Table C.1
)

// lexer reads objects from bytes. What breaks off gives a keyword or bad.
type lexer struct {
	b   []byte
	at  int
	bad bool
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == 0
}

func isDelimiter(c byte) bool { return bytes.IndexByte([]byte("()<>[]{}/%"), c) >= 0 }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// space passes over white space and comments.
func (l *lexer) space() {
	for l.at < len(l.b) {
		switch c := l.b[l.at]; {
		case isSpace(c):
			l.at++
		case c == '%':
			for l.at < len(l.b) && l.b[l.at] != '\n' && l.b[l.at] != '\r' {
				l.at++
			}
		default:
			return
		}
	}
}

// word reads up to the next space or delimiter.
func (l *lexer) word() string {
	from := l.at
	for l.at < len(l.b) && !isSpace(l.b[l.at]) && !isDelimiter(l.b[l.at]) {
		l.at++
	}
	return string(l.b[from:l.at])
}

// value reads one object. depth counts what it lies in.
func (l *lexer) value(depth int) any {
	l.space()
	if l.at >= len(l.b) || depth > maxDepth {
		l.bad, l.at = true, len(l.b)
		return nil
	}
	switch c := l.b[l.at]; {
	case c == '/':
		l.at++
		return l.name()
	case c == '(':
		return l.literal()
	case c == '<' && l.at+1 < len(l.b) && l.b[l.at+1] == '<':
		l.at += 2
		return l.dict(depth)
	case c == '<':
		return l.hexString()
	case c == '[':
		l.at++
		return l.array(depth)
	case isDelimiter(c):
		l.at++
		return keyword(c)
	}
	return l.number()
}

// number reads a number, a reference or a word.
func (l *lexer) number() any {
	w := l.word()
	switch w {
	case "true", "false":
		return w == "true"
	case "null":
		return nil
	}
	if n, err := strconv.ParseInt(w, 10, 64); err == nil {
		if ref, ok := l.reference(n); ok {
			return ref
		}
		return n
	}
	if f, err := strconv.ParseFloat(w, 64); err == nil {
		return f
	}
	return keyword(w)
}

// reference looks whether "G R" follows a number.
func (l *lexer) reference(number int64) (Ref, bool) {
	from := l.at
	l.space()
	if l.at < len(l.b) && isDigit(l.b[l.at]) && number >= 0 {
		generation, err := strconv.ParseInt(l.word(), 10, 64)
		l.space()
		if err == nil && l.word() == "R" {
			return Ref{number, generation}, true
		}
	}
	l.at = from
	return Ref{}, false
}

func (l *lexer) name() Name {
	w := l.word()
	if len(w) > maxName {
		w = w[:maxName]
	}
	if !bytes.Contains([]byte(w), []byte{'#'}) {
		return Name(w)
	}
	var out []byte
	for i := 0; i < len(w); i++ {
		if w[i] == '#' && i+2 < len(w) {
			if b, err := hex.DecodeString(w[i+1 : i+3]); err == nil {
				out = append(out, b[0])
				i += 2
				continue
			}
		}
		out = append(out, w[i])
	}
	return Name(out)
}

// literal reads a string in parentheses (7.3.4.2).
func (l *lexer) literal() Text {
	out := Text{}
	open := 0
	for ; l.at < len(l.b); l.at++ {
		c := l.b[l.at]
		switch c {
		case '(':
			if open++; open == 1 {
				continue
			}
		case ')':
			if open--; open == 0 {
				l.at++
				return out
			}
		case '\\':
			out = l.escape(out)
			continue
		}
		out = append(out, c)
	}
	l.bad = true
	return out
}

// escape reads what follows a backslash and stays on its last byte.
func (l *lexer) escape(out Text) Text {
	if l.at++; l.at >= len(l.b) {
		return out
	}
	c := l.b[l.at]
	if i := bytes.IndexByte([]byte("nrtbf"), c); i >= 0 {
		return append(out, "\n\r\t\b\f"[i])
	}
	switch {
	case c == '\r' && l.at+1 < len(l.b) && l.b[l.at+1] == '\n':
		l.at++
		return out
	case c == '\r' || c == '\n':
		return out
	case c < '0' || c > '7':
		return append(out, c)
	}
	v := 0
	n := 0
	for ; n < 3 && l.at+n < len(l.b) && l.b[l.at+n] >= '0' && l.b[l.at+n] <= '7'; n++ {
		v = v<<3 | int(l.b[l.at+n]-'0')
	}
	l.at += n - 1
	return append(out, byte(v))
}

func (l *lexer) hexString() Text {
	end := bytes.IndexByte(l.b[l.at:], '>')
	if end < 0 {
		l.bad, l.at = true, len(l.b)
		return nil
	}
	digits := make([]byte, 0, end)
	for _, c := range l.b[l.at+1 : l.at+end] {
		if !isSpace(c) {
			digits = append(digits, c)
		}
	}
	if len(digits)%2 == 1 {
		digits = append(digits, '0')
	}
	l.at += end + 1
	n, err := hex.Decode(digits, digits)
	l.bad = l.bad || err != nil
	return Text(digits[:n])
}

func (l *lexer) array(depth int) []any {
	var out []any
	for !l.bad {
		v := l.value(depth + 1)
		if v == keyword("]") {
			return out
		}
		if k, word := v.(keyword); word && (k == "" || k == "endobj" || k == ">") {
			l.bad = true
		}
		out = append(out, v)
	}
	return out
}

func (l *lexer) dict(depth int) Dict {
	out := Dict{}
	for !l.bad {
		l.space()
		if bytes.HasPrefix(l.b[l.at:], []byte(">>")) {
			l.at += 2
			return out
		}
		key, ok := l.value(depth + 1).(Name)
		if !ok {
			l.bad = true
			break
		}
		v := l.value(depth + 1)
		if k, word := v.(keyword); word && k == ">" { // a key without a value
			l.at--
			continue
		}
		out[key] = v
	}
	return out
}

// number gives an integer that may be written as a real.
func number(v any) (int64, bool) {
	switch n := v.(type) {
	case int64:
		return n, true
	case float64:
		if n >= -1e15 && n <= 1e15 {
			return int64(n), true
		}
	}
	return 0, false
}
