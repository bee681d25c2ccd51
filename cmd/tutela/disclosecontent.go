package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"tutela"
	"tutela/internal/authority"
	"tutela/internal/catalog"
	"tutela/internal/disclosure"
	"tutela/internal/evidence"
	"tutela/internal/lab"
	"tutela/internal/scan"
)

// A lab keeps digests. Who is to hand over the files themselves has the evidence
// read again, and what is read must be what was recorded.

// contents are files with the contents of records, in a folder of their own beside
// the bundle.
type contents struct {
	dir   string
	files []disclosure.Content
}

// Close removes the files: seized content stays nowhere but in the bundle.
func (c *contents) Close() error {
	if c.dir == "" {
		return nil
	}
	return os.RemoveAll(c.dir)
}

// evidenceOf is where the evidence of each exhibit is, by label.
func (c *discloseCommand) evidenceOf() (map[string]string, error) {
	paths := map[string]string{}
	for _, word := range c.Content {
		i := strings.LastIndexByte(word, '=')
		if i <= 0 || i == len(word)-1 || paths[word[:i]] != "" {
			return nil, misuse("--content %q: EXHIBIT=PATH, once for each exhibit", word)
		}
		paths[word[:i]] = word[i+1:]
	}
	return paths, nil
}

// fetch has the evidence of an exhibit read again, and keeps the contents of the
// records that were opened.
func (c *discloseCommand) fetch(a *app, l *lab.Lab, grant authority.Grant, o *disclosure.Opened, path string, into *contents) (err error) {
	s, err := l.Catalog.Scan(a.ctx, o.Items[0].ScanID)
	if err != nil {
		return err
	}
	seized, err := openEvidence(a.ctx, []string{path}, scan.Profile(s.Start.Profile), c.Keys)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, seized.Close()) }()
	if into.dir == "" {
		if into.dir, err = os.MkdirTemp(filepath.Dir(filepath.Clean(c.Output)), ".contents-*"); err != nil {
			return err
		}
	}
	var records []*tutela.Record
	first := len(into.files)
	for _, item := range o.Items {
		if why := withoutContent(item.Record); why != "" {
			a.say("Its record alone is disclosed, %s: %s", why, item.Record.DisplayPath())
			continue
		}
		records = append(records, item.Record)
		into.files = append(into.files, disclosure.Content{Item: item.Item, File: filepath.Join(into.dir, strconv.Itoa(len(into.files)))})
	}
	if len(records) == 0 {
		return nil
	}
	stop := waiting(a, "reading the evidence")
	defer stop()
	return scan.Contents(a.ctx, grant, seized, evidence.Limits{}, records, func(i int, content io.Reader) error {
		return keepContent(into.files[first+i].File, content)
	})
}

// withoutContent says why a record has no content that could be read again; empty
// if it has.
func withoutContent(r *tutela.Record) string {
	switch {
	case r.State == tutela.Embedded:
		return "since it lies inside another file"
	case !r.Hashed:
		return "since it was not read"
	}
	return ""
}

func keepContent(name string, content io.Reader) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

// checkContent refuses evidence of exhibits of which nothing is opened.
func checkContent(paths map[string]string, items []disclosure.Item) error {
	for label := range paths {
		found := false
		for _, item := range items {
			found = found || item.Exhibit == label
		}
		if !found {
			return misuse("--content %s=…: nothing of that exhibit is opened", label)
		}
	}
	return nil
}

// explainContent says what now where evidence is not what it was.
func explainContent(err error, id catalog.ScanID) error {
	if errors.Is(err, scan.ErrNoContent) {
		return hint(fmt.Errorf("content of %s: %w", id.Exhibit, err), "name the evidence that was scanned, or leave the item out; what differs: tutela ledger rescan %s PATH", tutela.ShellWord(id.Exhibit))
	}
	return err
}
