package pdf

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
)

const (
	scanBytes = 256 << 10
	// overlap is how far back from a word its numbers may be, in bytes:
	// "4294967295 65535 obj", with some space between.
	overlap = 64
)

var (
	objectWord  = []byte("obj")
	trailerWord = []byte("trailer")
	endWord     = []byte("endstream")
)

// scan looks through the file for objects and trailers.
func (f *File) scan() error {
	passed := int64(0) // all before was understood, and is not looked at again
	for at := int64(0); at < f.size && f.Cut == nil; {
		b, err := f.read(at, scanBytes)
		if err != nil || len(b) == 0 {
			return err
		}
		if err := f.options.Spend(int64(len(b))); err != nil {
			return err
		}
		if passed, err = f.scanPart(b, at, passed); err != nil {
			return err
		}
		end := at + int64(len(b))
		if at = max(passed, end); end < f.size {
			at = max(passed, end-overlap)
		}
	}
	return nil
}

// scanPart looks through a stretch of the file from passed on, and says how far
// it understood it.
func (f *File) scanPart(b []byte, at, passed int64) (int64, error) {
	for i := int(passed - min(passed, at)); ; {
		i = max(i, int(min(passed-at, int64(len(b)))))
		object := bytes.Index(b[i:], objectWord)
		before := b[i:]
		if object >= 0 {
			before = before[:object]
		}
		if trailer := bytes.Index(before, trailerWord); trailer >= 0 {
			i += trailer + len(trailerWord)
			f.readTrailer(b[i:])
			passed = max(passed, at+int64(i))
			continue
		}
		if object < 0 {
			return passed, nil
		}
		word := i + object
		i = word + len(objectWord)
		begin, ref, ok := objectHead(b, word)
		if !ok || at+int64(begin) < passed {
			continue
		}
		end, err := f.object(ref, at+int64(begin), at+int64(i), b[i:])
		if err != nil || f.Cut != nil {
			return 0, err
		}
		passed = max(end, at+int64(i))
	}
}

// objectHead reads the two numbers before an "obj".
func objectHead(b []byte, word int) (begin int, ref Ref, ok bool) {
	begin, ref.Generation, ok = numberBefore(b, word)
	if !ok || ref.Generation > math.MaxUint16 {
		return 0, ref, false
	}
	begin, ref.Number, ok = numberBefore(b, begin)
	return begin, ref, ok && ref.Number > 0 && ref.Number <= math.MaxUint32
}

func numberBefore(b []byte, end int) (begin int, n int64, ok bool) {
	i := end
	for i > 0 && isSpace(b[i-1]) && end-i < 16 {
		i--
	}
	stop := i
	for i > 0 && isDigit(b[i-1]) && stop-i < 10 {
		i--
	}
	n, err := strconv.ParseInt(string(b[i:stop]), 10, 64)
	return i, n, err == nil
}

// readTrailer keeps the last trailer that tells of encryption.
func (f *File) readTrailer(b []byte) {
	l := lexer{b: b[:min(len(b), objectBytes)]}
	if d, ok := l.value(0).(Dict); ok {
		f.learnTrailer(d)
	}
}

func (f *File) learnTrailer(d Dict) {
	if d["Encrypt"] != nil {
		f.trailer = d
	}
}

// parse reads an object at a place of the file, of which have is the beginning
// that is at hand. It leaves the lexer behind the object.
func (f *File) parse(at int64, have []byte) (v any, l lexer, err error) {
	for {
		l = lexer{b: have[:min(len(have), objectBytes)]}
		v = l.value(0)
		l.space()
		if err := f.options.Spend(int64(l.at)); err != nil {
			return nil, l, err
		}
		// What comes close to the end may go on behind it.
		if l.at+len("stream\r\n") <= len(l.b) || len(l.b) >= objectBytes || at+int64(len(l.b)) >= f.size {
			return v, l, nil
		}
		if have, err = f.read(at, objectBytes); err != nil || len(have) <= len(l.b) {
			return v, l, err
		}
	}
}

