package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/bodgit/sevenzip"

	"tutela"
)

// sevenFolder is a chain of coders and the packed streams it begins with.
type sevenFolder struct {
	coders      []sevenCoder
	bonds       [][2]int // input, output
	packed      []int    // inputs that packed streams go to
	sizes       []int64  // of each output, in bytes
	packedAt    int64    // of the first packed stream, behind the signature header
	packedSizes []int64
	crc         *uint32 // of what comes out, where it is told
}

type sevenCoder struct {
	id         string
	in, out    int
	properties []byte
}

// The coders that are read, and the identifiers of those that are not, for
// their names (Methods.txt of the LZMA SDK).
const (
	sevenLZMA  = "\x03\x01\x01"
	sevenLZMA2 = "\x21"
	sevenPPMd  = "\x03\x04\x01"
	sevenAES   = "\x06\xf1\x07\x01"

	sevenDeflate64 = "\x04\x01\x09" // which the module does not read
)

var sevenRead = map[string]bool{
	"\x00": true, "\x03": true, sevenLZMA: true, sevenLZMA2: true, sevenPPMd: true, sevenAES: true, "\x0a": true,
	"\x03\x03\x01\x03": true, "\x03\x03\x01\x1b": true, "\x03\x03\x02\x05": true, "\x03\x03\x05\x01": true, "\x03\x03\x08\x05": true,
	"\x04\x01\x08": true, "\x04\x02\x02": true, sevenDeflate64: true,
}

var sevenNotRead = map[string]string{
	"\x03\x03\x04\x01": "ia64", "\x03\x03\x07\x01": "armt", "\x0b": "riscv",
	"\x04\xf7\x11\x01": "zstd", "\x04\xf7\x11\x02": "brotli", "\x04\xf7\x11\x04": "lz4", "\x04\xf7\x11\x05": "lz5", "\x04\xf7\x11\x06": "lizard",
}

// maxDecoderMemory bounds what the decoders of one folder or member may take
// together, in bytes: half of what a confined child has.
const maxDecoderMemory = 256 << 20

// size is how many bytes come out of the folder: of the one output that no
// input is bound to.
func (f *sevenFolder) size() int64 {
	for i := range f.sizes {
		if f.main(i) {
			return f.sizes[i]
		}
	}
	return 0
}

func (f *sevenFolder) main(out int) bool {
	for _, b := range f.bonds {
		if b[1] == out {
			return false
		}
	}
	return true
}

func (f *sevenFolder) encrypted() bool {
	for _, c := range f.coders {
		if c.id == sevenAES {
			return true
		}
	}
	return false
}

// check says why the folder cannot be decoded, before anything is allocated for
// it: a coder that is not read, or more memory than there may be.
func (f *sevenFolder) check(end int64) error {
	var memory int64
	for i, c := range f.coders {
		if !sevenRead[c.id] || c.id == sevenDeflate64 && len(f.coders) > 1 {
			return unsupported("7z: method %s", c.name())
		}
		memory += c.memory(min(f.sizes[i], f.mostFrom(f.inputOf(i))))
	}
	if memory > maxDecoderMemory {
		return &Error{tutela.FindingLimit, fmt.Errorf("7z: decoding takes %d bytes of memory", memory)}
	}
	var packed int64
	for _, size := range f.packedSizes {
		packed += size
	}
	if f.packedAt+packed > end {
		return fmt.Errorf("7z: packed bytes to %d, the file has %d: it continues in another volume, or was cut off: %w", f.packedAt+packed, end, io.ErrUnexpectedEOF)
	}
	return nil
}

// mostFrom is how many bytes LZMA can make at most of what goes into an input:
// 8192 times the packed stream that comes there, be it through a cipher. Behind
// other coders, nothing is known.
func (f *sevenFolder) mostFrom(in int) int64 {
	for _, b := range f.bonds {
		if b[0] == in && b[1] < len(f.coders) && f.coders[b[1]].id == sevenAES {
			in = f.inputOf(b[1])
			break
		}
	}
	for i, packed := range f.packed {
		if packed == in {
			return min(f.packedSizes[i], 1<<40) * 8192
		}
	}
	return 1 << 62
}

// inputOf is the first input of a coder: they are counted over all coders.
func (f *sevenFolder) inputOf(coder int) (in int) {
	for _, c := range f.coders[:coder] {
		in += c.in
	}
	return in
}

// memory is what the coder allocates by its properties, in bytes. A dictionary
// is first cut to what comes out, for it can hold no more.
func (c sevenCoder) memory(size int64) int64 {
	switch {
	case c.id == sevenLZMA && len(c.properties) == 5:
		dict := min(int64(binary.LittleEndian.Uint32(c.properties[1:])), max(size, 1<<12))
		binary.LittleEndian.PutUint32(c.properties[1:], uint32(dict))
		return dict
	case c.id == sevenLZMA2 && len(c.properties) == 1:
		p := min(c.properties[0], 40)
		for p > 0 && lzma2Dictionary(p-1) >= max(size, 1<<12) {
			p--
		}
		c.properties[0] = p
		return lzma2Dictionary(p)
	case c.id == sevenPPMd && len(c.properties) == 5:
		return int64(binary.LittleEndian.Uint32(c.properties[1:]))
	}
	return 4 << 20 // bzip2 takes most among the others
}

