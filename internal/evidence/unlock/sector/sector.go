// Package sector decrypts a volume sector by sector, as disk encryption lays it
// out: every sector on its own, with its number as the only other input.
//
// Start with [NewView], which makes an evidence.Source out of the pieces of an
// encrypted volume, and [Parse], which makes the [Cipher] out of a name as Linux
// writes them ("aes-xts-plain64"). The formats that say where the pieces and
// the keys lie are the packages beside this one.
//
// Promised: a View is safe for concurrent use, keeps nothing in memory but its
// pieces, and passes on what cannot be read as an *evidence.ReadError in bytes
// of the decrypted volume, whole sectors at a time: of a sector that is not
// there whole no byte is given. Not promised: that the key is right. Nothing
// in a sector tells; the formats prove a key before they build a View with it.
package sector

import (
	"errors"
	"fmt"
	"io"
	"sort"

	"tutela"
	"tutela/internal/evidence"
)

// MinSize and MaxSize bound the size of a sector, in bytes. Sizes are powers of
// two.
const (
	MinSize = 512
	MaxSize = 4096
)

// Cipher decrypts sectors. It must be safe for concurrent use.
type Cipher interface {
	// Decrypt decrypts a sector in its place. Its length must be a multiple of
	// 16 bytes, and at most MaxSize.
	Decrypt(sector []byte, number uint64)
}

// Kind says what a piece of the decrypted volume is made of.
type Kind uint8

const (
	Encrypted  Kind = iota // sectors of the source, decrypted
	Plain                  // bytes of the source as they are
	Zero                   // zeros by the rules of the format
	Unreadable             // there, but nobody can say how to read it
)

// Piece is a stretch of a decrypted volume.
type Piece struct {
	Kind   Kind
	Length int64  // bytes; whole sectors where the piece is encrypted
	From   int64  // where it begins in the source, in bytes
	Number uint64 // of its first sector, as the cipher counts them
	Why    string // it cannot be read; for Unreadable only
}

// Layout is how a decrypted volume is put together.
type Layout struct {
	Size   int64  // of a sector, in bytes
	Step   uint64 // how much the number grows from one sector to the next
	Cipher Cipher
	Pieces []Piece // in order; together they are the volume
}

// View is a decrypted volume.
type View struct {
	src    evidence.Source
	layout Layout
	ends   []int64 // of each piece, in bytes of the volume
}

var _ evidence.Source = (*View)(nil)

// NewView is the volume that the layout makes of src. Pieces without length are
// left out, and so is what is behind the last whole sector of a piece.
func NewView(src evidence.Source, l Layout) (*View, error) {
	if l.Size < MinSize || l.Size > MaxSize || l.Size&(l.Size-1) != 0 {
		return nil, fmt.Errorf("sectors of %d bytes: %w", l.Size, evidence.ErrUnsupported)
	}
	v := &View{src: src, layout: l}
	v.layout.Pieces = nil
	var end int64
	for _, p := range l.Pieces {
		if p.Kind == Encrypted {
			p.Length &^= l.Size - 1
		}
		if p.Length <= 0 {
			continue
		}
		if end += p.Length; end < 0 {
			return nil, errors.New("a volume of more than 2^63 bytes")
		}
		v.layout.Pieces, v.ends = append(v.layout.Pieces, p), append(v.ends, end)
	}
	return v, nil
}

// Size is the length of the decrypted volume in bytes.
func (v *View) Size() int64 {
	if len(v.ends) == 0 {
		return 0
	}
	return v.ends[len(v.ends)-1]
}

// ReadAt reads as io.ReaderAt does. The Run of an *evidence.ReadError is in
// bytes of the decrypted volume.
func (v *View) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	for n < len(p) {
		at := off + int64(n)
		i := sort.Search(len(v.ends), func(i int) bool { return at < v.ends[i] })
		if i == len(v.ends) {
			return n, io.EOF
		}
		piece := v.layout.Pieces[i]
		begin := v.ends[i] - piece.Length
		part := p[n:min(int64(len(p)), int64(n)+v.ends[i]-at)]
		m, err := v.read(part, piece, at-begin)
		n += m
		if err != nil {
			return n, inVolume(err, begin)
		}
	}
	return n, nil
}

