// Package tracktest is what the tests of all readers of video containers share.
//
// Call [Hostile] with whatever bytes from a fuzz target, [Open] and [Keys] to have
// the key frames of good ones, which [Say] writes, and [Inside] to make those.
package tracktest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"tutela/internal/video/track"
)

// Open opens a file that must be good.
func Open[M track.Movie](t testing.TB, open func(src io.ReaderAt, size int64) (M, error), data []byte) M {
	t.Helper()
	m, err := open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Say writes key frames as "seconds=bytes".
func Say(data []byte, keys []track.Key) string {
	var s []string
	for _, k := range keys {
		s = append(s, fmt.Sprintf("%v=%s", k.At, data[k.Offset:k.Offset+k.Size]))
	}
	return strings.Join(s, " ")
}

// Inside is the body of a piece of a container: bytes and strings as they are, an
// int in 32 bits, as most fields are, other numbers in their own width.
func Inside(order binary.AppendByteOrder, content ...any) (body []byte) {
	for _, c := range content {
		switch c := c.(type) {
		case []byte:
			body = append(body, c...)
		case string:
			body = append(body, c...)
		case int:
			body = order.AppendUint32(body, uint32(c))
		default:
			body = appendNumber(body, order, c)
		}
	}
	return body
}

func appendNumber(body []byte, order binary.AppendByteOrder, number any) []byte {
	body, err := binary.Append(body, order.(binary.ByteOrder), number)
	if err != nil {
		panic(err)
	}
	return body
}

// Keys are the key frames of a file, one in every step, all with 0.
func Keys(t testing.TB, m track.Movie, every time.Duration) (keys []track.Key) {
	t.Helper()
	err := m.Keys(context.Background(), &track.Picker{Every: every}, func(k track.Key) error {
		keys = append(keys, k)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// Hostile reads whatever bytes and holds what must be true of any: no panic, no
// error but that of the format, no frame beyond the file, none without end.
func Hostile[M track.Movie](t testing.TB, open func(src io.ReaderAt, size int64) (M, error), data []byte) {
	t.Helper()
	m, err := open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		if !errors.Is(err, track.ErrFormat) {
			t.Fatalf("%v", err)
		}
		return
	}
	for _, every := range []time.Duration{0, time.Second} {
		count := 0
		err := m.Keys(context.Background(), &track.Picker{Every: every}, func(k track.Key) error {
			if k.Offset < 0 || k.Size <= 0 || k.Offset+k.Size > int64(len(data)) {
				t.Fatalf("a key frame of %d bytes at %d in a file of %d", k.Size, k.Offset, len(data))
			}
			if count++; count == 1<<20 {
				return errEnough
			}
			return nil
		})
		if err != nil && err != errEnough {
			t.Fatalf("%v", err)
		}
	}
	if told := m.Track(); told.Width < 0 || told.Height < 0 || told.Duration < 0 || len(told.Config) > len(data) {
		t.Fatalf("told %+v", told)
	}
	if len(m.Findings()) > 16 {
		t.Fatalf("%d findings", len(m.Findings()))
	}
}

var errEnough = errors.New("enough")
