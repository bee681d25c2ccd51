package confine

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
)

// counted is a content that knows how many of its kind are open.
type counted struct {
	*bytes.Reader
	open *atomic.Int64
}

func (c counted) Close() error {
	c.open.Add(-1)
	return nil
}

// manifest lists so many files of a backup, as Manifest.mbdb does.
func manifest(files int) []byte {
	text := func(b []byte, s string) []byte {
		return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
	}
	b := []byte("mbdb\x05\x00")
	for n := range files {
		b = text(text(b, "D"), fmt.Sprint(n))
		b = append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0xa4)
		b = append(b, make([]byte, 8+4+4+12+8+2)...)
	}
	return b
}

// Files that lie beside an archive can be read from a child, again too, and are
// given back when they were.
func TestBesideIsGivenBack(t *testing.T) {
	const files, size = 150, inlineMost + 5
	var open, most atomic.Int64
	places := map[string]int{}
	for n := range files {
		places[fmt.Sprintf("%x", sha1.Sum(fmt.Appendf(nil, "D-%d", n)))] = n
	}
	parent := &evidence.Entry{Path: []byte("/Manifest.mbdb"), State: tutela.Allocated}
	parent.Beside = func(name string) *evidence.Entry {
		n, found := places[name]
		if !found {
			return nil
		}
		return &evidence.Entry{Size: size, Open: func() (evidence.Content, error) {
			most.Store(max(most.Load(), open.Add(1)))
			return counted{bytes.NewReader(bytes.Repeat([]byte{byte(n)}, size)), &open}, nil
		}}
	}
	read := 0
	data := manifest(files)
	err := newHost(t, Options{}).Expand(context.Background(), archive.Options{Spool: &spool{}}, parent, bytes.NewReader(data), int64(len(data)), func(e *evidence.Entry) error {
		for range 2 {
			c, err := e.Open()
			if err != nil {
				return fmt.Errorf("%s: %w", e.Path, err)
			}
			b, err := io.ReadAll(c)
			if err != nil || len(b) != size || strings.Count(string(b), string(rune(read))) == 0 && read < 128 {
				t.Errorf("%s: %d bytes, %v", e.Path, len(b), err)
			}
			c.Close()
		}
		read++
		return nil
	})
	if err != nil || read != files {
		t.Errorf("%d of %d files: %v", read, files, err)
	}
	if open.Load() != 0 || most.Load() > 5 {
		t.Errorf("%d files are open at the end, at most %d at once", open.Load(), most.Load())
	}
}
