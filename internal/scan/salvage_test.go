package scan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"tutela"
	"tutela/internal/evidence"
)

// What is lost and what is read must not depend on how much is asked for at a
// time.
func TestSalvageWhateverTheChunks(t *testing.T) {
	content := randomBytes(150_000)
	bad := []tutela.Run{{Offset: 10_000, Length: 1}, {Offset: 40_000, Length: 9_000}, {Offset: 149_990, Length: 10}}
	want := bytes.Clone(content)
	lost := []tutela.Run{{Offset: 10_000, Length: 2_288}, {Offset: 40_000, Length: 9_152}, {Offset: 149_990, Length: 10}}
	for _, r := range lost {
		clear(want[r.Offset : r.Offset+r.Length])
	}
	for _, chunk := range []int{1, 100, 4096, 5000, 32 << 10, 1 << 20} {
		s := newSalvage(&broken{content: content, bad: bad}, int64(len(content)))
		got, err := readAllBy(s, chunk)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("in chunks of %d: %d bytes, %v, as expected %v", chunk, len(got), err, bytes.Equal(got, want))
		}
		if !slices.Equal(s.runs, lost) || s.lost != 2_288+9_152+10 {
			t.Errorf("in chunks of %d: lost %v, %d bytes; want %v", chunk, s.runs, s.lost, lost)
		}
	}
}

func readAllBy(r io.Reader, chunk int) (all []byte, err error) {
	buf := make([]byte, chunk)
	for {
		n, err := r.Read(buf)
		all = append(all, buf[:n]...)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

// A drive that is dead is given up after a bounded loss.
func TestSalvageGivesUp(t *testing.T) {
	size := int64(salvageLimit + 1<<20)
	s := newSalvage(&dead{size}, size)
	n, err := io.Copy(io.Discard, s)
	var bad *evidence.ReadError
	if !errors.As(err, &bad) || n < salvageLimit || n > salvageLimit+salvageStep {
		t.Errorf("%d bytes, %v", n, err)
	}
}

type dead struct{ size int64 }

func (d *dead) Read([]byte) (int, error) { return d.ReadAt(nil, 0) }
func (d *dead) ReadAt(_ []byte, off int64) (int, error) {
	return 0, &evidence.ReadError{Run: tutela.Run{Offset: off}, Err: fmt.Errorf("read at %d: %w", off, errors.New("no answer"))}
}
func (d *dead) Close() error { return nil }

// A record says why, not how it was asked.
func TestReasonIsTheCause(t *testing.T) {
	err := fmt.Errorf("open /a: %w", &evidence.ReadError{Err: fmt.Errorf("read 4096 bytes at 17: %w", io.ErrUnexpectedEOF)})
	if got := reason(err); got != "unexpected EOF" {
		t.Errorf("reason %q", got)
	}
	if got := reason(errors.New("no such file")); got != "no such file" {
		t.Errorf("reason %q", got)
	}
}