// inVolume moves the run of a read error from the piece to the volume.
func inVolume(err error, begin int64) error {
	if unread, ok := err.(*evidence.ReadError); ok {
		return &evidence.ReadError{Run: tutela.Run{Offset: begin + unread.Run.Offset, Length: unread.Run.Length}, Err: unread.Err}
	}
	return err
}

// read fills part from a piece, off bytes behind its beginning. The run of a
// read error is counted from there too.
func (v *View) read(part []byte, piece Piece, off int64) (int, error) {
	switch piece.Kind {
	case Zero:
		clear(part)
		return len(part), nil
	case Plain:
		return v.fetch(part, piece, off)
	case Unreadable:
		return 0, &evidence.ReadError{Run: tutela.Run{Offset: off, Length: piece.Length - off}, Err: errors.New(piece.Why)}
	}
	return v.decrypt(part, piece, off)
}

// decrypt reads whole sectors right into part, and those that part begins or
// ends within through a buffer.
func (v *View) decrypt(part []byte, piece Piece, off int64) (n int, err error) {
	size := v.layout.Size
	var one [MaxSize]byte
	for n < len(part) {
		at := off + int64(n)
		within, rest := at%size, int64(len(part)-n)
		if within == 0 && rest >= size {
			m, err := v.sectors(part[n:n+int(rest-rest%size)], piece, at)
			n += m
			if err != nil {
				return n, err
			}
			continue
		}
		if _, err := v.sectors(one[:size], piece, at-within); err != nil {
			return n, from(err, at)
		}
		n += copy(part[n:], one[within:size])
	}
	return n, nil
}

// from makes a read error begin where the reading stopped.
func from(err error, at int64) error {
	if unread, ok := err.(*evidence.ReadError); ok && unread.Run.Offset < at {
		run := tutela.Run{Offset: at, Length: unread.Run.Offset + unread.Run.Length - at}
		return &evidence.ReadError{Run: run, Err: unread.Err}
	}
	return err
}

// sectors reads whole sectors and decrypts them. Those before one that cannot be
// read are given.
func (v *View) sectors(b []byte, piece Piece, off int64) (int, error) {
	size := int(v.layout.Size)
	n, err := v.fetch(b, piece, off)
	n -= n % size
	number := piece.Number + uint64(off)/uint64(size)*v.layout.Step
	for at := 0; at < n; at += size {
		v.layout.Cipher.Decrypt(b[at:at+size], number)
		number += v.layout.Step
	}
	if err != nil {
		clear(b[n:]) // a sector that was not read whole is not given
	}
	return n, v.wholeSectors(err, piece, off+int64(n))
}

// wholeSectors widens the run of a read error to the sectors it lies in; they
// begin at or behind at.
func (v *View) wholeSectors(err error, piece Piece, at int64) error {
	unread, ok := err.(*evidence.ReadError)
	if !ok {
		return err
	}
	end := unread.Run.Offset + unread.Run.Length
	end += (v.layout.Size - end%v.layout.Size) % v.layout.Size
	end = min(max(end, at+v.layout.Size), piece.Length)
	return &evidence.ReadError{Run: tutela.Run{Offset: at, Length: end - at}, Err: unread.Err}
}

// fetch reads bytes of a piece as they lie in the source.
func (v *View) fetch(b []byte, piece Piece, off int64) (int, error) {
	n, err := v.src.ReadAt(b, piece.From+off)
	if n == len(b) {
		return n, nil
	}
	var unread *evidence.ReadError
	switch {
	case errors.As(err, &unread):
		start := off + int64(n)
		end := min(max(unread.Run.Offset+unread.Run.Length-piece.From, start+1), piece.Length)
		return n, &evidence.ReadError{Run: tutela.Run{Offset: start, Length: end - start}, Err: unread.Err}
	case err == nil, errors.Is(err, io.EOF):
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}
