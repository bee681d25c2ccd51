package sqlite

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	logHeader   = 32 // bytes (4.1)
	frameHeader = 24 // bytes
	// maxLogPages bounds how many pages a log may replace, for each is held in
	// memory: 4 GiB of pages of the usual size.
	maxLogPages = 1 << 20
)

// ErrLogPages is wrapped by OpenLog when a log replaces more pages than it may.
var ErrLogPages = errors.New("too many pages")

// Log is a write-ahead log (4), as far as it is committed.
type Log struct {
	// Frames are the pages that were committed, repeated ones included. Left are
	// those behind them: of a transaction that did not end, or from before the
	// log was begun anew.
	Frames, Left int64

	file   io.ReaderAt
	places map[uint32]int64 // of the last committed state of a page, in bytes
	pages  uint32           // of the database after the last commit
}

// OpenLog reads a log of size bytes, which belongs to a database with pages of
// so many bytes. It is nil if nothing in it is committed.
func OpenLog(ctx context.Context, file io.ReaderAt, size int64, page int) (*Log, error) {
	if size < logHeader {
		return nil, nil
	}
	r := &logReader{src: bufio.NewReaderSize(io.NewSectionReader(file, 0, size), 1<<18), order: binary.LittleEndian}
	if err := r.header(page); err != nil {
		return nil, err
	}
	l := &Log{file: file, places: map[uint32]int64{}}
	pending := map[uint32]int64{}
	frame := make([]byte, frameHeader+page)
	all := (size - logHeader) / int64(len(frame))
	for n := range all {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(r.src, frame); err != nil {
			return nil, fmt.Errorf("frame %d: %w", n+1, whole(err))
		}
		if !r.follows(frame) {
			break
		}
		no := binary.BigEndian.Uint32(frame)
		pending[no] = logHeader + n*int64(len(frame)) + frameHeader
		if len(l.places)+len(pending) > maxLogPages {
			return nil, fmt.Errorf("more than %d: %w", maxLogPages, ErrLogPages)
		}
		if pages := binary.BigEndian.Uint32(frame[4:]); pages != 0 {
			l.commit(pending, pages)
			l.Frames = n + 1
		}
	}
	l.Left = all - l.Frames
	if l.Frames == 0 {
		return nil, nil
	}
	return l, nil
}

func (l *Log) commit(pending map[uint32]int64, pages uint32) {
	for no, at := range pending {
		l.places[no] = at
	}
	clear(pending)
	l.pages = pages
}

// logReader goes through the frames as long as one proves the next.
type logReader struct {
	src   *bufio.Reader
	order binary.ByteOrder // of the words that are summed up
	salt  string
	sum   [2]uint32
}

var errLogHeader = errors.New("the header of the log is none")

func (r *logReader) header(page int) error {
	h := make([]byte, logHeader)
	if _, err := io.ReadFull(r.src, h); err != nil {
		return whole(err)
	}
	magic := binary.BigEndian.Uint32(h)
	if magic&^1 != 0x377f0682 {
		return errLogHeader
	}
	if magic&1 != 0 {
		r.order = binary.BigEndian
	}
	if version := binary.BigEndian.Uint32(h[4:]); version != 3007000 {
		return fmt.Errorf("version %d of the log", version)
	}
	if !r.proves(h[:24], h[24:]) {
		return errLogHeader
	}
	if size := binary.BigEndian.Uint32(h[8:]); size != uint32(page) {
		return fmt.Errorf("the pages of the log have %d bytes, those of the database %d", size, page)
	}
	r.salt = string(h[16:24])
	return nil
}

// follows reports whether a frame belongs to the log and is as it was written
// (4.1).
func (r *logReader) follows(frame []byte) bool {
	if string(frame[8:16]) != r.salt || binary.BigEndian.Uint32(frame) == 0 {
		return false
	}
	r.add(frame[:8])
	return r.proves(frame[frameHeader:], frame[16:])
}

func (r *logReader) proves(b, sum []byte) bool {
	r.add(b)
	return r.sum[0] == binary.BigEndian.Uint32(sum) && r.sum[1] == binary.BigEndian.Uint32(sum[4:])
}

// add goes on with the checksum (4.2).
func (r *logReader) add(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		r.sum[0] += r.order.Uint32(b) + r.sum[1]
		r.sum[1] += r.order.Uint32(b[4:]) + r.sum[0]
	}
}
