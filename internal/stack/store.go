package stack

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"tutela"
)

// The stored form, all numbers little-endian:
//
//	16 bytes  magic
//	u32       number of pictures
//	u32       number of stacks
//	u32 …     for each stack its medoid, a place in the order of Add
//	44 bytes… for each picture in order of Add: u64 id, 32 bytes PDQ, u32 stack
//	u32       CRC-32C of all before
//
// It is derived and can be made again from the pictures in their order.

// magic must never change; another form gets another number.
const magic = "tutela stacks 1\n"

// ErrCorrupt means that stored stacks are not whole or break a promise.
var ErrCorrupt = errors.New("stored stacks are damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// WriteTo writes the stacks so that [Read] can go on from them.
func (s *Stacks) WriteTo(w io.Writer) (int64, error) {
	sum := crc32.New(castagnoli)
	b := bufio.NewWriterSize(w, 1<<16)
	out := &countingWriter{w: io.MultiWriter(b, sum)}
	out.write(s.head())
	for _, k := range s.stacks {
		out.write(binary.LittleEndian.AppendUint32(out.buffer[:0], k.medoid))
	}
	for p := range s.ids {
		out.write(s.row(out.buffer[:0], p))
	}
	out.write(binary.LittleEndian.AppendUint32(out.buffer[:0], sum.Sum32()))
	return out.n, errors.Join(out.err, b.Flush())
}

func (s *Stacks) head() []byte {
	b := binary.LittleEndian.AppendUint32([]byte(magic), uint32(len(s.ids)))
	return binary.LittleEndian.AppendUint32(b, uint32(len(s.stacks)))
}

const rowSize = 8 + 32 + 4

func (s *Stacks) row(b []byte, p int) []byte {
	h := s.hashes[p].pdq()
	b = binary.LittleEndian.AppendUint64(b, s.ids[p])
	return binary.LittleEndian.AppendUint32(append(b, h[:]...), s.on[p])
}

// countingWriter counts, and keeps the first error.
type countingWriter struct {
	w      io.Writer
	n      int64
	err    error
	buffer [rowSize]byte
}

func (c *countingWriter) write(b []byte) {
	if c.err != nil {
		return
	}
	n, err := c.w.Write(b)
	c.n, c.err = c.n+int64(n), err
}

// Read reads stacks that [Stacks.WriteTo] wrote. It holds every picture against
// the medoid of its stack, so that what it returns keeps the package's promise.
// Errors that are the bytes' fault wrap ErrCorrupt. It reads no further than the
// stacks go if r is an io.ByteReader, and takes no more memory than a small
// multiple of what it has read.
func Read(r io.Reader) (*Stacks, error) {
	in := newSummingReader(r)
	head := in.take(len(magic) + 8)
	if in.err == nil && string(head[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: not in a form that is known", ErrCorrupt)
	}
	pictures, stacks := in.number(head, len(magic)), in.number(head, len(magic)+4)
	s := &Stacks{}
	medoids := in.medoids(stacks)
	s.readRows(in, pictures)
	if err := in.end(); err != nil {
		return nil, err
	}
	if err := s.adopt(medoids); err != nil {
		return nil, err
	}
	s.index = newIndex()
	s.index.rebuild(medoids, s.hashes)
	return s, nil
}

// readRows reads pictures and lays each on its stack, whose medoid is not known
// yet. A stack begins with the first picture that names the next number.
func (s *Stacks) readRows(in *summingReader, pictures uint32) {
	for range pictures {
		b := in.take(rowSize)
		if in.err != nil {
			return
		}
		p := s.keep(binary.LittleEndian.Uint64(b), wordsOf(tutela.PDQ(b[8:40])))
		switch n := binary.LittleEndian.Uint32(b[40:]); {
		case uint64(n) < uint64(len(s.stacks)):
			s.lay(n, p)
		case uint64(n) == uint64(len(s.stacks)):
			s.on[p] = n
			s.stacks = append(s.stacks, heap{last: p, medoid: p, size: 1})
		default:
			in.err = fmt.Errorf("%w: picture %d is on a stack that has not begun", ErrCorrupt, p)
		}
	}
}

// adopt sets the medoids and checks all that is promised of them.
func (s *Stacks) adopt(medoids []uint32) error {
	if len(medoids) != len(s.stacks) {
		return fmt.Errorf("%w: %d stacks, %d medoids", ErrCorrupt, len(s.stacks), len(medoids))
	}
	for n, m := range medoids {
		if uint64(m) >= uint64(len(s.on)) || s.on[m] != uint32(n) {
			return fmt.Errorf("%w: the medoid of stack %d is not on it", ErrCorrupt, n)
		}
		s.stacks[n].medoid = m
		if _, within := s.spread(s.stacks[n], m); !within {
			return fmt.Errorf("%w: a picture of stack %d is too far from its medoid", ErrCorrupt, n)
		}
	}
	return nil
}

// summingReader reads piece by piece, sums what it read, and keeps the first
// error.
type summingReader struct {
	r      io.Reader
	sum    uint32
	err    error
	buffer [rowSize]byte
}

func newSummingReader(r io.Reader) *summingReader {
	if _, ok := r.(io.ByteReader); !ok {
		r = bufio.NewReaderSize(r, 1<<16)
	}
	return &summingReader{r: r}
}

// take reads n bytes, at most a row; they are valid until the next take, and
// zero after an error.
func (in *summingReader) take(n int) []byte {
	b := in.buffer[:n]
	if in.err == nil {
		in.err = in.fill(b)
	}
	if in.err != nil {
		clear(b)
	}
	return b
}

func (in *summingReader) fill(b []byte) error {
	_, err := io.ReadFull(in.r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends too early", ErrCorrupt)
	}
	in.sum = crc32.Update(in.sum, castagnoli, b)
	return err
}

func (in *summingReader) number(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }

// medoids reads numbers; a false count ends with the bytes.
func (in *summingReader) medoids(count uint32) (all []uint32) {
	for range count {
		b := in.take(4)
		if in.err != nil {
			return nil
		}
		all = append(all, binary.LittleEndian.Uint32(b))
	}
	return all
}

// end checks the sum.
func (in *summingReader) end() error {
	sum := in.sum
	stored := binary.LittleEndian.Uint32(in.take(4))
	if in.err == nil && stored != sum {
		in.err = fmt.Errorf("%w: its checksum does not agree", ErrCorrupt)
	}
	return in.err
}
