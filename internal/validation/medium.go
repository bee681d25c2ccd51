package validation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/image"
	"tutela/internal/evidence/survey"
)

// medium is one file of the corpus where evidence lies: in memory, so that nothing
// is written to ask about it.
type medium struct {
	name string
	data []byte
}

var _ evidence.Storage = medium{}

func (m medium) Open(name string) (evidence.File, error) {
	if name != m.name {
		return nil, fmt.Errorf("open %s: %w", name, fs.ErrNotExist)
	}
	return opened{bytes.NewReader(m.data)}, nil
}

func (m medium) Names() ([]string, error) { return []string{m.name}, nil }

// place is where every path lies, for package survey.
func (m medium) place(string) (evidence.Storage, string, bool, error) { return m, m.name, true, nil }

type opened struct{ *bytes.Reader }

func (opened) Close() error { return nil }

// containers asks for the SHA-256 of the medium in each kind of image.
func containers() (all []question, err error) {
	rows, err := table("containers.tsv", 3)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		all = append(all, question{
			area: "image", name: "medium in " + strings.TrimSuffix(row[0], packed), source: row[1], expected: row[2],
			ask: of(row[0], func(_ context.Context, _ *sitting, m medium) (string, error) { return m.sum() }),
		})
	}
	return all, nil
}

// of asks about a file of the corpus. It is unpacked when the question is put: all
// together are some hundred megabytes.
func of(name string, ask func(context.Context, *sitting, medium) (string, error)) func(context.Context, *sitting) (string, error) {
	return func(ctx context.Context, s *sitting) (string, error) {
		data, err := file(name)
		if err != nil {
			return "", err
		}
		return ask(ctx, s, medium{strings.TrimSuffix(name, packed), data})
	}
}

func (m medium) sum() (string, error) {
	img, err := image.OpenIn(m, m.name)
	if err != nil {
		return "", err
	}
	defer img.Close()
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(img, 0, img.Size())); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// filesystems asks what lies on an image of each kind.
func filesystems() (all []question, err error) {
	rows, err := table("filesystems.tsv", 4)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		answer, err := sortedTable(row[2])
		if err != nil {
			return nil, err
		}
		all = append(all, question{
			area: "file system", name: row[1], source: row[3], expected: answer,
			ask: of(row[0], func(ctx context.Context, s *sitting, m medium) (string, error) { return m.listing(ctx, s, answer) }),
		})
	}
	return all, nil
}

// sortedTable is a file of rows, sorted by their bytes.
func sortedTable(name string) (string, error) {
	text, err := file(name)
	return joined(slices.Collect(strings.Lines(string(text)))), err
}

func joined(rows []string) string {
	slices.Sort(rows)
	return strings.Join(rows, "")
}

// listing is what lies on the medium, a row for each file: A if it is in use, D if
// it was deleted; path, size, SHA-256. Left out are the file system's own ($MFT …) and
// what was deleted that nobody asks for: what is left of that is luck. Streams count
// only where somebody asks for one.
func (m medium) listing(ctx context.Context, s *sitting, answer string) (string, error) {
	seized, err := survey.Open([]string{m.name}, survey.Options{Host: s.host, Storage: m.place})
	if err != nil {
		return "", err
	}
	defer seized.Close()
	var rows []string
	err = seized.Walk(ctx, evidence.DefaultLimits(), func(e *evidence.Entry) error {
		if row := rowOf(e); row != "" && asksFor(answer, row) {
			rows = append(rows, row)
		}
		return ctx.Err()
	})
	return joined(rows), err
}

func asksFor(answer, row string) bool {
	switch {
	case strings.Contains(answer, row):
		return true
	case strings.HasPrefix(row, "D"), strings.HasPrefix(row, "A\t/$"):
		return false
	}
	stream := func(s string) bool { return strings.Contains(s, ":") }
	return !stream(row) || stream(answer)
}

// rowOf is an entry as tables write it; empty if it is no file.
func rowOf(e *evidence.Entry) string {
	letter, told := letters[e.State]
	if !told || e.Kind != tutela.File {
		return ""
	}
	sum, err := sumOf(e)
	if err != nil {
		return fmt.Sprintf("%s\t%s\t%d\tunreadable\n", letter, tutela.DisplayPath(e.Path), e.Size)
	}
	return fmt.Sprintf("%s\t%s\t%d\t%s\n", letter, tutela.DisplayPath(e.Path), e.Size, sum)
}

var letters = map[tutela.State]string{tutela.Allocated: "A", tutela.Deleted: "D", tutela.Embedded: "E"}

func sumOf(e *evidence.Entry) (string, error) {
	if e.Open == nil {
		return "", errors.New("nothing to read")
	}
	content, err := e.Open()
	if err != nil {
		return "", err
	}
	defer content.Close()
	h := sha256.New()
	if _, err := io.Copy(h, content); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}
