package feed

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestLines(t *testing.T) {
	l, err := NewLines(strings.NewReader("\xef\xbb\xbfa\r\n\n  \nb"))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"a", "b"} {
		if got, err := l.Next(); err != nil || got != want {
			t.Errorf("line %d is %q, %v; want %q", i, got, err, want)
		}
	}
	if err := l.Fail(io.ErrNoProgress); err.Error() != "line 4: "+io.ErrNoProgress.Error() || !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("error %v does not name line 4", err)
	}
	if _, err := l.Next(); err != io.EOF {
		t.Errorf("error %v at the end", err)
	}
}

func TestLimitedCountsFromTheLastReset(t *testing.T) {
	l := Limit(strings.NewReader("0123456789"), 4)
	p := make([]byte, 10)
	for _, want := range []string{"0123", "4567", "89"} {
		n, err := l.Read(p)
		if err != nil || string(p[:n]) != want {
			t.Errorf("read %q, %v; want %q", p[:n], err, want)
		}
		l.Reset()
	}
	l = Limit(strings.NewReader("0123456789"), 4)
	if b, err := io.ReadAll(l); !errors.Is(err, ErrTooLong) || string(b) != "0123" {
		t.Errorf("read %q, %v; want %v after 4 bytes", b, err, ErrTooLong)
	}
}

func TestUTF16IsNamed(t *testing.T) {
	for _, mark := range []string{"\xff\xfea", "\xfe\xffa"} {
		if _, err := Open(strings.NewReader(mark)); !errors.Is(err, ErrUTF16) {
			t.Errorf("error %v, want %v", err, ErrUTF16)
		}
	}
}
