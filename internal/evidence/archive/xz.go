package archive

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// The .xz container is read here (The .xz File Format 1.2.1) and only its LZMA2
// streams by the module: the module's own container reader allocates whatever
// dictionary a header asks for, up to 4 GiB.

// xzReader decodes all streams of a file. Its bytes are counted, because the
// format pads to multiples of four.
type xzReader struct {
	src   *countedReader
	size  int64 // of the compressed file, in bytes
	check byte  // of the present stream; section 2.1.1.2
	block io.Reader
	sum   hash.Hash // nil where the check is none or unknown
	began int64     // where the present block's compressed data began
	open  bool      // inside a stream
	err   error
}

func newXZ(r io.Reader, size int64) *xzReader {
	return &xzReader{src: &countedReader{r: bufio.NewReader(r)}, size: size}
}

type countedReader struct {
	r *bufio.Reader
	n int64
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *countedReader) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

func (x *xzReader) Read(p []byte) (int, error) {
	for x.err == nil {
		if x.block == nil {
			x.err = x.advance()
			continue
		}
		n, err := x.block.Read(p)
		if x.sum != nil {
			x.sum.Write(p[:n])
		}
		if err == io.EOF {
			err = x.endBlock()
		}
		x.err = whole(err)
		if n > 0 || len(p) == 0 {
			return n, x.err
		}
	}
	return 0, x.err
}

// whole is an error of a part that must be there.
func whole(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// advance goes to the next block, over indexes, footers and stream headers.
func (x *xzReader) advance() error {
	if !x.open {
		return x.beginStream()
	}
	size, err := x.src.ReadByte()
	if err != nil {
		return whole(err)
	}
	if size == 0 {
		x.open = false
		return whole(x.skipIndex())
	}
	return whole(x.beginBlock(size))
}

var errXZ = errors.New("xz: a header does not hold together")

// beginStream reads a stream header (2.1.1), after padding (2.2) if it is not
// the first. The end of the file is allowed here.
func (x *xzReader) beginStream() error {
	var h [12]byte
	for {
		if _, err := io.ReadFull(x.src, h[:4]); err != nil {
			return err
		}
		if x.src.n == 4 || h != [12]byte{} {
			break
		}
	}
	if _, err := io.ReadFull(x.src, h[4:]); err != nil {
		return whole(err)
	}
	if string(h[:6]) != "\xfd7zXZ\x00" || crc32.ChecksumIEEE(h[6:8]) != binary.LittleEndian.Uint32(h[8:]) {
		return errXZ
	}
	x.check = h[7] & 15
	x.open = true
	return nil
}

// beginBlock reads a block header (3.1): LZMA2 and nothing else.
func (x *xzReader) beginBlock(size byte) error {
	h := make([]byte, (int(size)+1)*4)
	h[0] = size
	if _, err := io.ReadFull(x.src, h[1:]); err != nil {
		return err
	}
	body, sum := h[:len(h)-4], h[len(h)-4:]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(sum) {
		return errXZ
	}
	wanted, err := xzDictionary(body)
	if err != nil {
		return err
	}
	dict, err := dictionary(wanted, x.size)
	if err != nil {
		return err
	}
	x.began = x.src.n
	x.sum = newXZCheck(x.check)
	x.block, err = lzma.Reader2Config{DictCap: dict}.NewReader2(x.src)
	return err
}

// xzDictionary is the dictionary size in bytes that a block header asks for.
func xzDictionary(header []byte) (int64, error) {
	const hasCompressed, hasUncompressed = 0x40, 0x80
	flags := header[1]
	r := bytes.NewReader(header[2:])
	for _, bit := range []byte{hasCompressed, hasUncompressed} {
		if flags&bit == 0 {
			continue
		}
		if _, err := binary.ReadUvarint(r); err != nil {
			return 0, errXZ
		}
	}
	id, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, errXZ
	}
	if flags&3 != 0 || id != 0x21 {
		return 0, unsupported("xz: filter %#x", id)
	}
	var properties [2]byte
	if _, err := io.ReadFull(r, properties[:]); err != nil || properties[0] != 1 || properties[1] > 40 {
		return 0, errXZ
	}
	return lzma.DecodeDictCap(properties[1])
}

// dictionary is how much of a wanted LZMA dictionary is allocated. LZMA cannot
// expand a byte to more than about 7000, so a dictionary of 8192 times the
// compressed size loses nothing.
func dictionary(wanted, compressed int64) (int, error) {
	useful := min(wanted, max(compressed, 1)*8192)
	if useful > maxWindow {
		return 0, unsupported("lzma: a dictionary of %d bytes", wanted)
	}
	return int(max(useful, lzma.MinDictCap)), nil
}

// newXZCheck is the check of a block's content (2.1.1.2).
func newXZCheck(check byte) hash.Hash {
	switch check {
	case 1:
		return crc32.NewIEEE()
	case 4:
		return crc64.New(crc64.MakeTable(crc64.ECMA))
	case 10:
		return sha256.New()
	}
	return nil
}

// xzCheckBytes is the length of each check, known or not.
var xzCheckBytes = [16]int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}

// endBlock reads the padding and the check behind a block (3.3, 3.4).
func (x *xzReader) endBlock() error {
	x.block = nil
	padding := (4 - (x.src.n-x.began)%4) % 4
	tail := make([]byte, int(padding)+xzCheckBytes[x.check])
	if _, err := io.ReadFull(x.src, tail); err != nil {
		return err
	}
	if x.sum == nil {
		return nil
	}
	want, got := tail[padding:], x.sum.Sum(nil)
	if x.check != 10 { // the CRCs are stored little-endian
		reverse(got)
	}
	if !bytes.Equal(want, got) {
		return fmt.Errorf("xz: the check of a block is %x, the stream tells %x", got, want)
	}
	return nil
}

func reverse(b []byte) {
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
}

// skipIndex reads over the index (4) and the footer (2.1.2). They only repeat
// what was read before them.
func (x *xzReader) skipIndex() error {
	began := x.src.n - 1
	records, err := binary.ReadUvarint(x.src)
	if err != nil {
		return err
	}
	for range 2 * min(records, 1<<62) {
		if _, err := binary.ReadUvarint(x.src); err != nil {
			return err
		}
	}
	padding := (4 - (x.src.n-began)%4) % 4
	tail := make([]byte, padding+4+12)
	if _, err := io.ReadFull(x.src, tail); err != nil {
		return err
	}
	if string(tail[len(tail)-2:]) != "YZ" {
		return errXZ
	}
	return nil
}
