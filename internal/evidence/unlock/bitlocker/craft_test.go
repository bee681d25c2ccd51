package bitlocker

import (
	"crypto/aes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
	"slices"
	"unicode/utf16"

	"tutela/internal/evidencetest"
)

// sealed is a volume to be made, as the documentation of libbde lays it out.
type sealed struct {
	method     uint16
	sector     int
	layout     layout
	protectors []protection
	plain      []byte // whole sectors
	encrypted  int    // bytes from the beginning; 0 is all
	converting int    // bytes behind those
	times      int    // a password is hashed
}

type layout uint8

const (
	later layout = iota // Windows 7 and later
	toGo
	vista
)

// protection is a protector: its type, and the secret it is made of.
type protection struct {
	kind   uint16
	secret string
}

// Where things lie in a crafted volume, in bytes.
var copiesAt = [3]int{64 << 10, 192 << 10, 320 << 10}

const (
	headersAt    = 128 << 10
	headersBytes = 8 << 10
	setAside     = 64 << 10 // of each copy
)

func bytesOf(n int, what string) []byte {
	var out []byte
	for i := 0; len(out) < n; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", what, i))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

var (
	le16 = binary.LittleEndian.AppendUint16
	le32 = binary.LittleEndian.AppendUint32
	le64 = binary.LittleEndian.AppendUint64
)

func entryOf(kind, value uint16, data ...[]byte) []byte {
	all := slices.Concat(data...)
	b := le16(nil, uint16(8+len(all)))
	b = le16(le16(le16(b, kind), value), 1)
	return append(b, all...)
}

// sealCCM is AES-CCM as keys are wrapped in it.
func sealCCM(key, nonce, plain []byte) (tag, out []byte) {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	a := func(flags byte, n int) []byte {
		b := append([]byte{flags}, nonce...)
		b = append(b, byte(n>>16), byte(n>>8), byte(n))
		block.Encrypt(b, b)
		return b
	}
	mac := a(0x3a, len(plain))
	for at := 0; at < len(plain); at += 16 {
		for i, v := range plain[at:min(at+16, len(plain))] {
			mac[i] ^= v
		}
		block.Encrypt(mac, mac)
	}
	out = slices.Clone(plain)
	for at := 0; at < len(out); at += 16 {
		subtle.XORBytes(out[at:], out[at:], a(2, at/16+1))
	}
	subtle.XORBytes(mac, mac, a(2, 0))
	return mac, out
}

// wrapped is an AES-CCM encrypted key in its container.
func wrapped(kind uint16, key, content []byte, method uint16, nonce uint32) []byte {
	n := le32(le64(nil, 132000000000000000), nonce)
	container := le32(le16(le16(le32(nil, uint32(12+len(content))), 1), 0), uint32(method))
	tag, out := sealCCM(key, n, append(container, content...))
	return entryOf(kind, valueCCM, n, tag, out)
}

func (s sealed) stretched(initial [32]byte, salt []byte) []byte {
	p := protector{entries: []entry{{0, valueStretch, append(make([]byte, 4), salt...)}}}
	return p.stretched(initial, s.times)
}

func (s sealed) protector(n int, p protection, master []byte) []byte {
	salt := bytesOf(16, fmt.Sprint("salt ", n))
	id := bytesOf(16, fmt.Sprint("guid ", n))
	begin := le16(le16(le64(id, 132000000000000000), 0), p.kind)
	stretch := entryOf(0, valueStretch, le32(nil, 0x1001), salt, wrapped(0, bytesOf(32, "itself"), bytesOf(32, "stretched"), 0x1000, 9))
	switch p.kind {
	case protectedByNothing:
		clearKey := bytesOf(32, "clear key")
		return entryOf(kindVMK, valueVMK, begin, entryOf(0, valueKey, le32(nil, 0x2002), clearKey), wrapped(0, clearKey, master, 0x2003, uint32(n)))
	case protectedByRecovery:
		initial, err := recoveryKey(p.secret)
		if err != nil {
			panic(err)
		}
		return entryOf(kindVMK, valueVMK, begin, stretch, wrapped(0, s.stretched(initial, salt), master, 0x2003, uint32(n)))
	case protectedByPassword:
		var text []byte
		for _, u := range utf16.Encode([]rune(p.secret)) {
			text = le16(text, u)
		}
		once := sha256.Sum256(text)
		return entryOf(kindVMK, valueVMK, begin, stretch, wrapped(0, s.stretched(sha256.Sum256(once[:]), salt), master, 0x2003, uint32(n)))
	}
	return entryOf(kindVMK, valueVMK, begin) // a chip or a stick has the key
}

func (s sealed) key() []byte {
	return bytesOf(map[uint16]int{0x8000: 64, 0x8001: 64, 0x8002: 16, 0x8003: 32, 0x8004: 32, 0x8005: 64}[s.method], "volume key")
}

// metadata is one copy, with its validation behind it.
func (s sealed) metadata() []byte {
	master := bytesOf(32, "master key")
	var entries []byte
	for n, p := range s.protectors {
		entries = append(entries, s.protector(n+1, p, master)...)
	}
	entries = append(entries, wrapped(kindFVEK, master, s.key(), s.method, 77)...)
	entries = append(entries, entryOf(0x0007, 0x0002, []byte("d\x00r\x00a\x00w\x00n\x00\x00\x00"))...)
	if s.layout != vista {
		entries = append(entries, entryOf(0x000f, valueHeaderArea, le64(le64(nil, headersAt), headersBytes))...)
	}
	size := uint32(dataHeaderBytes + len(entries))
	data := le32(le32(le32(le32(nil, size), 1), dataHeaderBytes), size)
	data = le64(le32(le32(append(data, bytesOf(16, "volume")...), 100), uint32(s.method)), 132000000000000000)
	data = append(data, entries...)
	data = append(data, make([]byte, -len(data)&15)...)

	version, unit, state := uint16(2), 16, uint16(4)
	encrypted := len(s.plain)
	if s.layout == vista {
		version, unit = 1, 1
	}
	if s.encrypted > 0 {
		encrypted, state = s.encrypted, stateSwitching
	}
	b := le16(le16([]byte("-FVE-FS-"), uint16((blockHeaderBytes+len(data))/unit)), version)
	b = le64(le16(le16(b, state), 4), uint64(encrypted))
	b = le32(le32(b, uint32(s.converting)), headersBytes/uint32(s.sector))
	if s.layout == vista {
		clear(b[16:])
	}
	for _, at := range copiesAt {
		b = le64(b, uint64(at))
	}
	last := uint64(headersAt)
	if s.layout == vista {
		last = binary.LittleEndian.Uint64(s.plain[56:])
	}
	b = append(le64(b, last), data...)
	b = le32(le16(le16(b, 8+8+36), 1), crc32.ChecksumIEEE(b))
	return append(b, entryOf(0, valueCCM, make([]byte, 28))...)
}

func (s sealed) boot() []byte {
	b := make([]byte, 512)
	copy(b, "\xeb\x58\x90-FVE-FS-")
	b[13], b[510], b[511] = 8, 0x55, 0xaa
	binary.LittleEndian.PutUint16(b[11:], uint16(s.sector))
	at := 160
	switch s.layout {
	case vista:
		copy(b, s.plain[:512])
		copy(b[3:], "-FVE-FS-")
		binary.LittleEndian.PutUint64(b[56:], uint64(copiesAt[0]/s.sector/int(b[13])))
		return b
	case toGo:
		copy(b[3:], "MSWIN4.1")
		at = 424
	}
	copy(b[at:], identifier)
	for i, place := range copiesAt {
		binary.LittleEndian.PutUint64(b[at+16+8*i:], uint64(place))
	}
	return b
}

// encrypt encrypts the sectors of a volume in their place, b lying at a byte of
// it.
func (s sealed) encrypt(b []byte, at int) {
	key := s.key()
	for ; len(b) > 0; b, at = b[s.sector:], at+s.sector {
		one := b[:s.sector]
		if s.method >= 0x8004 {
			evidencetest.EncryptXTS(one, key, uint64(at/s.sector))
			continue
		}
		data := key
		if s.method <= 0x8001 {
			half := 16 << (s.method & 1)
			data = key[:half]
			diffuse(one, key[32:32+half], at)
		}
		iv := le64(le64(nil, uint64(at)), 0)
		block, _ := aes.NewCipher(data)
		block.Encrypt(iv, iv)
		evidencetest.EncryptCBC(one, data, iv)
	}
}

// diffuse masks a sector and runs both diffusers over it, as Ferguson's paper
// writes them down (section 4, the direction of encryption).
func diffuse(b, tweak []byte, at int) {
	block, _ := aes.NewCipher(tweak)
	low, high := le64(le64(nil, uint64(at)), 0), le64(le64(nil, uint64(at)), 0x80<<56)
	block.Encrypt(low, low)
	block.Encrypt(high, high)
	mask := append(low, high...)
	for i := range b {
		b[i] ^= mask[i%32]
	}
	n := len(b) / 4
	d := make([]uint32, n)
	for i := range d {
		d[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	for c := 5*n - 1; c >= 0; c-- {
		i := c % n
		d[i] -= d[(i-2+n)%n] ^ bits.RotateLeft32(d[(i-5+n)%n], []int{9, 0, 13, 0}[i%4])
	}
	for c := 3*n - 1; c >= 0; c-- {
		i := c % n
		d[i] -= d[(i+2)%n] ^ bits.RotateLeft32(d[(i+5)%n], []int{0, 10, 0, 25}[i%4])
	}
	for i, w := range d {
		binary.LittleEndian.PutUint32(b[4*i:], w)
	}
}

// volume is the encrypted volume, and what Windows shows of it.
func (s sealed) volume() (volume, shown []byte) {
	shown = slices.Clone(s.plain)
	for _, at := range copiesAt {
		clear(shown[at : at+s.area()])
	}
	if s.layout != vista {
		clear(shown[headersAt : headersAt+headersBytes])
	}
	volume = slices.Clone(shown)
	end := len(volume)
	if s.encrypted > 0 {
		end = s.encrypted
	}
	if s.layout == vista {
		s.encrypt(volume[headersVista*s.sector:end], headersVista*s.sector)
	} else {
		s.encrypt(volume[headersBytes:end], headersBytes)
		copy(volume[headersAt:], s.plain[:headersBytes])
		s.encrypt(volume[headersAt:headersAt+headersBytes], headersAt)
		copy(volume[:headersBytes], make([]byte, headersBytes))
	}
	copy(volume, s.boot())
	for _, at := range copiesAt {
		clear(volume[at : at+s.area()])
		copy(volume[at:], s.metadata())
	}
	return volume, shown
}

func (s sealed) area() int {
	if s.layout == vista {
		return areaVista
	}
	return setAside
}
