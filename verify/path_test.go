package verify_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tutela/internal/timestamp"
	"tutela/internal/timestamp/authority"
	"tutela/verify"
)

// TestPathsThatAreNoBundle: what cannot be read is an error, and what is something
// else is refused.
func TestPathsThatAreNoBundle(t *testing.T) {
	if _, err := verify.Path(filepath.Join(t.TempDir(), "nothing"), verify.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{os.DevNull, empty, t.TempDir(), "verify.py", "testdata"} {
		if v, err := verify.Path(path, verify.Options{}); err != nil || v.OK || len(v.Problems) == 0 {
			t.Errorf("%s: %+v, %v", path, v, err)
		}
	}
	ctx, stop := context.WithCancelCause(t.Context())
	stop(errors.ErrUnsupported)
	if _, err := verify.PathContext(ctx, "testdata/good", verify.Options{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("with a context that ended: %v", err)
	}
}

// TestLargeContentIsStreamed: 32 MiB of content, of which no more than a stretch
// is in memory.
func TestLargeContentIsStreamed(t *testing.T) {
	d := newDrawingOf(bytes.Repeat([]byte("0123456789abcdef"), 2<<20))
	path := filepath.Join(t.TempDir(), "bundle.tar")
	if err := os.WriteFile(path, drawnTar(d.draw()), 0o600); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	v, err := verify.Path(path, verify.Options{})
	runtime.ReadMemStats(&after)
	if err != nil || !v.OK {
		t.Fatalf("%+v, %v", v, err)
	}
	if asked := after.TotalAlloc - before.TotalAlloc; asked > 8<<20 {
		t.Errorf("%d bytes were asked for", asked)
	}
}

// stamped is the drawing with time-stamps of an authority over two heads, one of
// them over other bytes.
func stamped(t *testing.T, a *authority.Authority) map[string][]byte {
	t.Helper()
	d := newDrawing()
	files := d.draw()
	for path, over := range map[string][]byte{"time/14-1.tsr": files["checkpoint"], "time/5-1.tsr": files["prev/5.checkpoint"], "time/12-1.tsr": files["checkpoint"]} {
		question, err := timestamp.NewRequest(over).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if files[path], err = timestamp.Bare(a.Answer(question)); err != nil {
			t.Fatal(err)
		}
	}
	return d.seal(files)
}

// TestTimeStampsNeverDecide: with roots the verdict says what a time-stamp proves;
// without, or with those of somebody else, the bundle holds all the same.
func TestTimeStampsNeverDecide(t *testing.T) {
	at := time.Date(2026, 11, 25, 22, 0, 0, 0, time.UTC)
	a, err := authority.New(func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	other, err := authority.New(func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	dir := writeFolder(t, stamped(t, a))
	for name, c := range map[string]struct {
		roots             []byte
		proven, notProven int // sentences that name a time-stamp's head, or say it was not proven
	}{
		"its roots":     {a.Roots(), 2, 2},
		"others' roots": {other.Roots(), 0, 4},
		"no roots":      {nil, 0, 1},
	} {
		var o verify.Options
		if c.roots != nil {
			if o.TimeRoots, err = timestamp.ParseRoots(c.roots); err != nil {
				t.Fatal(err)
			}
		}
		v, err := verify.Path(dir, o)
		if err != nil || !v.OK {
			t.Fatalf("%s: %+v, %v", name, v, err)
		}
		proven := slices.DeleteFunc(slices.Clone(v.Proven), func(s string) bool { return !strings.Contains(s, "existed on 2026-11-25 22:00:00 UTC") })
		not := slices.DeleteFunc(slices.Clone(v.NotProven), func(s string) bool {
			return !strings.Contains(s, "does not hold:") && !strings.Contains(s, "to check by")
		})
		if len(proven) != c.proven || len(not) != c.notProven {
			t.Errorf("%s: %q, %q", name, proven, not)
		}
	}
}

// TestAnchorsNeverDecide: a header that proves nothing about a head is said to.
func TestAnchorsNeverDecide(t *testing.T) {
	v, err := verify.Path("testdata/good", verify.Options{BlockHeaders: [][]byte{make([]byte, 80)}})
	if err != nil || !v.OK || !strings.Contains(strings.Join(v.NotProven, "\n"), "time/5-2.ots tells: you had it checked, and it does not hold") {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestGivenFiles: what a reader names is read, or said to be wrong.
func TestGivenFiles(t *testing.T) {
	dir := t.TempDir()
	header := bytes.Repeat([]byte{7}, 80)
	for name, data := range map[string][]byte{"raw": header, "hex": []byte(hex.EncodeToString(header) + "\n"), "short": header[1:], "policy": []byte("quorum none\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := verify.Given{Policies: []string{filepath.Join(dir, "policy")}, BlockHeaders: []string{filepath.Join(dir, "raw"), filepath.Join(dir, "hex"), hex.EncodeToString(header)}}
	o, err := g.Read()
	if err != nil || len(o.Policies) != 1 || len(o.BlockHeaders) != 3 {
		t.Fatalf("%+v, %v", o, err)
	}
	for _, h := range o.BlockHeaders {
		if !bytes.Equal(h, header) {
			t.Errorf("header %x", h)
		}
	}
	for _, bad := range []verify.Given{
		{BlockHeaders: []string{filepath.Join(dir, "short")}}, {BlockHeaders: []string{"nowhere"}}, {Policies: []string{"nowhere"}},
		{TimeRoots: filepath.Join(dir, "policy")}, {TimeRoots: "nowhere"},
	} {
		if o, err := bad.Read(); err == nil {
			t.Errorf("%+v: %+v", bad, o)
		}
	}
}

// TestPageMeansWhatItSays: what a bundle's makers wrote cannot move the page, and
// JSON holds the same sentences.
func TestPageMeansWhatItSays(t *testing.T) {
	d := newDrawing()
	d.header[4] = `Erika "E" Muster\mann`
	d.exhibit = "7-B\x1b[2J\u202e"
	v, err := verify.Files(d.draw(), verify.Options{})
	if err != nil || !v.OK {
		t.Fatalf("%+v, %v", v, err)
	}
	var page bytes.Buffer
	if err := verify.WritePage(&page, v); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(page.String(), "\x1b\u202e") || !strings.Contains(page.String(), `"7-B\x1b[2J\u202e"`) {
		t.Errorf("the page:\n%s", page.String())
	}
	var line struct {
		Type   string   `json:"message_type"`
		Proven []string `json:"proven"`
	}
	if err := json.Unmarshal(v.JSON(), &line); err != nil || line.Type != "verdict" || !slices.Equal(line.Proven, v.Proven) {
		t.Errorf("%v: %s", err, v.JSON())
	}
	if out, code := script(t, writeFolder(t, d.draw())); code != 0 || strings.ContainsAny(out, "\x1b\u202e") {
		t.Errorf("verify.py, exit %d:\n%s", code, out)
	}
}

// FuzzTar: no tar makes the verifier loop, panic or take what it must not.
func FuzzTar(f *testing.F) {
	good := drawnTar(newDrawing().draw())
	f.Add(good)
	f.Add(good[:1024])
	f.Add(make([]byte, 1024))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := verify.Tar(b, verify.Options{})
		if err != nil || v.OK != bytes.Equal(b, good) {
			t.Errorf("%+v, %v", v, err)
		}
	})
}

// TestPageTellsThatNobodyWitnessed: a log that nobody outside has seen.
func TestPageTellsThatNobodyWitnessed(t *testing.T) {
	d := newDrawing()
	d.keys.witnesses = nil
	d.policy = d.keys.policy()
	d.policy = d.policy[:strings.Index(d.policy, "group")] + "quorum none\n"
	v, err := verify.Files(d.draw(), verify.Options{})
	if err != nil || !v.OK || !strings.Contains(strings.Join(v.NotProven, "\n"), "demands no witness") {
		t.Errorf("%+v, %v", v, err)
	}
}
