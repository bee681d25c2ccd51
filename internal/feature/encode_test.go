package feature

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

func bytesOf(t testing.TB, s Set) []byte {
	t.Helper()
	b, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestASetSurvivesItsBytes(t *testing.T) {
	for _, s := range []Set{{}, Extract(picture(1, 320, 240))} {
		var got Set
		if err := got.UnmarshalBinary(bytesOf(t, s)); err != nil {
			t.Fatal(err)
		}
		if got.width != s.width || got.height != s.height || !slices.Equal(got.points, s.points) {
			t.Errorf("%d places came back as %d", s.Len(), got.Len())
		}
	}
}

func TestMalformedSets(t *testing.T) {
	good := bytesOf(t, Extract(picture(1, 320, 240)))
	changed := func(at int, v byte) []byte {
		b := bytes.Clone(good)
		b[at] = v
		return b
	}
	for name, data := range map[string][]byte{
		"empty":                  {},
		"cut short":              good[:len(good)-1],
		"too long":               append(bytes.Clone(good), 0),
		"more points than bytes": changed(6, good[6]+1),
		"wider than can be":      changed(1, 0xFF),
		"a point outside":        changed(headLength, 0xFF),
	} {
		var s Set
		if err := s.UnmarshalBinary(data); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var s Set
	if err := s.UnmarshalBinary(changed(0, 9)); !errors.Is(err, ErrVersion) {
		t.Errorf("another version: %v", err)
	}
}

func FuzzUnmarshal(f *testing.F) {
	known := Extract(picture(1, 320, 240))
	good := bytesOf(f, known)
	f.Add(good)
	f.Add(good[:headLength+3*pointBytes])
	f.Add([]byte{version, 0, 0, 0, 0, 0, 0})
	index := NewIndex([]Set{known})
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Set
		if s.UnmarshalBinary(data) != nil {
			return
		}
		if !bytes.Equal(bytesOf(t, s), data) {
			t.Error("it is written in another way than it was read")
		}
		e, _ := Verify(s, known)
		if !(e.Share >= 0 && e.Share <= 1) || e.Inliers > s.Len() {
			t.Errorf("%+v", e)
		}
		index.Search(s)
	})
}
