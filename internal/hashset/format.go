package hashset

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tutela/internal/hashset/csv"
	"tutela/internal/hashset/hashdeep"
	"tutela/internal/hashset/icse"
	"tutela/internal/hashset/nsrl"
	"tutela/internal/hashset/vics"
	"tutela/internal/hashset/vpdq"
)

// Format names a foreign format.
type Format string

// The formats that are read. Their names are written into compiled sets.
const (
	Hashdeep  Format = "hashdeep"
	Checksums Format = "checksums" // md5deep, md5sum, sha1sum, sha256sum; GNU and BSD
	List      Format = "list"      // one digest a line
	CSV       Format = "csv"
	ICSE      Format = "icse"
	NSRL      Format = "nsrl"
	VICS      Format = "vics"
	NISTCAID  Format = "nist-caid" // VICS 1.2, in which NIST publishes known files
	VPDQ      Format = "vpdq"      // the frames of one video
	Pictures  Format = "pictures"  // pictures themselves, which the caller looks at: see [ImportRequest]
)

// Formats lists every format.
func Formats() []Format {
	return []Format{Hashdeep, Checksums, List, CSV, ICSE, NSRL, VICS, NISTCAID, VPDQ, Pictures}
}

// aliases are names of tools that write a format.
var aliases = map[string]Format{
	"md5deep": Checksums, "md5sum": Checksums, "sha1sum": Checksums, "sha256sum": Checksums, "bsd": Checksums,
	"xways": List, "x-ways": List, "plain": List, "hashkeeper": CSV, "tsv": CSV,
	"rds": NSRL, "rdsv3": NSRL, "projectvic": VICS, "project-vic": VICS, "json": VICS,
}

// ParseFormat reads the name of a format or of a tool that writes it.
func ParseFormat(name string) (Format, error) {
	f := Format(strings.ToLower(name))
	if slices.Contains(Formats(), f) {
		return f, nil
	}
	if f, ok := aliases[string(f)]; ok {
		return f, nil
	}
	return "", fmt.Errorf("unknown format %q: one of %s", name, joinFormats())
}

func joinFormats() string {
	names := make([]string, 0, len(Formats()))
	for _, f := range Formats() {
		names = append(names, string(f))
	}
	return strings.Join(names, ", ")
}

// KnownGood reports whether lists in this format are published as lists of
// known harmless files: importing one with another status deserves a question.
func (f Format) KnownGood() bool { return f == NSRL || f == NISTCAID }

// ErrFormat means that a file is in none of the formats that are read.
var ErrFormat = errors.New("not in a format that is read")

// HeadSize is how much of a file Detect wants to see, in bytes.
const HeadSize = 16 << 10

// Detect tells the format from the first bytes of a file; the name breaks ties
// only. It is "" where nothing fits.
func Detect(head []byte, name string) Format {
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	switch trimmed := bytes.TrimLeft(head, " \t\r\n"); {
	case bytes.HasPrefix(head, []byte(nsrl.Magic)):
		return NSRL
	case bytes.HasPrefix(head, []byte(hashdeep.Magic)):
		return Hashdeep
	case bytes.HasPrefix(trimmed, []byte("{")):
		return detectJSON(trimmed)
	case bytes.IndexByte(head, 0) >= 0:
		return ""
	}
	line := firstLine(head)
	switch {
	case hashdeep.IsSum(line):
		return Checksums
	case hashdeep.IsListed(line):
		return List
	case vpdq.IsFrame(line):
		return VPDQ
	case isICSE(line):
		return ICSE
	case strings.ContainsAny(line, ",;\t"), isTable(name):
		return CSV
	}
	return ""
}

func detectJSON(head []byte) Format {
	switch {
	case bytes.Contains(head, []byte("/DataModels/1.2.xml")):
		return NISTCAID
	case bytes.Contains(head, []byte("odata.")), bytes.Contains(head, []byte(`"MediaID"`)):
		return VICS
	}
	return ""
}

