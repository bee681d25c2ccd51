package plist

import (
	"os"
	"testing"
)

func read(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("../testdata/ios/locked.plist")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTop(t *testing.T) {
	l, err := Parse(read(t))
	if err != nil {
		t.Fatal(err)
	}
	if v := l.Top("IsEncrypted"); v.Kind != Bool || v.Integer != 1 {
		t.Errorf("IsEncrypted: %+v", v)
	}
	if v := l.Top("Version"); v.Kind != Text || string(v.Bytes) != "10.0" {
		t.Errorf("Version: %+v", v)
	}
	if v := l.Top("BackupKeyBag"); v.Kind != Data || len(v.Bytes) != 64 {
		t.Errorf("BackupKeyBag: %+v", v)
	}
	if v := l.Top("DeviceName"); v.Kind != None {
		t.Errorf("what lies deeper: %+v", v)
	}
}

// Any bytes give values or none.
func FuzzParse(f *testing.F) {
	good := read(f)
	f.Add(good)
	f.Add([]byte(Magic))
	f.Add(append([]byte("bplist00\xd1\x01\x00\x80\x00"), good[len(good)-trailerBytes:]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Parse(b)
		if err != nil {
			return
		}
		for _, v := range []Value{l.Top("IsEncrypted"), l.Top("$top"), l.Archived("Size"), l.Archived("Target")} {
			if len(v.Bytes) > len(b) {
				t.Errorf("%d bytes of %d", len(v.Bytes), len(b))
			}
		}
	})
}
