package luks

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"tutela/internal/evidence"
	"tutela/internal/evidence/unlock/sector"
)

// The binary header of version 2 (LUKS2 specification, section 2.1). The JSON
// area is behind it; both together are copied right behind themselves.
const (
	header2Bytes = 4096
	magic2Copy   = "SKUL\xba\xbe"
	maxHeader2   = 4 << 20
)

// header2 is a header of version 2 whose checksum holds.
type header2 struct {
	sequence uint64
	json     []byte
}

// readVersion2 reads the header and its copy, and takes the newer of those that
// hold together (section 2.2).
func readVersion2(src evidence.Source) (v volume, err error) {
	first, size, failure := readHeader2(src, 0, magic)
	var second *header2
	for _, at := range copies(size) {
		if second, _, _ = readHeader2(src, at, magic2Copy); second != nil {
			break
		}
	}
	best := first
	switch {
	case first == nil && second == nil:
		return v, fmt.Errorf("neither the header nor its copy holds together: %w", failure)
	case first == nil:
		v.notes = append(v.notes, "the header is bad ("+failure.Error()+"): its copy was used")
		best = second
	case second != nil && second.sequence > first.sequence:
		v.notes = append(v.notes, "the copy of the header is newer than the header, and was used")
		best = second
	}
	return v, v.parse(src, best.json)
}

// readCopy reads the copy of a header that has gone.
func readCopy(src evidence.Source) (v volume, err error) {
	for _, at := range copies(0) {
		if h, _, _ := readHeader2(src, at, magic2Copy); h != nil {
			v.format = "luks2"
			v.notes = append(v.notes, fmt.Sprintf("the header is gone: its copy at %d was used", at))
			return v, v.parse(src, h.json)
		}
	}
	return v, evidence.ErrNotThis
}

// copies are the places where the second header may lie, in bytes: behind the
// first where that says its size, at each of those that the specification allows
// where it cannot be trusted.
func copies(size int64) []int64 {
	if size > 0 {
		return []int64{size}
	}
	var all []int64
	for at := int64(16 << 10); at <= maxHeader2; at *= 2 {
		all = append(all, at)
	}
	return all
}

// readHeader2 reads the header at an offset; its size in bytes is 0 where it
// does not hold together.
func readHeader2(src evidence.Source, at int64, magic string) (h *header2, size int64, err error) {
	b := make([]byte, header2Bytes)
	if n, err := src.ReadAt(b, at); n < len(b) {
		return nil, 0, err
	}
	size = int64(binary.BigEndian.Uint64(b[8:]))
	switch {
	case string(b[:6]) != magic || binary.BigEndian.Uint16(b[6:]) != 2:
		return nil, 0, errors.New("no magic")
	case size < 2*header2Bytes || size > maxHeader2 || size > src.Size():
		return nil, 0, fmt.Errorf("a header of %d bytes", size)
	case int64(binary.BigEndian.Uint64(b[256:])) != at:
		return nil, 0, errors.New("it does not say its own place")
	}
	b = append(b, make([]byte, size-header2Bytes)...)
	if n, err := src.ReadAt(b[header2Bytes:], at+header2Bytes); n < len(b)-header2Bytes {
		return nil, 0, err
	}
	name := text(b[72:104])
	newHash := sector.Hash(name)
	if newHash == nil {
		return nil, 0, fmt.Errorf("checksum %q: %w", name, evidence.ErrUnsupported)
	}
	sum := newHash()
	want := bytes.Clone(b[448:512])
	clear(b[448:512])
	sum.Write(b)
	if !bytes.Equal(sum.Sum(nil), want[:sum.Size()]) {
		return nil, 0, errors.New("the checksum is wrong")
	}
	text, _, _ := bytes.Cut(b[header2Bytes:], []byte{0})
	return &header2{binary.BigEndian.Uint64(b[16:]), text}, size, nil
}

// The JSON area (section 3). Numbers of 64 bits are strings there.
type (
	metadata struct {
		Keyslots map[string]keyslot2
		Segments map[string]segment2
		Digests  map[string]digest2
		Config   struct {
			Requirements struct{ Mandatory []string }
		}
	}
	keyslot2 struct {
		Type    string
		KeySize int `json:"key_size"`
		Area    struct {
			Type, Offset, Size, Encryption string
			KeySize                        int `json:"key_size"`
		}
		KDF kdf2
		AF  struct {
			Type, Hash string
			Stripes    int
		}
	}
	kdf2 struct {
		Type, Salt, Hash               string
		Iterations, Time, Memory, CPUs int64
	}
	segment2 struct {
		Type, Offset, Size, Encryption string
		Tweak                          string `json:"iv_tweak"`
		SectorSize                     int64  `json:"sector_size"`
		Integrity                      json.RawMessage
		Flags                          []string
	}
	digest2 struct {
		Type, Salt, Digest, Hash string
		Iterations               int64
		Keyslots, Segments       []string
	}
)

