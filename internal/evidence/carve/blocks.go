package carve

import (
	"errors"
	"io"

	"tutela"
	"tutela/internal/evidence"
)

const (
	// blockSize is how much is read at once, in bytes: many small reads of a
	// source behind a pipe cost more than one long one.
	blockSize = 1 << 20
	// leastSkipped and mostSkipped are how many bytes behind a failed read are
	// given up where the error does not say how many are bad. The step doubles
	// from one failure to the next.
	leastSkipped, mostSkipped = 4 << 10, 64 << 10
)

// block is a piece of a stretch, in memory. What could not be read is zeros.
type block struct {
	from int64 // in the source
	b    []byte
	bad  []tutela.Run // in the source, ascending
	used int64        // when, by the clock of blocks
}

// blocks reads a stretch and keeps the pieces used last: validators look ahead,
// and a little back.
type blocks struct {
	src     evidence.Source
	stretch tutela.Run
	kept    [4]block
	clock   int64
	loaded  int64 // bytes read so far
	toldTo  int64 // end of the last bad stretch that search has counted
	err     error // what ended it
}

// begin turns to another stretch.
func (bs *blocks) begin(stretch tutela.Run) {
	bs.stretch = stretch
	for i := range bs.kept {
		bs.kept[i].b = bs.kept[i].b[:0]
	}
}

// at is the block that holds a byte of the stretch. It is valid until the next
// call.
func (bs *blocks) at(off int64) (*block, error) {
	if bs.err != nil {
		return nil, bs.err
	}
	bs.clock++
	from := off - (off-bs.stretch.Offset)%blockSize
	oldest := &bs.kept[0]
	for i := range bs.kept {
		b := &bs.kept[i]
		if len(b.b) > 0 && b.from == from {
			b.used = bs.clock
			return b, nil
		}
		if b.used < oldest.used {
			oldest = b
		}
	}
	bs.err = bs.load(oldest, from)
	oldest.used = bs.clock
	return oldest, bs.err
}

func (bs *blocks) load(b *block, from int64) error {
	n := int(min(blockSize, end(bs.stretch)-from))
	if cap(b.b) < n {
		b.b = make([]byte, n)
	}
	b.from, b.b, b.bad = from, b.b[:n], nil
	bs.loaded += int64(n)
	skip := leastSkipped
	for done := 0; done < n; {
		got, err := bs.src.ReadAt(b.b[done:], from+int64(done))
		if got > 0 {
			done, skip = done+got, leastSkipped
		}
		if done >= n {
			break
		}
		lost, fatal := lostBehind(err, from+int64(done), skip)
		if fatal != nil {
			b.b = b.b[:0]
			return fatal
		}
		done += b.lose(done, lost)
		skip = min(2*skip, mostSkipped)
	}
	return nil
}

// lostBehind is how many bytes from off on are given up after a read that
// failed there.
func lostBehind(err error, off int64, guess int) (int64, error) {
	bad, ok := errors.AsType[*evidence.ReadError](err)
	switch {
	case ok && bad.Run.Offset <= off && off < end(bad.Run):
		return end(bad.Run) - off, nil
	case ok: // the place is one of a layer below
		return int64(guess) - off%int64(guess), nil
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return blockSize, nil // the source is shorter than it says
	case err == nil:
		return 0, io.ErrNoProgress
	}
	return 0, err
}

// lose marks bytes of a block as unreadable and returns how many.
func (b *block) lose(at int, lost int64) int {
	n := int(min(lost, int64(len(b.b)-at)))
	clear(b.b[at : at+n])
	run := tutela.Run{Offset: b.from + int64(at), Length: int64(n)}
	if last := len(b.bad) - 1; last >= 0 && end(b.bad[last]) == run.Offset {
		b.bad[last].Length += run.Length
	} else {
		b.bad = append(b.bad, run)
	}
	return n
}

// readable are the bytes of the block from off on up to the first that could not
// be read.
func (b *block) readable(off int64) []byte {
	to := b.from + int64(len(b.b))
	for _, r := range b.bad {
		if end(r) > off {
			to = min(to, max(r.Offset, off))
			break
		}
	}
	return b.b[off-b.from : to-b.from]
}
