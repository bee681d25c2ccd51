package ewf

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/klauspost/compress/zlib"

	"tutela"
	"tutela/internal/evidence"
)

// mostText bounds what a header section may expand to, in bytes. The
// specification knows of none above 1 MiB.
const mostText = 2 << 20

// names are what the letters of a header stand for ("Header values", "Header2
// values").
var names = []struct{ letters, name string }{
	{"c", "case number"}, {"n", "evidence number"}, {"a", "description"}, {"e", "examiner"}, {"t", "notes"},
	{"md", "model"}, {"sn", "serial number"}, {"l", "device label"}, {"av", "acquisition software"},
	{"ov", "operating system"}, {"m", "acquired"}, {"u", "system date"}, {"pid", "process"}, {"ext", "extents"},
}

// header takes in who acquired what. The sections repeat each other, so the first
// that says most is kept: header2, in Unicode, comes before header.
func (s *segment) header(src evidence.Source, kind string, body tutela.Run) {
	text, err := s.text(src, kind, body)
	if err != nil {
		s.note(tutela.FindingDamaged, "the %s section at %d: %v", kind, body.Offset-descriptorSize, err)
		return
	}
	facts := headerFacts(decodeByte(text))
	switch kind {
	case "header2":
		facts = headerFacts(decodeUTF16(text))
	case "xheader":
		facts = elements(text)
	}
	if len(facts) > len(s.facts) {
		s.facts = facts
	}
}

// text expands a compressed section.
func (s *segment) text(src evidence.Source, kind string, body tutela.Run) ([]byte, error) {
	b := s.read(src, kind, body, 1, mostText)
	if b == nil {
		return nil, errors.New("nothing to expand")
	}
	z, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(z, mostText))
}

// headerFacts reads the main category: a line of letters and a line of values,
// with tabs between.
func headerFacts(text string) []evidence.Fact {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	main := slices.Index(lines, "main")
	if main < 0 || main+2 >= len(lines) {
		return nil
	}
	letters, values := strings.Split(lines[main+1], "\t"), strings.Split(lines[main+2], "\t")
	var facts []evidence.Fact
	for _, n := range names {
		i := slices.Index(letters, n.letters)
		if i < 0 || i >= len(values) || values[i] == "" {
			continue
		}
		value := values[i]
		if n.letters == "m" || n.letters == "u" {
			value = date(value)
		}
		facts = append(facts, evidence.Fact{Name: n.name, Value: value})
	}
	return facts
}

// date writes a time as people read it. What is counted in seconds is in UTC;
// what is written out is in the time of a clock that nothing tells of.
func date(value string) string {
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil && len(value) < 12 {
		if seconds == 0 {
			return value
		}
		return time.Unix(seconds, 0).UTC().Format(time.RFC3339)
	}
	if local, err := time.Parse("2006 1 2 15 4 5", value); err == nil {
		return local.Format("2006-01-02T15:04:05") + " local time"
	}
	return value
}

func decodeUTF16(b []byte) string {
	order := binary.ByteOrder(binary.LittleEndian)
	if bytes.HasPrefix(b, []byte{0xfe, 0xff}) {
		order = binary.BigEndian
	}
	units := make([]uint16, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		units = append(units, order.Uint16(b))
	}
	return strings.TrimPrefix(string(utf16.Decode(units)), "\ufeff")
}

