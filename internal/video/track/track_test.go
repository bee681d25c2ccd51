package track

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"
)

func TestPicker(t *testing.T) {
	p := Picker{Every: time.Second}
	var got []int
	for _, ms := range []int{0, 400, 900, 1100, 1900, 3500, 3900, 4000, 2000, 5000} {
		at := time.Duration(ms) * time.Millisecond
		if p.Wants(at) {
			p.Took(at)
			got = append(got, ms)
		}
	}
	want := []int{0, 1100, 3500, 4000, 5000}
	if len(got) != len(want) {
		t.Fatalf("picked %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("picked %v, want %v", got, want)
		}
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		ticks, rate int64
		want        time.Duration
	}{
		{1, 0, 0},
		{1, -5, 0},
		{3003, 30000, 100100 * time.Microsecond},
		{-1, 2, -500 * time.Millisecond},
		{1<<63 - 1, 1, 1<<63 - 1},
		{-1 << 63, 1, -1 << 63},
		{1<<62 - 1, 1 << 62, time.Second - 1},
	} {
		if got := Ticks(c.ticks, c.rate); got != c.want {
			t.Errorf("%d ticks of 1/%d s are %v, want %v", c.ticks, c.rate, got, c.want)
		}
	}
}

func TestWindow(t *testing.T) {
	data := make([]byte, 3*windowBytes+5)
	for i := range data {
		data[i] = byte(i * 7 >> 3)
	}
	w := NewWindow(bytes.NewReader(data), int64(len(data)))
	for _, off := range []int{0, 10, windowBytes - 3, windowBytes, 5, 3 * windowBytes, len(data) - 4} {
		b, err := w.Bytes(int64(off), 4)
		if err != nil || !bytes.Equal(b, data[off:off+4]) {
			t.Errorf("at %d: %x, %v; want %x", off, b, err, data[off:off+4])
		}
	}
	if b, err := w.Bytes(int64(len(data)-2), 4); !errors.Is(err, io.ErrUnexpectedEOF) || len(b) != 2 {
		t.Errorf("at the end: %x, %v", b, err)
	}
	if _, err := w.Bytes(-1, 4); err == nil {
		t.Error("before the beginning: no error")
	}
	if _, err := w.Copy(5, int64(len(data))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("too long a copy: %v", err)
	}
}

func TestDeliver(t *testing.T) {
	var n Notes
	taken := 0
	take := func(Key) error { taken++; return nil }
	for _, k := range []Key{{Offset: -1, Size: 2}, {Offset: 9, Size: 2}, {Offset: 0, Size: 1 << 62}, {Offset: 1 << 62, Size: 1 << 62}, {Offset: 3, Size: -4}} {
		n.Deliver(k, 10, &Picker{}, take)
	}
	if taken != 0 || len(n.Findings()) != 1 {
		t.Errorf("%d taken, findings %v", taken, n.Findings())
	}
	n.Deliver(Key{Offset: 8, Size: 2}, 10, &Picker{}, take)
	if taken != 1 {
		t.Error("a frame at the end was not taken")
	}
}
