package image

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"errors"
	"fmt"
	"hash"
	"io"

	"tutela"
	"tutela/internal/evidence"
)

// Stored are the digests of the medium that the container carries; none for a
// raw image.
func (img *Image) Stored() []evidence.StoredDigest {
	if d, ok := img.disk.(digested); ok {
		return d.Stored()
	}
	return nil
}

// Facts are what the container says about how the medium was acquired.
func (img *Image) Facts() []evidence.Fact {
	if d, ok := img.disk.(stated); ok {
		return d.Facts()
	}
	return nil
}

// Notes are what must be said about the container as a whole: damage, a copy of
// a structure that had to be used, sectors that the acquisition could not read.
// Some are found only while the medium is read.
func (img *Image) Notes() []tutela.Finding {
	if d, ok := img.disk.(noted); ok {
		return d.Notes()
	}
	return nil
}

// ErrNoDigest is the error of Verify where the container carries no digest that
// could be compared.
var ErrNoDigest = errors.New("no digest is stored in the image")

// MismatchError is the error of Verify for a medium that is not what was
// acquired.
type MismatchError struct {
	Algorithm        string
	Stored, Computed []byte
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("%s of the medium is %x, stored in the image is %x", e.Algorithm, e.Computed, e.Stored)
}

// verifyStep is how much Verify reads at once, in bytes.
const verifyStep = 4 << 20

// Verify reads the medium once, from its beginning to its end, and compares it
// with every stored digest. The error wraps a [*MismatchError] for each that
// differs, is [ErrNoDigest] where there is none, or says which bytes could not
// be read. progress, if not nil, is called with the number of bytes read so far.
func (img *Image) Verify(ctx context.Context, progress func(read int64)) error {
	hashes, err := img.hashes()
	if err != nil {
		return fmt.Errorf("verify image: %w", err)
	}
	if err := img.feed(ctx, hashes, progress); err != nil {
		return fmt.Errorf("verify image: %w", err)
	}
	var errs []error
	for _, stored := range img.Stored() {
		if computed := hashes[stored.Algorithm].Sum(nil); !bytes.Equal(computed, stored.Value) {
			errs = append(errs, &MismatchError{stored.Algorithm, stored.Value, computed})
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("verify image: %w", errors.Join(errs...))
	}
	return nil
}

func (img *Image) hashes() (map[string]hash.Hash, error) {
	hashes := map[string]hash.Hash{}
	for _, stored := range img.Stored() {
		switch stored.Algorithm {
		case "md5":
			hashes["md5"] = md5.New()
		case "sha1":
			hashes["sha1"] = sha1.New()
		default:
			return nil, fmt.Errorf("%s: %w", stored.Algorithm, evidence.ErrUnsupported)
		}
	}
	if len(hashes) == 0 {
		return nil, ErrNoDigest
	}
	return hashes, nil
}

func (img *Image) feed(ctx context.Context, hashes map[string]hash.Hash, progress func(int64)) error {
	var all []io.Writer
	for _, h := range hashes {
		all = append(all, h)
	}
	into, buf := io.MultiWriter(all...), make([]byte, verifyStep)
	for off := int64(0); off < img.Size(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := img.ReadAt(buf[:min(int64(len(buf)), img.Size()-off)], off)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if _, err := into.Write(buf[:n]); err != nil {
			return err
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		off += int64(n)
		if progress != nil {
			progress(off)
		}
	}
	return nil
}
