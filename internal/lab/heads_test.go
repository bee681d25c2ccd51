package lab

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"tutela/internal/ledger/check"
	"tutela/internal/timestamp"
)

// head is the signed head of the lab's log as it is.
func head(t *testing.T, l *Lab) (uint64, []byte) {
	t.Helper()
	log, err := l.ReadLog()
	if err != nil {
		t.Fatal(err)
	}
	h, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h.Size, h.Signed
}

// cosigned is the head with the signature of a witness below it.
func cosigned(t *testing.T, signed []byte, witness string) []byte {
	t.Helper()
	w, err := check.NewCosigner(witness, bytes.Repeat([]byte(witness[:1]), 32), func() time.Time { return time.Unix(1_800_000_000, 0) })
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(signed), "\n\n")
	line, err := note.Sign(&note.Note{Text: text + "\n"}, w)
	if err != nil {
		t.Fatal(err)
	}
	return append(bytes.Clone(signed), line[len(text)+2:]...)
}

// pending is an OpenTimestamps proof over b that a calendar has promised.
func pending(t *testing.T, b []byte, calendar string) []byte {
	t.Helper()
	p := timestamp.NewProof(b)
	answer := "\x00\x83\xdf\xe3\x0d\x2e\xf9\x0c\x8e" + string([]byte{byte(len(calendar) + 1), byte(len(calendar))}) + calendar
	if err := p.Attach(p.Digest[:], []byte(answer)); err != nil {
		t.Fatal(err)
	}
	return p.Encode()
}

func TestHeadsGrowAtTheirEnd(t *testing.T) {
	t.Parallel()
	l := openLab(t, newLab(t), Write)
	h := l.Heads()
	size, signed := head(t, l)
	if _, err := h.Load(size); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a head that was not kept: %v", err)
	}
	one := cosigned(t, signed, "alpha")
	if err := errors.Join(h.Save(size, one), h.AddAnchor(size, pending(t, one, "cal.example"))); err != nil {
		t.Fatal(err)
	}
	// Another witness comes later, alone below the log's lines; then the first again.
	two := cosigned(t, signed, "beta")
	if err := errors.Join(h.Save(size, two), h.Save(size, one), h.Save(size, signed)); err != nil {
		t.Fatal(err)
	}
	both := cosigned(t, one, "beta")
	if err := h.AddAnchor(size, pending(t, both, "cal.example")); err != nil {
		t.Fatal(err)
	}
	got, err := h.Load(size)
	if err != nil || got.Size != size || !bytes.Equal(got.Signed, both) {
		t.Fatalf("%+v, %v", got, err)
	}
	if len(got.Anchors) != 1 || len(got.Earlier) != 1 || !bytes.Equal(got.Earlier[0].Signed, one) || len(got.Earlier[0].Anchors) != 1 {
		t.Errorf("what was anchored before is not told from what is now: %+v", got)
	}
	keys, err := check.ParseLogKeys(l.keys.VerifierKeys()...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Open(got.Signed); err != nil {
		t.Error(err)
	}
}

// However the lines were mixed, the log's own stand first.
func TestHeadsPutTheLogFirst(t *testing.T) {
	t.Parallel()
	l := openLab(t, newLab(t), Write)
	size, signed := head(t, l)
	text, lines, _ := strings.Cut(string(signed), "\n\n")
	_, witness, _ := strings.Cut(string(cosigned(t, signed, "alpha")), lines)
	if err := l.Heads().Save(size, []byte(text+"\n\n"+witness+lines)); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Heads().Load(size); err != nil || string(got.Signed) != text+"\n\n"+lines+witness {
		t.Errorf("%v\n%s", err, got.Signed)
	}
}