// object reads an object that was found, and says where it ends.
func (f *File) object(ref Ref, begin, at int64, have []byte) (end int64, err error) {
	if len(f.at) >= MaxObjects || len(f.streams) >= MaxObjects {
		f.Cut = fmt.Errorf("more than %d objects", MaxObjects)
		return 0, nil
	}
	v, l, err := f.parse(at, have)
	if err != nil || l.bad {
		return 0, err // a word that looks like one, or damage: what is inside is looked for
	}
	f.at[ref.Number] = begin
	f.learn(v, ref.Number)
	end = at + int64(l.at)
	if d, ok := v.(Dict); ok && bytes.HasPrefix(l.b[l.at:], []byte("stream")) {
		return f.stream(ref, d, begin, end+int64(dataAfter(l.b[l.at:])))
	}
	return end, nil
}

// dataAfter is where the data begins behind the word (7.3.8.1).
func dataAfter(b []byte) int {
	n := len("stream")
	if n < len(b) && b[n] == '\r' {
		n++
	}
	if n < len(b) && b[n] == '\n' {
		n++
	}
	return n
}

// stream takes up a stream and says where it ends.
func (f *File) stream(ref Ref, d Dict, begin, data int64) (end int64, err error) {
	s := Stream{Number: ref.Number, Generation: ref.Generation, At: begin, Data: data, Kind: kindOf(d)}
	if d["Type"] == Name("XRef") {
		f.learnTrailer(d)
	}
	if length, ok := d["Length"].(Ref); ok {
		s.length = length.Number
	}
	n, ok := number(d["Length"])
	if ok = ok && f.endsAt(data, n); !ok {
		if n, err = f.searchEnd(data); err != nil {
			return 0, err
		}
	}
	s.Length, s.Open = n, n < 0
	if s.Open {
		s.Length, n = f.size-data, 0
	}
	f.streams = append(f.streams, s)
	return data + n, nil
}

// kindOf says what a stream is by its dictionary.
func kindOf(d Dict) Kind {
	switch {
	case d["Type"] == Name("ObjStm"):
		return packed
	case d["Type"] == Name("EmbeddedFile"):
		return Embedded
	case d["Subtype"] == Name("Image"):
		return Picture
	case d["Width"] != nil && d["Height"] != nil && d["BitsPerComponent"] != nil: // the thumbnail of a page
		return Picture
	}
	return other
}

// endsAt reports whether a stream of that length is followed by its end.
func (f *File) endsAt(data, length int64) bool {
	if length < 0 || length > f.size-data {
		return false
	}
	b, err := f.read(data+length, 4+len(endWord))
	return err == nil && bytes.HasPrefix(bytes.TrimLeft(b, "\r\n \t\x00"), endWord)
}

// searchEnd finds how long a stream is by its end, -1 if there is none.
func (f *File) searchEnd(data int64) (int64, error) {
	for at := data; !f.unended; {
		b, err := f.read(at, objectBytes)
		if err != nil {
			return 0, err
		}
		if err := f.options.Spend(int64(len(b))); err != nil {
			return 0, err
		}
		if i := bytes.Index(b, endWord); i >= 0 {
			return f.trimLine(data, at+int64(i)) - data, nil
		}
		if at+int64(len(b)) >= f.size || len(b) < len(endWord) {
			f.unended = true
		}
		at += int64(len(b) - len(endWord) + 1)
	}
	return -1, nil
}

// trimLine leaves out the line end before the end of a stream.
func (f *File) trimLine(data, end int64) int64 {
	n := min(end-data, 2)
	b, _ := f.read(end-n, int(n))
	b, _ = bytes.CutSuffix(b, []byte("\n"))
	b, _ = bytes.CutSuffix(b, []byte("\r"))
	return end - n + int64(len(b))
}

// settle asks the object that tells a stream's length, now that it is known.
func (f *File) settle(s *Stream) error {
	if s.length == 0 || s.Kind == other {
		return nil
	}
	v, err := f.load(s.length)
	if n, ok := number(v); ok && f.endsAt(s.Data, n) {
		s.Length, s.Open = n, false
	}
	return err
}

// learn looks into an object for file specifications (7.11.3), and remembers
// which object names which embedded file.
func (f *File) learn(v any, owner int64) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			f.learn(item, owner)
		}
	case Dict:
		files, _ := v["EF"].(Dict)
		for _, file := range files {
			if ref, ok := file.(Ref); ok {
				f.owners[ref.Number] = owner
			}
		}
		for _, item := range v {
			f.learn(item, owner)
		}
	}
}