// firstLine is the first line that is neither blank nor a comment.
func firstLine(head []byte) string {
	for line := range strings.Lines(string(head)) {
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) != "" && line[0] != '#' {
			return line
		}
	}
	return ""
}

func isICSE(line string) bool {
	columns := strings.Split(strings.ToLower(strings.ReplaceAll(line, `"`, "")), ";")
	return slices.Contains(columns, "md5") && slices.Contains(columns, "baseline")
}

func isTable(name string) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return ext == ".csv" || ext == ".tsv"
}

// NewReader reads a stream in a format. NSRL is a database and needs
// [OpenFile].
func NewReader(f Format, r io.Reader, o Options) (Reader, error) {
	switch f {
	case Hashdeep:
		return reader(hashdeep.NewReader(r))
	case Checksums:
		return reader(hashdeep.NewSums(r))
	case List:
		return reader(hashdeep.NewList(r))
	case CSV:
		return reader(csv.NewReader(r, csv.Options{Scheme: o.Scheme, Map: o.Map}))
	case ICSE:
		return reader(icse.NewReader(r, o.Scheme))
	case VICS, NISTCAID:
		return reader(vics.NewReader(r, o.Scheme))
	case VPDQ:
		return reader(vpdq.NewReader(r))
	case NSRL:
		return nil, errors.New("an NSRL database is read from a file, not from a stream")
	case Pictures:
		return nil, errors.New("pictures are looked at by who imports them")
	}
	return nil, fmt.Errorf("%w: %q", ErrFormat, f)
}

// reader keeps a nil pointer from becoming a Reader that is not nil.
func reader[R Reader](r R, err error) (Reader, error) {
	if err != nil {
		return nil, err
	}
	return r, nil
}

// OpenFile reads the file at path in a format; "" detects it. The format that
// was read is returned.
func OpenFile(path string, f Format, o Options) (ReadCloser, Format, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	if f == "" {
		f, err = detectFile(file, path)
	}
	if err == nil && len(o.Map) > 0 && f != CSV {
		err = fmt.Errorf("columns are mapped in tables only, this is %s", f)
	}
	if err != nil {
		file.Close()
		return nil, "", err
	}
	if f == NSRL {
		file.Close()
		r, err := nsrl.Open(path)
		if err != nil {
			return nil, "", fmt.Errorf("open %s as %s: %w", path, f, err)
		}
		return r, f, nil
	}
	counted := &countedFile{File: file}
	r, err := NewReader(f, counted, o)
	if err != nil {
		file.Close()
		return nil, "", fmt.Errorf("open %s as %s: %w", path, f, err)
	}
	return &fileReader{r, counted}, f, nil
}

func detectFile(file *os.File, path string) (Format, error) {
	head := make([]byte, HeadSize)
	n, err := io.ReadFull(file, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return "", err
	}
	f := Detect(head[:n], path)
	if f == "" {
		return "", fmt.Errorf("open %s: %w: one of %s", path, ErrFormat, joinFormats())
	}
	_, err = file.Seek(0, io.SeekStart)
	return f, err
}

// countedFile knows how far it was read.
type countedFile struct {
	*os.File
	done int64
}

func (c *countedFile) Read(p []byte) (int, error) {
	n, err := c.File.Read(p)
	c.done += int64(n)
	return n, err
}

type fileReader struct {
	Reader
	file *countedFile
}

var (
	_ Schemer  = (*fileReader)(nil)
	_ measured = (*fileReader)(nil)
	_ sifted   = (*fileReader)(nil)
)

func (f *fileReader) Close() error { return f.file.Close() }

// Scheme is that of the reader inside, if it knows one.
func (f *fileReader) Scheme() string {
	if s, ok := f.Reader.(Schemer); ok {
		return s.Scheme()
	}
	return ""
}

// Progress is how far the file was read; its size is known to who opened it.
func (f *fileReader) Progress() (done, total int64) { return f.file.done, 0 }

// Poor is what the reader inside left out, if it does.
func (f *fileReader) Poor() int64 {
	if s, ok := f.Reader.(sifted); ok {
		return s.Poor()
	}
	return 0
}
