package scan

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"

	"tutela/internal/evidence/archive"
)

// spoolMemory is how many bytes all spools of a scan together keep in memory;
// what goes beyond lies in a temporary file of the lab.
const spoolMemory = 64 << 20

// spool turns forward-only streams into random access. What it writes to the
// lab's disk is encrypted under a key that only this process has and that is
// never stored: seized content must not lie about in temporary files.
type spool struct {
	dir    string
	memory atomic.Int64
}

var _ archive.Spool = (*spool)(nil)

// Put reads r to its end. It fails if there are more than limit bytes.
func (s *spool) Put(ctx context.Context, r io.Reader, limit int64) (archive.Spooled, error) {
	room := spoolMemory - s.memory.Load()
	var head bytes.Buffer
	n, err := io.CopyN(&head, r, max(min(room, limit), 0))
	if err != nil && err != io.EOF {
		return nil, err
	}
	if err == io.EOF {
		s.memory.Add(n)
		return &inMemory{bytes.NewReader(head.Bytes()), s}, nil
	}
	return s.toFile(ctx, io.MultiReader(&head, r), limit)
}

type inMemory struct {
	*bytes.Reader
	spool *spool
}

func (m *inMemory) Close() error {
	m.spool.memory.Add(-m.Size())
	return nil
}

func (s *spool) toFile(ctx context.Context, r io.Reader, limit int64) (archive.Spooled, error) {
	f, err := os.CreateTemp(s.dir, "spool-*")
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	if runtime.GOOS != "windows" {
		os.Remove(f.Name()) // a crash leaves nothing; Windows removes on Close
	}
	sealed, err := newSealedFile(f)
	if err == nil {
		err = sealed.fill(ctx, r, limit)
	}
	if err != nil {
		f.Close()
		os.Remove(f.Name())
		return nil, fmt.Errorf("spool: %w", err)
	}
	return sealed, nil
}

// sealedFile is AES-256-CTR over a file under a key of its own.
type sealedFile struct {
	f     *os.File
	block cipher.Block
	size  int64
}

func newSealedFile(f *os.File) (*sealedFile, error) {
	var key [32]byte
	rand.Read(key[:])
	block, err := aes.NewCipher(key[:])
	return &sealedFile{f: f, block: block}, err
}

// stream is the key stream from the 16-byte block that holds off; skip is how
// many of its first bytes lie before off.
func (s *sealedFile) stream(off int64) (stream cipher.Stream, skip int64) {
	var counter [aes.BlockSize]byte
	binary.BigEndian.PutUint64(counter[8:], uint64(off/aes.BlockSize))
	return cipher.NewCTR(s.block, counter[:]), off % aes.BlockSize
}

func (s *sealedFile) fill(ctx context.Context, r io.Reader, limit int64) error {
	stream, _ := s.stream(0)
	buf := make([]byte, 256<<10)
	for ctx.Err() == nil {
		n, err := io.ReadFull(r, buf)
		stream.XORKeyStream(buf[:n], buf[:n])
		if _, err := s.f.Write(buf[:n]); err != nil {
			return err
		}
		if s.size += int64(n); s.size > limit {
			return fmt.Errorf("more than %d bytes", limit)
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

func (s *sealedFile) Size() int64 { return s.size }

func (s *sealedFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.f.ReadAt(p, off)
	stream, skip := s.stream(off)
	if skip > 0 {
		var before [aes.BlockSize]byte
		stream.XORKeyStream(before[:skip], before[:skip])
	}
	stream.XORKeyStream(p[:n], p[:n])
	return n, err
}

func (s *sealedFile) Close() error {
	err := s.f.Close()
	if runtime.GOOS == "windows" {
		err = errors.Join(err, os.Remove(s.f.Name()))
	}
	return err
}
