package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"tutela"
	"tutela/internal/confine"
	"tutela/internal/digest"
	"tutela/internal/picture"
)

type hashCommand struct {
	Path []string `arg:"" help:"Files and folders; a file may lie in an object store: s3://bucket/disk.E01."`
}

// AfterApply is called by kong once the arguments are known.
func (c *hashCommand) AfterApply() error { return absolute(c.Path) }

// hashLine is one line of `tutela hash --json`. Other programs read it: the
// names must never change.
type hashLine struct {
	Type    string  `json:"message_type"`
	Path    string  `json:"path"`
	Size    int64   `json:"size"`
	MD5     string  `json:"md5"`
	SHA1    string  `json:"sha1"`
	SHA256  string  `json:"sha256"`
	MIME    string  `json:"mime"`
	PDQ     *string `json:"pdq,omitempty"`
	Quality *int    `json:"pdq_quality,omitempty"`
}

func (c *hashCommand) Run(a *app) error {
	host, err := confine.New(confine.Options{})
	if err != nil {
		return err
	}
	defer host.Close()
	h := hashing{a, host}
	unreadable := 0
	elsewhere := newPlaces(a.ctx)
	defer elsewhere.Close()
	for _, path := range c.Path {
		if isElsewhere(path) {
			if err := h.stored(elsewhere, path); err != nil {
				fmt.Fprintln(a.errs, "tutela: cannot hash:", err)
				unreadable++
			}
			continue
		}
		err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
			if a.ctx.Err() != nil {
				return a.ctx.Err()
			}
			if err == nil && (d.IsDir() || name != path && !d.Type().IsRegular()) {
				return nil
			}
			if err == nil {
				err = h.file(name)
			}
			if err != nil {
				fmt.Fprintln(a.errs, "tutela: cannot hash:", err)
				unreadable++
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if unreadable > 0 {
		return errUnreadable
	}
	return nil
}

// hashing prints digests. Pictures are decoded in a process of their own.
type hashing struct {
	app  *app
	host *confine.Host
}

func (h hashing) file(name string) error {
	f, _, err := openRegular(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return h.content(name, f, func() ([]byte, error) { return os.ReadFile(name) })
}

// openRegular opens a file and says how long it is. It asks before it opens:
// opening a pipe waits for a writer.
func openRegular(name string) (f *os.File, size int64, err error) {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil, 0, cmp.Or(err, fmt.Errorf("%s: not a regular file", name))
	}
	f, err = os.Open(name)
	return f, info.Size(), err
}

// stored hashes a file that lies elsewhere, as it is there.
func (h hashing) stored(elsewhere *places, path string) error {
	st, name, _, err := elsewhere.storage(path)
	if err != nil {
		return err
	}
	f, err := st.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	content := func() io.Reader { return io.NewSectionReader(f, 0, f.Size()) }
	return h.content(path, content(), func() ([]byte, error) { return io.ReadAll(content()) })
}

// content prints what it is and its digests; again reads it once more, whole.
func (h hashing) content(name string, f io.Reader, again func() ([]byte, error)) error {
	head := make([]byte, digest.TypeBytes)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	sum, size, err := digest.Sum(io.MultiReader(bytes.NewReader(head[:n]), f))
	if err != nil {
		return err
	}
	line := hashLine{
		Type: "item", Path: tutela.DisplayPath([]byte(name)), Size: size,
		MD5: sum.MD5.String(), SHA1: sum.SHA1.String(), SHA256: sum.SHA256.String(), MIME: digest.Type(head[:n]),
	}
	if picture.IsPicture(line.MIME) {
		h.picture(again, &line)
	}
	return h.app.print(line, func(w io.Writer) {
		fmt.Fprintln(w, line.Path)
		facts(w, "  type", line.MIME, "  size", fmt.Sprintf("%d bytes", line.Size), "  md5", line.MD5, "  sha1", line.SHA1, "  sha256", line.SHA256)
		if line.PDQ != nil {
			facts(w, "  pdq", fmt.Sprintf("%s (quality %d)", *line.PDQ, *line.Quality))
		}
	})
}

// picture adds the perceptual hash; that a picture cannot be decoded is
// said, and the digests stand all the same.
func (h hashing) picture(read func() ([]byte, error), line *hashLine) {
	if line.Size > picture.MaxFile {
		fmt.Fprintf(h.app.errs, "tutela: %s: picture not decoded: %d bytes\n", line.Path, line.Size)
		return
	}
	data, err := read()
	if err == nil {
		var p tutela.Perceptual
		if p, err = h.host.Perceptual(h.app.ctx, data); err == nil {
			hash := p.PDQ.String()
			line.PDQ, line.Quality = &hash, &p.Quality
			return
		}
	}
	fmt.Fprintf(h.app.errs, "tutela: %s: %v\n", line.Path, err)
}
