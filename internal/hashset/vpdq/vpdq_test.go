package vpdq

import (
	"errors"
	"io"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/hashset/feed"
)

func line(number, quality string, fill byte) string {
	return number + "," + quality + "," + strings.Repeat(string(fill), 64) + ",1.5\n"
}

func TestAVideo(t *testing.T) {
	text := line("0", "100", 'a') + "\r\n" + line("30", "49", 'b') + line("60", "50", 'a')
	r, err := NewReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	a, err := r.Next()
	want := tutela.PDQ{}
	for i := range want {
		want[i] = 0xaa
	}
	if err != nil || len(a.Frames) != 2 || a.Frames[0] != want || a.Frames[1] != want || r.Poor() != 1 || a.Size != -1 {
		t.Errorf("%+v, %d poor, error %v", a, r.Poor(), err)
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("a second video: %v", err)
	}
}

func TestWhatIsNoFrame(t *testing.T) {
	for _, bad := range []string{"1,2,3", line("x", "50", 'a'), line("1", "101", 'a'), line("1", "-1", 'a'), line("1", "50", 'g'),
		"1,50," + strings.Repeat("a", 64) + ",NaN", "1,50," + strings.Repeat("a", 63) + ",1"} {
		r, err := NewReader(strings.NewReader(line("0", "100", 'a') + bad))
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Next()
		if place := (*feed.PlaceError)(nil); !errors.As(err, &place) || place.Number != 2 {
			t.Errorf("%q: error %v, want one of line 2", bad, err)
		}
		if IsFrame(strings.TrimSpace(bad)) {
			t.Errorf("%q was taken for a frame", bad)
		}
	}
}

func TestTooManyFrames(t *testing.T) {
	r, err := NewReader(strings.NewReader(strings.Repeat(line("1", "50", 'a'), MaxFrames+1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); !errors.Is(err, ErrTooMany) {
		t.Errorf("error %v, want %v", err, ErrTooMany)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(line("0", "100", 'a') + line("1", "3", 'b')))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewReader(strings.NewReader(string(b)))
		if err != nil {
			return
		}
		for range 3 {
			if a, err := r.Next(); err != nil {
				return
			} else if len(a.Frames)*64 > len(b) {
				t.Fatalf("%d frames in %d bytes", len(a.Frames), len(b))
			}
		}
		t.Fatal("more than one video")
	})
}
