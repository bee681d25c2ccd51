package archive

import (
	"bytes"
	"compress/bzip2"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"

	"github.com/ulikunitz/xz/lzma"
)

const methodStore = 0

// zipMethods are the compression methods that are read (APPNOTE 4.4.5).
var zipMethods = map[uint16]func(z *zipMember, data *io.SectionReader) (io.ReadCloser, error){
	methodStore: func(_ *zipMember, data *io.SectionReader) (io.ReadCloser, error) { return io.NopCloser(data), nil },
	8:           func(_ *zipMember, data *io.SectionReader) (io.ReadCloser, error) { return flate.NewReader(data), nil },
	12: func(_ *zipMember, data *io.SectionReader) (io.ReadCloser, error) {
		return io.NopCloser(bzip2.NewReader(data)), nil
	},
	14: newZipLZMA,
	93: func(_ *zipMember, data *io.SectionReader) (io.ReadCloser, error) { return newZstd(data, data.Size()) },
	95: func(_ *zipMember, data *io.SectionReader) (io.ReadCloser, error) {
		return io.NopCloser(newXZ(data, data.Size())), nil
	},
}

var zipMethodNames = map[uint16]string{
	1: "shrink", 2: "reduce", 3: "reduce", 4: "reduce", 5: "reduce", 6: "implode",
	9: "deflate64", 10: "dcl implode", 16: "ibm cmpsc", 18: "ibm terse", 19: "ibm lz77",
	94: "mp3", 96: "jpeg", 97: "wavpack", 98: "ppmd", 99: "aes",
}

func zipMethodName(method uint16) string {
	name := zipMethodNames[method]
	if name == "" {
		return strconv.Itoa(int(method))
	}
	return fmt.Sprintf("%d (%s)", method, name)
}

// newZipLZMA puts the header of an .lzma file before the stream: zip keeps only
// its properties (APPNOTE 5.8.8).
func newZipLZMA(z *zipMember, data *io.SectionReader) (io.ReadCloser, error) {
	var h [9]byte
	if _, err := io.ReadFull(data, h[:]); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint16(h[2:]) != 5 {
		return nil, errors.New("zip: lzma properties are not 5 bytes long")
	}
	size := ^uint64(0) // the stream ends itself
	if z.flags&zipEndMark == 0 && z.size >= 0 {
		size = uint64(z.size)
	}
	dict, err := dictionary(int64(binary.LittleEndian.Uint32(h[5:])), data.Size())
	if err != nil {
		return nil, err
	}
	head := binary.LittleEndian.AppendUint32([]byte{h[4]}, uint32(dict))
	head = binary.LittleEndian.AppendUint64(head, size)
	r, err := lzma.ReaderConfig{DictCap: dict}.NewReader(io.MultiReader(bytes.NewReader(head), data))
	if err != nil {
		return nil, err
	}
	return io.NopCloser(r), nil
}

// open begins to decode the member and to check it.
func (z *zipMember) open(data *io.SectionReader) (io.ReadCloser, error) {
	// A reader of its own: each open begins at the beginning.
	decoded, err := zipMethods[z.method](z, io.NewSectionReader(data, 0, data.Size()))
	if err != nil {
		return nil, fmt.Errorf("zip: open member: %w", err)
	}
	return &zipChecked{ReadCloser: decoded, member: z}, nil
}

// zipChecked gives out all that decoding gives, and fails at its end where size
// or CRC-32 are not what the directory tells.
type zipChecked struct {
	io.ReadCloser
	member *zipMember
	crc    uint32
	n      int64
}

func (c *zipChecked) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.crc = crc32.Update(c.crc, crc32.IEEETable, p[:n])
	c.n += int64(n)
	if err == io.EOF && c.member.checkable {
		err = c.verify()
	}
	return n, err
}

func (c *zipChecked) verify() error {
	switch {
	case c.n < c.member.size:
		return fmt.Errorf("zip: the member ends after %d of %d bytes: %w", c.n, c.member.size, io.ErrUnexpectedEOF)
	case c.n > c.member.size:
		return fmt.Errorf("zip: the member has %d bytes, the directory tells %d", c.n, c.member.size)
	case c.crc != c.member.crc:
		return fmt.Errorf("zip: the crc-32 is %08x, the directory tells %08x", c.crc, c.member.crc)
	}
	return io.EOF
}
