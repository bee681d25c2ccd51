package squashfs

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"sync"

	"tutela/internal/evidence"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz/lzma"
)

// Compressors (SQUASHFS 3.1).
const (
	compressZlib = iota + 1
	compressLZMA
	compressLZO
	compressXZ
	compressLZ4
	compressZstd
)

// decoder expands packed into dst, which bounds what it may give, and reports
// how many bytes that was. It is safe for concurrent use.
type decoder func(dst, packed []byte) (int, error)

var (
	errTooLong = errors.New("it expands to more than a block")
	errPacked  = errors.New("the packed bytes are damaged")
)

func decoderOf(compressor uint16) (decoder, error) {
	switch compressor {
	case compressZlib:
		return unzlib, nil
	case compressLZMA:
		return unlzma, nil
	case compressLZO:
		return nil, fmt.Errorf("lzo compression not read: %w", evidence.ErrUnsupported)
	case compressXZ:
		return unxz, nil
	case compressLZ4:
		return unlz4, nil
	case compressZstd:
		return unzstd()
	}
	return nil, fmt.Errorf("compression %d not read: %w", compressor, evidence.ErrUnsupported)
}

var zlibReaders sync.Pool // of io.ReadCloser

func unzlib(dst, packed []byte) (int, error) {
	in := bytes.NewReader(packed)
	z, ok := zlibReaders.Get().(io.ReadCloser)
	var err error
	if ok {
		err = z.(zlib.Resetter).Reset(in, nil)
	} else {
		z, err = zlib.NewReader(in)
	}
	if err != nil {
		return 0, err
	}
	defer zlibReaders.Put(z)
	return fill(dst, z)
}

// fill reads all of r into dst. Reading to the end checks the checksum.
func fill(dst []byte, r io.Reader) (int, error) {
	n := 0
	for n < len(dst) {
		m, err := r.Read(dst[n:])
		n += m
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	var more [1]byte
	switch m, err := io.ReadFull(r, more[:]); {
	case m > 0:
		return n, errTooLong
	case err == io.EOF:
		return n, nil
	default:
		return n, err
	}
}

// unlzma: blocks of the LZMA SDK's own format with its header of 13 bytes. The
// dictionary need not be larger than the block.
func unlzma(dst, packed []byte) (int, error) {
	r, err := lzma.ReaderConfig{DictCap: maxBlockBytes}.NewReader(bytes.NewReader(packed))
	if err != nil {
		return 0, err
	}
	return fill(dst, r)
}

// unzstd makes one decoder for the volume: they are large.
func unzstd() (decoder, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderMaxMemory(16<<20))
	if err != nil {
		return nil, err
	}
	return func(dst, packed []byte) (int, error) {
		b, err := z.DecodeAll(packed, dst[:0:len(dst)])
		return len(b), err
	}, nil
}