func TestHeadsRefuse(t *testing.T) {
	t.Parallel()
	dir := newLab(t)
	l := openLab(t, dir, Write)
	h := l.Heads()
	size, signed := head(t, l)
	text, lines, _ := strings.Cut(string(signed), "\n\n")
	for what, bad := range map[string]string{
		"no signature":         text + "\n\n",
		"one key's only":       text + "\n\n" + lines[:strings.Index(lines, "\n")+1],
		"a line that is none":  string(signed) + "alpha says so\n",
		"the same key again":   string(signed) + lines,
		"cut short":            string(signed[:len(signed)-1]),
		"a text that was bent": strings.Replace(string(signed), "\n1\n", "\n01\n", 1),
		"a text nobody signed": check.Checkpoint{Origin: l.keys.Origin(), Size: size, Root: check.EmptyRoot()}.Text() + "\n" + lines,
		"nothing":              "",
	} {
		if err := h.Save(size, []byte(bad)); !errors.Is(err, check.ErrCheckpoint) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := h.Save(size+1, signed); err == nil {
		t.Error("a head was kept under another size")
	}
	if err := h.AddAnchor(size, pending(t, signed, "cal.example")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an anchor without its head: %v", err)
	}
	if err := h.Save(size, signed); err != nil {
		t.Fatal(err)
	}
	if err := h.AddAnchor(size, pending(t, []byte("another log"), "cal.example")); err == nil {
		t.Error("an anchor of something else was kept")
	}
	if err := h.AddStamp(size, []byte("garbage")); !errors.Is(err, timestamp.ErrFormat) {
		t.Errorf("a stamp that is none: %v", err)
	}
	if err := openLab(t, dir, Read).Heads().Save(size, signed); err == nil {
		t.Error("a lab that is open for reading was written to")
	}
}

// A second head of one size is what a fork of the log looks like from inside.
func TestHeadsNoticeAFork(t *testing.T) {
	t.Parallel()
	l, other := openLab(t, newLab(t), Write), openLab(t, newLab(t), Write)
	size, signed := head(t, l)
	if err := l.Heads().Save(size, signed); err != nil {
		t.Fatal(err)
	}
	if _, forked := head(t, other); !errors.Is(l.Heads().Save(size, forked), ErrForked) {
		t.Error("another history was taken for the same")
	}
	if got, err := l.Heads().Load(size); err != nil || !bytes.Equal(got.Signed, signed) {
		t.Errorf("what was there is gone: %v", err)
	}
}

// What a crash or a stranger left in the folder is no head, and stops nobody.
func TestHeadsPassOverGarbage(t *testing.T) {
	t.Parallel()
	l := openLab(t, newLab(t), Write)
	h := l.Heads()
	if sizes, err := h.Sizes(); err != nil || len(sizes) != 0 {
		t.Errorf("before the first: %v, %v", sizes, err)
	}
	size, signed := head(t, l)
	if err := h.Save(size, signed); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".tmp-123", "thesis.txt", "01.checkpoint", "-1.checkpoint", "99999999999999999999.checkpoint", "1-0.ots", "1-1.tsr", "7-1.ots"} {
		if err := os.WriteFile(filepath.Join(h.dir, name), []byte("garbage"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"20.checkpoint", "3.checkpoint", "100.checkpoint"} {
		if err := os.WriteFile(filepath.Join(h.dir, name), bytes.Repeat([]byte("x"), maxSignedHead+1), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sizes, err := h.Sizes()
	if err != nil || !slices.Equal(sizes, []uint64{size, 3, 20, 100}) {
		t.Errorf("%v, %v", sizes, err)
	}
	if got, err := h.Load(size); err != nil || len(got.Stamps) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	loaded, failed := 0, 0
	for _, err := range h.All() {
		if err == nil {
			loaded++
		} else {
			failed++
		}
	}
	if loaded != 1 || failed != 3 {
		t.Errorf("%d loaded, %d failed", loaded, failed)
	}
	// The number that garbage occupies is not written over.
	if err := errors.Join(h.AddAnchor(size, pending(t, signed, "a.example")), h.AddAnchor(size, pending(t, signed, "b.example"))); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(h.dir, "1-1.tsr")); err != nil || string(b) != "garbage" {
		t.Errorf("%q, %v", b, err)
	}
	if got, err := h.Load(size); err != nil || len(got.Anchors) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAnchorGrows(t *testing.T) {
	t.Parallel()
	l := openLab(t, newLab(t), Write)
	h := l.Heads()
	size, signed := head(t, l)
	was, grown := pending(t, signed, "a.example"), pending(t, signed, "a.example.b.example")
	if err := errors.Join(h.Save(size, signed), h.AddAnchor(size, was), h.ReplaceAnchor(size, was, grown)); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Load(size); err != nil || len(got.Anchors) != 1 || !bytes.Equal(got.Anchors[0], grown) {
		t.Errorf("%+v, %v", got, err)
	}
	if err := h.ReplaceAnchor(size, was, grown); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an anchor that is not there was replaced: %v", err)
	}
}

func FuzzSignedHead(f *testing.F) {
	f.Add([]byte("tutela/example\n1\nqINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=\n\n— tutela/example AAAAAAA=\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseSignedHead(b)
		if err != nil {
			return
		}
		if !bytes.Equal(s.bytes(), b) {
			t.Errorf("taken apart and put together: %q, %q", b, s.bytes())
		}
	})
}
