package archive

import (
	"bytes"
	"compress/bzip2"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/ulikunitz/xz/lzma"
)

const methodStore = 0

// zipMethods are the compression methods that are read (APPNOTE 4.4.5). They are
// told how many compressed bytes there are.
var zipMethods = map[uint16]func(z *zipMember, data io.Reader, compressed int64) (io.ReadCloser, error){
	methodStore: func(_ *zipMember, data io.Reader, _ int64) (io.ReadCloser, error) { return io.NopCloser(data), nil },
	8:           func(_ *zipMember, data io.Reader, _ int64) (io.ReadCloser, error) { return flate.NewReader(data), nil },
	9: func(_ *zipMember, data io.Reader, _ int64) (io.ReadCloser, error) {
		return io.NopCloser(newDeflate64(data)), nil
	},
	12: func(_ *zipMember, data io.Reader, _ int64) (io.ReadCloser, error) {
		return io.NopCloser(bzip2.NewReader(data)), nil
	},
	14: newZipLZMA,
	93: func(_ *zipMember, data io.Reader, compressed int64) (io.ReadCloser, error) {
		return newZstd(data, compressed)
	},
	95: func(_ *zipMember, data io.Reader, compressed int64) (io.ReadCloser, error) {
		return io.NopCloser(newXZ(data, compressed)), nil
	},
}

var zipMethodNames = map[uint16]string{
	1: "shrink", 2: "reduce", 3: "reduce", 4: "reduce", 5: "reduce", 6: "implode",
	10: "dcl implode", 16: "ibm cmpsc", 18: "ibm terse", 19: "ibm lz77",
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
func newZipLZMA(z *zipMember, data io.Reader, compressed int64) (io.ReadCloser, error) {
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
	dict, err := dictionary(int64(binary.LittleEndian.Uint32(h[5:])), compressed)
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
	return z.openFrom(io.NewSectionReader(data, 0, data.Size()), data.Size(), nil)
}

// openFrom does so from decrypted data. tail, if not nil, is read to its end
// behind the last byte of the content: it has its own check there.
func (z *zipMember) openFrom(data io.Reader, compressed int64, tail io.Reader) (io.ReadCloser, error) {
	decoded, err := zipMethods[z.method](z, data, compressed)
	if err != nil {
		return nil, fmt.Errorf("zip: open member: %w", err)
	}
	check := &checked{ReadCloser: zipTail{decoded, tail}, format: "zip", size: -1}
	if z.checkable {
		check.size = z.size
	}
	if z.checkable && !z.noCRC {
		check.crc = &z.crc
	}
	return check, nil
}

// zipTail reads on behind the end of what is decoded.
type zipTail struct {
	io.ReadCloser
	tail io.Reader
}

func (t zipTail) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if err == io.EOF && t.tail != nil {
		if _, bad := io.Copy(io.Discard, t.tail); bad != nil {
			err = bad
		}
	}
	return n, err
}