func lzma2Dictionary(p byte) int64 { return (2 | int64(p&1)) << (p/2 + 11) }

func (c sevenCoder) name() string {
	if name := sevenNotRead[c.id]; name != "" {
		return fmt.Sprintf("%x (%s)", c.id, name)
	}
	return fmt.Sprintf("%x", c.id)
}

// rounds is how many rounds the key derivation of the folder takes.
func (f *sevenFolder) rounds() (n int64) {
	for _, c := range f.coders {
		if c.id == sevenAES && len(c.properties) > 0 {
			n += 1 << min(c.properties[0]&0x3f, 40)
			if c.properties[0]&0x3f == 0x3f {
				n = 1
			}
		}
	}
	return n
}

// open begins to decode the folder, which check has passed. The module is shown
// an archive that has this folder alone, with a header made here.
func (f *sevenFolder) open(content io.ReaderAt, end int64, passphrase string) (r io.ReadCloser, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			r, err = nil, fmt.Errorf("7z: the decoder broke: %v", cause)
		}
	}()
	if f.coders[0].id == sevenDeflate64 {
		packed := io.NewSectionReader(content, sevenSignature+f.packedAt, f.packedSizes[0])
		return io.NopCloser(io.LimitReader(newDeflate64(packed), f.size())), nil
	}
	one := f.alone(content, end)
	z, err := sevenzip.NewReaderWithPassword(one, one.size(), passphrase)
	if err != nil {
		return nil, fmt.Errorf("7z: %w", err)
	}
	if len(z.File) != 1 {
		return nil, errors.New("7z: internal error: an archive of one folder has not one file")
	}
	return z.File[0].Open()
}

// sevenAlone is a 7z file with one folder: a signature header, the bytes of the
// real file behind its own, and a header.
type sevenAlone struct {
	signature [32]byte
	content   io.ReaderAt
	end       int64 // of the real file
	header    []byte
}

func (a *sevenAlone) size() int64 { return a.end + int64(len(a.header)) }

func (a *sevenAlone) ReadAt(p []byte, off int64) (n int, err error) {
	switch {
	case off < int64(len(a.signature)):
		n = copy(p, a.signature[off:])
	case off < a.end:
		want := p[:min(int64(len(p)), a.end-off)]
		if n, err = a.content.ReadAt(want, off); n < len(want) {
			return n, whole(err)
		}
	case off < a.size():
		n = copy(p, a.header[off-a.end:])
	default:
		return 0, io.EOF
	}
	if n < len(p) {
		m, err := a.ReadAt(p[n:], off+int64(n))
		return n + m, err
	}
	return n, nil
}

func (f *sevenFolder) alone(content io.ReaderAt, end int64) *sevenAlone {
	a := &sevenAlone{content: content, end: end, header: f.header()}
	copy(a.signature[:], "7z\xbc\xaf\x27\x1c\x00\x04")
	start := a.signature[12:]
	binary.LittleEndian.PutUint64(start, uint64(end-32))
	binary.LittleEndian.PutUint64(start[8:], uint64(len(a.header)))
	binary.LittleEndian.PutUint32(start[16:], crc32.ChecksumIEEE(a.header))
	binary.LittleEndian.PutUint32(a.signature[8:], crc32.ChecksumIEEE(start))
	return a
}

// header says that there is this folder, all of it one file. The folder is cut
// into a stream of its size and an empty one, since of a single one the module
// takes another coder's size.
func (f *sevenFolder) header() []byte {
	var b bytes.Buffer
	put := func(bytes ...byte) { b.Write(bytes) }
	number := func(v int64) {
		put(0xff)
		b.Write(binary.LittleEndian.AppendUint64(nil, uint64(v)))
	}
	put(sevenHeaderID, sevenMainStreams, sevenPackInfo)
	number(f.packedAt)
	number(int64(len(f.packed)))
	put(sevenSize)
	for _, size := range f.packedSizes {
		number(size)
	}
	put(sevenEnd, sevenUnpackInfo, sevenFolderID, 1, 0)
	number(int64(len(f.coders)))
	for _, c := range f.coders {
		flags := byte(len(c.id)) | 0x10
		if len(c.properties) > 0 {
			flags |= 0x20
		}
		put(flags)
		b.WriteString(c.id)
		number(int64(c.in))
		number(int64(c.out))
		if len(c.properties) > 0 {
			number(int64(len(c.properties)))
			b.Write(c.properties)
		}
	}
	for _, bond := range f.bonds {
		number(int64(bond[0]))
		number(int64(bond[1]))
	}
	if len(f.packed) > 1 {
		for _, in := range f.packed {
			number(int64(in))
		}
	}
	put(sevenCodersUnpackSize)
	for _, size := range f.sizes {
		number(size)
	}
	put(sevenEnd, sevenSubStreams, sevenNumUnpackStream, 2, sevenSize)
	number(f.size())
	put(sevenEnd, sevenEnd, sevenFilesInfo, 1, sevenNames, 5, 0, 'f', 0, 0, 0, sevenEnd, sevenEnd)
	return b.Bytes()
}
