package term

import (
	"bytes"
	"os"
	"testing"
	"time"
)

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 1500: "1.5 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 600e12: "600.0 TB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234", 100000: "100,000"} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", 59 * time.Second: "59s", 185 * time.Second: "3m 05s", 127 * time.Minute: "2h 07m", 147 * time.Hour: "6d 03h"} {
		if got := Span(d); got != want {
			t.Errorf("Span(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestStatusIsSilentInAPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := NewStatus(w)
	s.Show("working")
	s.Clear()
	w.Close()
	var got bytes.Buffer
	if got.ReadFrom(r); got.Len() > 0 {
		t.Errorf("wrote %q into a pipe", got.String())
	}
}

func TestStatusIsCutToTheWidth(t *testing.T) {
	var out bytes.Buffer
	s := &Status{out: &out, width: func() int { return 8 }}
	s.Show("häshing 7-B")
	if got, want := out.String(), "\r\x1b[Khäshin…"; got != want {
		t.Errorf("drew %q, want %q", got, want)
	}
	s.Clear()
	s.Clear()
	if got := out.String(); got != "\r\x1b[Khäshin…\r\x1b[K" {
		t.Errorf("after Clear twice: %q", got)
	}
}
