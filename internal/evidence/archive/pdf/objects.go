package pdf

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
	"unicode/utf16"
)

const (
	maxRefs  = 8 // references that point to references
	maxPacks = 4 // decoded object streams that are kept
)

// resolve follows a reference to what it stands for; nil if that is not there.
func (f *File) resolve(v any) (any, error) {
	for range maxRefs {
		ref, ok := v.(Ref)
		if !ok {
			return v, nil
		}
		var err error
		if v, err = f.load(ref.Number); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// load reads the last object of a number. What stands later in the file has
// replaced what stands before.
func (f *File) load(number int64) (any, error) {
	at, direct := f.at[number]
	where, within := f.inside[number]
	if within && (!direct || f.streams[where.stream].At > at) {
		p, err := f.unpacked(where.stream)
		plain := p.plain
		if err != nil || where.at >= len(plain) {
			return nil, err
		}
		l := lexer{b: plain[where.at:min(len(plain), where.at+objectBytes)]}
		v := l.value(0)
		return v, f.options.Spend(int64(l.at))
	}
	if !direct {
		return nil, nil
	}
	v, _, err := f.loadAt(at)
	return v, err
}

// loadAt reads the object that begins at a place, its strings decrypted.
func (f *File) loadAt(at int64) (any, Ref, error) {
	const first = 2 << 10 // most objects
	b, err := f.read(at, first)
	if err != nil {
		return nil, Ref{}, err
	}
	word := bytes.Index(b, objectWord)
	if word < 0 {
		return nil, Ref{}, nil
	}
	_, ref, _ := objectHead(b, word)
	word += len(objectWord)
	v, l, err := f.parse(at+int64(word), b[word:])
	if err != nil || l.bad {
		return nil, ref, err
	}
	if f.lock != nil {
		v = f.lock.strings(v, ref)
	}
	return v, ref, nil
}

// dict is the dictionary of a stream.
func (f *File) dict(s *Stream) (Dict, error) {
	v, _, err := f.loadAt(s.At)
	d, _ := v.(Dict)
	return d, err
}

// unpack learns which objects lie in object streams (7.5.7). One that cannot be
// decoded is told by Cut.
func (f *File) unpack() error {
	for i := range f.streams {
		if f.streams[i].Kind != packed {
			continue
		}
		err := f.index(i)
		if over := f.options.Spend(0); over != nil {
			return over
		}
		if err != nil {
			f.Cut = fmt.Errorf("object stream %d: %w", f.streams[i].Number, err)
		}
	}
	return nil
}

func (f *File) index(stream int) error {
	d, err := f.dict(&f.streams[stream])
	if err != nil {
		return err
	}
	p, err := f.unpacked(stream)
	if err != nil {
		return err
	}
	plain, cut := p.plain, p.cut
	first, _ := number(d["First"])
	count, _ := number(d["N"])
	head := lexer{b: plain[:max(0, min(first, int64(len(plain))))]}
	for range count {
		n, ok := head.value(0).(int64)
		at, also := head.value(0).(int64)
		if !ok || !also || head.bad || at < 0 || at > int64(len(plain)) || len(f.inside) >= MaxObjects {
			return errors.New("its list of objects does not hold together")
		}
		at += first
		if at >= int64(len(plain)) {
			cut = cmp.Or(cut, fmt.Errorf("object %d is not in it", n))
			continue
		}
		f.inside[n] = inside{stream, int(at)}
		l := lexer{b: plain[at:min(int64(len(plain)), at+objectBytes)]}
		f.learn(l.value(0), n)
		if err := f.options.Spend(int64(l.at)); err != nil {
			return err
		}
	}
	return cut
}

// unpacked decodes an object stream, or remembers it. What comes before an error
// of decoding stands.
func (f *File) unpacked(stream int) (p pack, err error) {
	for _, p := range f.packs {
		if p.stream == stream {
			return p, nil
		}
	}
	s := &f.streams[stream]
	d, err := f.dict(s)
	if err != nil {
		return p, err
	}
	r, last, err := f.decode(s, d)
	if err != nil {
		return p, err
	}
	if last != "" {
		return p, fmt.Errorf("packed with %s", last)
	}
	p = pack{stream: stream}
	p.plain, p.cut = io.ReadAll(io.LimitReader(r, packedBytes))
	if over := f.options.Spend(int64(len(p.plain))); over != nil {
		return p, over
	}
	if len(p.plain) == packedBytes {
		p.cut = fmt.Errorf("only its first %d bytes were read", packedBytes)
	}
	if len(p.plain) == 0 && p.cut != nil {
		return p, p.cut
	}
	if f.packs = append(f.packs, p); len(f.packs) > maxPacks {
		f.packs = f.packs[1:]
	}
	return p, nil
}

// FileInfo is what the file says of an embedded file.
type FileInfo struct {
	Name              []byte // UTF-8 where the file says which characters they are; may be empty
	Modified, Created time.Time
}

// Info finds the name and the times of an embedded file.
func (f *File) Info(s *Stream) (info FileInfo, err error) {
	d, err := f.dict(s)
	if err != nil {
		return info, err
	}
	params, err := f.resolve(d["Params"])
	if p, ok := params.(Dict); ok {
		info.Modified, info.Created = date(p["ModDate"]), date(p["CreationDate"])
	}
	if owner := f.owners[s.Number]; err == nil && owner != 0 && !s.Older {
		var v any
		if v, err = f.load(owner); err == nil {
			info.Name, err = f.nameIn(v, s.Number)
		}
	}
	return info, err
}

// nameIn finds the file specification of a stream in an object.
func (f *File) nameIn(v any, stream int64) ([]byte, error) {
	var within []any
	switch v := v.(type) {
	case []any:
		within = v
	case Dict:
		files, _ := v["EF"].(Dict)
		for _, file := range files {
			if ref, ok := file.(Ref); ok && ref.Number == stream {
				return f.specified(v)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			within = append(within, v[key])
		}
	}
	for _, item := range within {
		if name, err := f.nameIn(item, stream); err != nil || name != nil {
			return name, err
		}
	}
	return nil, nil
}

// specified is the name in a file specification: that in Unicode before others.
func (f *File) specified(spec Dict) ([]byte, error) {
	for _, key := range []Name{"UF", "F", "Unix", "DOS", "Mac"} {
		v, err := f.resolve(spec[key])
		if err != nil {
			return nil, err
		}
		if t, ok := v.(Text); ok && len(t) > 0 {
			return plainText(t), nil
		}
	}
	return nil, nil
}

// plainText turns a text string (7.9.2.2) into UTF-8. In PDFDocEncoding the
// letters of Latin-1 have their places, and no others are looked up.
func plainText(t Text) []byte {
	switch {
	case bytes.HasPrefix(t, []byte("\xef\xbb\xbf")):
		return t[3:]
	case bytes.HasPrefix(t, []byte("\xfe\xff")):
		var units []uint16
		for b := t[2:]; len(b) >= 2; b = b[2:] {
			units = append(units, uint16(b[0])<<8|uint16(b[1]))
		}
		return []byte(string(utf16.Decode(units)))
	}
	out := make([]rune, len(t))
	for i, c := range t {
		out[i] = rune(c)
	}
	return []byte(string(out))
}

// date reads "D:20260102030405+01'00'" (7.9.4); the zero time if it is none.
func date(v any) time.Time {
	t, _ := v.(Text)
	s := bytes.TrimPrefix(t, []byte("D:"))
	digits := 0
	for digits < len(s) && digits < 14 && isDigit(s[digits]) {
		digits++
	}
	const layout = "20060102150405"
	if digits < 4 || digits%2 == 1 {
		return time.Time{}
	}
	zone := bytes.ReplaceAll(s[digits:], []byte("'"), nil)
	when, err := time.Parse(layout[:digits], string(s[:digits]))
	if err != nil {
		return time.Time{}
	}
	if len(zone) >= 3 && (zone[0] == '+' || zone[0] == '-') {
		if len(zone) == 3 {
			zone = append(bytes.Clone(zone), "00"...)
		}
		if w, err := time.Parse(layout[:digits]+"-0700", string(s[:digits])+string(zone[:min(5, len(zone))])); err == nil {
			when = w
		}
	}
	return when.UTC()
}