func (v *volume) parse(src evidence.Source, text []byte) error {
	var m metadata
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	if needs := m.Config.Requirements.Mandatory; len(needs) > 0 {
		return fmt.Errorf("it requires %s: %w", strings.Join(needs, ", "), evidence.ErrUnsupported)
	}
	if len(m.Segments) != 1 {
		return fmt.Errorf("%d segments: %w", len(m.Segments), evidence.ErrUnsupported)
	}
	for name, s := range m.Segments {
		if err := v.segment(src, s); err != nil {
			return fmt.Errorf("segment %s: %w", name, err)
		}
		for _, number := range slices.Sorted(maps.Keys(m.Keyslots)) {
			if s := m.slot(src, number, name); s != nil {
				v.slots = append(v.slots, *s)
			}
		}
	}
	slices.SortStableFunc(v.slots, func(a, b slot) int { return a.number - b.number })
	return nil
}

// segment says how the data are laid out (section 3.3). Without the flag
// iv_large_sectors, which LUKS never sets, sectors are numbered in units of 512
// bytes whatever their size (dm-crypt).
func (v *volume) segment(src evidence.Source, s segment2) error {
	offset, err := number64(s.Offset)
	if err != nil {
		return err
	}
	tweak, err := strconv.ParseUint(s.Tweak, 10, 64)
	if err != nil {
		return fmt.Errorf("iv_tweak: %w", err)
	}
	size := src.Size() - offset
	if s.Size != "dynamic" {
		said, err := number64(s.Size)
		if err != nil {
			return err
		}
		size = min(size, said)
	}
	switch {
	case s.Type != "crypt":
		return fmt.Errorf("of type %q: %w", s.Type, evidence.ErrUnsupported)
	case len(s.Integrity) > 0:
		return fmt.Errorf("with integrity: %w", evidence.ErrUnsupported)
	case offset == 0:
		return fmt.Errorf("the header lies apart from the volume: %w", evidence.ErrUnsupported)
	case size <= 0:
		return errors.New("the data begin behind the end of the volume")
	}
	v.cipher = s.Encryption
	v.layout = sector.Layout{Size: s.SectorSize, Step: uint64(s.SectorSize) / 512, Pieces: []sector.Piece{
		{From: offset, Length: size, Number: tweak},
	}}
	return nil
}

// slot is a key slot that leads to the key of a segment, nil if this one does
// not.
func (m *metadata) slot(src evidence.Source, number, segment string) *slot {
	d, ok := m.digest(number, segment)
	if !ok {
		return nil
	}
	k := m.Keyslots[number]
	s := &slot{
		keySize: k.KeySize, areaKey: k.Area.KeySize, areaCipher: k.Area.Encryption, stripes: k.AF.Stripes, hash: k.AF.Hash,
	}
	s.refused = s.fill(number, k, d)
	if s.refused == nil {
		s.refused = s.check(src)
	}
	return s
}

func (m *metadata) digest(keyslot, segment string) (digest2, bool) {
	for _, name := range slices.Sorted(maps.Keys(m.Digests)) {
		d := m.Digests[name]
		if slices.Contains(d.Keyslots, keyslot) && slices.Contains(d.Segments, segment) {
			return d, true
		}
	}
	return digest2{}, false
}

// fill takes over what has to be decoded.
func (s *slot) fill(number string, k keyslot2, d digest2) (err error) {
	var errs [6]error
	s.number, errs[0] = strconv.Atoi(number)
	s.area.Offset, errs[1] = number64(k.Area.Offset)
	s.area.Length, errs[2] = number64(k.Area.Size)
	s.kdf, errs[3] = k.KDF.decode()
	s.digest.kdf, errs[4] = kdf2{Type: d.Type, Salt: d.Salt, Hash: d.Hash, Iterations: d.Iterations}.decode()
	s.digest.want, errs[5] = base64.StdEncoding.DecodeString(d.Digest)
	switch err := errors.Join(errs[:]...); {
	case err != nil:
		return err
	case k.Type != "luks2" || k.Area.Type != "raw" || k.AF.Type != "luks1":
		return fmt.Errorf("key slot of type %s, %s, %s: %w", k.Type, k.Area.Type, k.AF.Type, evidence.ErrUnsupported)
	case len(s.digest.want) < minDigest:
		return fmt.Errorf("a digest of %d bytes proves nothing", len(s.digest.want))
	case len(s.digest.want) > maxKey:
		return fmt.Errorf("a digest of %d bytes", len(s.digest.want))
	}
	return nil
}

// minDigest is how long a digest must be to prove a key, in bytes: that of
// SHA-1 is.
const minDigest = 20

func (k kdf2) decode() (kdf, error) {
	salt, err := base64.StdEncoding.DecodeString(k.Salt)
	if err != nil {
		return kdf{}, fmt.Errorf("salt: %w", err)
	}
	return kdf{kind: k.Type, salt: salt, hash: k.Hash, iterations: k.Iterations, time: k.Time, memory: k.Memory, threads: k.CPUs}, nil
}

// number64 is a number of bytes.
func number64(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, err
	}
	if n > math.MaxInt64 {
		return 0, fmt.Errorf("%s is out of range", s)
	}
	return int64(n), nil
}