// decodeByte takes text that is in a code page nothing tells of: what is not
// UTF-8 is taken for Latin-1.
func decodeByte(b []byte) string {
	b = bytes.TrimRight(b, "\x00")
	if s := string(b); strings.ToValidUTF8(s, "") == s {
		return s
	}
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

// elements reads the XML of EWF-X: one element for each value.
func elements(text []byte) []evidence.Fact {
	var facts []evidence.Fact
	name := ""
	for d := xml.NewDecoder(bytes.NewReader(text)); ; {
		token, err := d.Token()
		if err != nil {
			return facts
		}
		switch t := token.(type) {
		case xml.StartElement:
			name = t.Name.Local
		case xml.EndElement:
			name = ""
		case xml.CharData:
			if value := strings.TrimSpace(string(t)); value != "" && name != "" {
				facts = append(facts, evidence.Fact{Name: strings.ReplaceAll(name, "_", " "), Value: value})
			}
		}
	}
}

// Lengths of the sections that hold digests, in bytes.
const (
	hashSize   = 36
	digestSize = 80
)

// digest takes in the MD5 and SHA-1 of the medium ("Digest section", "Hash
// section").
func (s *segment) digest(src evidence.Source, kind string, body tutela.Run) {
	if kind == "xhash" {
		s.xhash(src, body)
		return
	}
	size := int64(hashSize)
	if kind == "digest" {
		size = digestSize
	}
	b := s.read(src, kind, body, size, size)
	if b == nil {
		return
	}
	if !checked(b) {
		s.note(tutela.FindingDamaged, "the checksum of the %s section at %d is wrong, and it is not used", kind, body.Offset-descriptorSize)
		return
	}
	s.store("md5", b[:16])
	if kind == "digest" {
		s.store("sha1", b[16:36])
	}
}

func (s *segment) xhash(src evidence.Source, body tutela.Run) {
	text, err := s.text(src, "xhash", body)
	if err != nil {
		s.note(tutela.FindingDamaged, "the xhash section at %d: %v", body.Offset-descriptorSize, err)
		return
	}
	lengths := map[string]int{"md5": 16, "sha1": 20}
	for _, f := range elements(text) {
		algorithm := strings.ToLower(f.Name)
		if value, err := hex.DecodeString(f.Value); err == nil && len(value) > 0 && len(value) == lengths[algorithm] {
			s.store(algorithm, value)
		}
	}
}

// store keeps a digest once. All zeros mean that there is none.
func (s *segment) store(algorithm string, value []byte) {
	if len(bytes.Trim(value, "\x00")) == 0 {
		return
	}
	for _, d := range s.digests {
		if d.Algorithm != algorithm {
			continue
		}
		if bytes.Equal(d.Value, value) {
			return
		}
		s.note(tutela.FindingDamaged, "the image holds two different values of %s: %x and %x", algorithm, d.Value, value)
	}
	if len(s.digests) < 16 {
		s.digests = append(s.digests, evidence.StoredDigest{Algorithm: algorithm, Value: bytes.Clone(value)})
	}
}

const (
	errorHeaderSize   = 520
	sessionHeaderSize = 36
	sessionSize       = 32
	mostErrors        = 1 << 20 // that are kept; 16 MiB
	mostSessions      = 1000
)

// errors takes in the sectors that the acquisition could not read ("Error2
// section").
func (s *segment) errors(src evidence.Source, body tutela.Run) {
	b := s.read(src, "error2", body, errorHeaderSize, errorHeaderSize+8*mostErrors+4)
	if b == nil {
		return
	}
	count := int64(binary.LittleEndian.Uint32(b))
	list := b[errorHeaderSize:]
	if !checked(b[:errorHeaderSize]) || 8*count+4 > int64(len(list)) || !checked(list[:8*count+4]) {
		s.note(tutela.FindingDamaged, "the list at %d of sectors that were not read is damaged", body.Offset-descriptorSize)
		count = min(count, int64(len(list))/8)
	}
	for ; count > 0; count, list = count-1, list[8:] {
		s.badSectors = append(s.badSectors, sectors{int64(binary.LittleEndian.Uint32(list)), int64(binary.LittleEndian.Uint32(list[4:]))})
	}
}

// session takes in the tracks of an optical disc ("Session section").
func (s *segment) session(src evidence.Source, body tutela.Run) {
	b := s.read(src, "session", body, sessionHeaderSize, sessionHeaderSize+sessionSize*mostSessions+4)
	if b == nil {
		return
	}
	count := int64(binary.LittleEndian.Uint32(b))
	list := b[sessionHeaderSize:]
	if !checked(b[:sessionHeaderSize]) || sessionSize*count+4 > int64(len(list)) || !checked(list[:sessionSize*count+4]) {
		s.note(tutela.FindingDamaged, "the list at %d of sessions is damaged", body.Offset-descriptorSize)
		return
	}
	for n := int64(1); n <= count; n, list = n+1, list[sessionSize:] {
		what := "data"
		if binary.LittleEndian.Uint32(list)&1 != 0 {
			what = "audio"
		}
		s.facts = append(s.facts, evidence.Fact{Name: fmt.Sprintf("session %d", n), Value: fmt.Sprintf("%s from sector %d", what, binary.LittleEndian.Uint32(list[4:]))})
	}
}
