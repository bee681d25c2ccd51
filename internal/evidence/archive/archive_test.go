package archive_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
	"tutela/internal/evidencetest"
)

// memorySpool keeps everything in memory and counts what is not closed.
type memorySpool struct{ put, open int }

type memorySpooled struct {
	*bytes.Reader
	spool *memorySpool
}

func (s *memorySpool) Put(_ context.Context, r io.Reader, limit int64) (archive.Spooled, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, errors.New("more than the limit")
	}
	s.put++
	s.open++
	return memorySpooled{bytes.NewReader(b), s}, nil
}

func (m memorySpooled) Close() error {
	m.spool.open--
	return nil
}

func rootEntry(name string) *evidence.Entry {
	return &evidence.Entry{
		Volume: "2",
		Path:   []byte("/" + name),
		Chain:  append(make([]tutela.Locator, 0, 8), tutela.Locator{Layer: "fs", At: "7"}),
		Kind:   tutela.File,
		State:  tutela.Deleted,
	}
}

// list expands content and writes one line for each entry: path, kind, size,
// SHA-256 of what could be read, modified, locators and findings.
func list(t testing.TB, name string, content []byte, limits evidence.Limits) string {
	t.Helper()
	return listWith(t, name, content, limits, evidence.Keys{})
}

func listWith(t testing.TB, name string, content []byte, limits evidence.Limits, keys evidence.Keys) string {
	t.Helper()
	var b strings.Builder
	spool := &memorySpool{}
	x := archive.New(archive.Options{Limits: limits, Spool: spool, Keys: keys})
	err := x.Expand(context.Background(), rootEntry(name), bytes.NewReader(content), int64(len(content)), func(e *evidence.Entry) error {
		if e.State != tutela.Embedded || e.Volume != "2" || e.Chain[0].Layer != "fs" {
			t.Errorf("%s: state %s, volume %q, chain %v", e.Path, e.State, e.Volume, e.Chain)
		}
		writeLine(&b, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if spool.open != 0 {
		t.Errorf("%d spooled contents were not closed", spool.open)
	}
	return b.String()
}

func writeLine(b *strings.Builder, e *evidence.Entry) {
	modified := "-"
	if !e.Times.Modified.IsZero() {
		modified = e.Times.Modified.Format("2006-01-02T15:04:05.999Z07:00")
	}
	fmt.Fprintf(b, "%s\t%s\t%d\t%s\t%s\t", tutela.DisplayPath(e.Path), e.Kind, e.Size, digest(e), modified)
	for i, step := range e.Chain[1:] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(b, "%s: %s", step.Layer, step.At)
	}
	for _, f := range e.Findings {
		fmt.Fprintf(b, "\t%s", f)
	}
	b.WriteByte('\n')
}

func digest(e *evidence.Entry) string {
	if e.Open == nil {
		return "-"
	}
	c, err := e.Open()
	if err != nil {
		return describe("open", err)
	}
	defer c.Close()
	h := sha256.New()
	n, err := io.Copy(h, c)
	if err != nil {
		return describe(fmt.Sprintf("%d bytes %.4x", n, h.Sum(nil)), err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func describe(what string, err error) string {
	var coded *archive.Error
	if !errors.As(err, &coded) {
		return fmt.Sprintf("%s: error without a code: %v", what, err)
	}
	return fmt.Sprintf("%s: %s: %v", what, coded.Code, err)
}

// The folders of testdata are the formats, and the golden file beside each is
// the listing of all that is in it.
func TestListingsMatchGolden(t *testing.T) {
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	evidencetest.GoldenText(t, "listing", listFolder(t, "testdata", evidence.Keys{}))
	for _, file := range files {
		if name := file.Name(); file.IsDir() && name != "fuzz" {
			evidencetest.GoldenText(t, name, listFolder(t, filepath.Join("testdata", name), evidence.Keys{}))
		}
	}
}

func digestOf(content string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(content))) }

func listFolder(t *testing.T, folder string, keys evidence.Keys) string {
	t.Helper()
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		if name := file.Name(); !file.IsDir() && !strings.HasSuffix(name, ".golden") && name != "README.md" && name != "quine.hex" {
			content, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil {
				t.Fatal(err)
			}
			if plain, packed := strings.CutSuffix(name, ".ppt.xz"); packed {
				name = plain + ".ppt"
				content = evidencetest.Image(t, filepath.Join(folder, name))
			}
			all.WriteString(listWith(t, name, content, evidence.Limits{}, keys))
		}
	}
	return all.String()
}
