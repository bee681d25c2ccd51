package hashset

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"tutela"
)

// Export is a format that a set can be written in.
type Export string

// The formats that are written. The lists name their digest in the first line.
const (
	ExportHashdeep Export = "hashdeep"
	ExportCSV      Export = "csv"
	ExportMD5      Export = "md5"
	ExportSHA1     Export = "sha1"
	ExportSHA256   Export = "sha256"
	ExportPDQ      Export = "pdq"
)

// Exports lists what [Set.Export] takes.
func Exports() []Export {
	return []Export{ExportHashdeep, ExportCSV, ExportMD5, ExportSHA1, ExportSHA256, ExportPDQ}
}

// Export writes the rows in order and says how many were written and how many
// were left out, because they lack a digest that the format needs. CSV loses
// nothing; hashdeep needs every kind of exact digest that it lists, which are
// those that some row of the set has.
//
// The lists do not repeat a digest that consecutive rows share.
func (s *Set) Export(w io.Writer, format Export) (written, left uint64, err error) {
	b := bufio.NewWriterSize(w, 64<<10)
	var put func(a *tutela.Assertion) (bool, error)
	switch format {
	case ExportCSV:
		put, err = s.exportCSV(b)
	case ExportHashdeep:
		put, err = s.exportHashdeep(b)
	case ExportMD5, ExportSHA1, ExportSHA256, ExportPDQ:
		put, err = exportList(b, format)
	default:
		err = fmt.Errorf("unknown format %q: one of %v", format, Exports())
	}
	if err != nil {
		return 0, 0, fmt.Errorf("export set %q: %w", s.meta.Name, err)
	}
	for _, a := range s.All() {
		ok, err := put(&a)
		if err != nil {
			return written, left, fmt.Errorf("export set %q: %w", s.meta.Name, err)
		}
		if ok {
			written++
		} else {
			left++
		}
	}
	if err := s.Damage(); err != nil {
		return written, left, fmt.Errorf("export set %q: %w", s.meta.Name, err)
	}
	return written, left, b.Flush()
}

// exportCSV writes every column that this package reads back by its usual name.
func (s *Set) exportCSV(w *bufio.Writer) (func(*tutela.Assertion) (bool, error), error) {
	table := csv.NewWriter(w)
	columns := []string{"md5", "sha1", "sha256", "pdq", "size", "scheme", "category", "series"}
	videos := s.Counts().Videos > 0
	if videos {
		columns = append(columns, "frames")
	}
	err := table.Write(columns)
	return func(a *tutela.Assertion) (bool, error) {
		row := []string{text(a.MD5), text(a.SHA1), text(a.SHA256), text(a.PDQ), size(a.Size), a.Category.Scheme, a.Category.Code, a.Series}
		if videos {
			row = append(row, frames(a.Frames))
		}
		err := table.Write(row)
		table.Flush()
		return true, err
	}, err
}

func frames(hashes []tutela.PDQ) string {
	words := make([]string, len(hashes))
	for i, h := range hashes {
		words[i] = h.String()
	}
	return strings.Join(words, " ")
}

// text is a digest in hexadecimal digits, "" if absent.
func text[D fmt.Stringer](d *D) string {
	if d == nil {
		return ""
	}
	return (*d).String()
}

func size(n int64) string {
	if n < 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// exportHashdeep writes the row number where a file name belongs. An untold
// size is 0, for which hashdeep has no other word.
func (s *Set) exportHashdeep(w *bufio.Writer) (func(*tutela.Assertion) (bool, error), error) {
	kinds := s.Counts()
	fmt.Fprint(w, "%%%% HASHDEEP-1.0\n%%%% size")
	for _, k := range []struct {
		rows uint64
		name string
	}{{kinds.MD5, "md5"}, {kinds.SHA1, "sha1"}, {kinds.SHA256, "sha256"}} {
		if k.rows > 0 {
			fmt.Fprintf(w, ",%s", k.name)
		}
	}
	_, err := fmt.Fprintf(w, ",filename\n## %s, version %d\n##\n", s.meta.Name, s.meta.Version)
	row := 0
	return func(a *tutela.Assertion) (bool, error) {
		row++
		if kinds.MD5+kinds.SHA1+kinds.SHA256 == 0 || kinds.MD5 > 0 && a.MD5 == nil || kinds.SHA1 > 0 && a.SHA1 == nil || kinds.SHA256 > 0 && a.SHA256 == nil {
			return false, nil
		}
		fmt.Fprintf(w, "%d", max(a.Size, 0))
		for _, d := range []string{text(a.MD5), text(a.SHA1), text(a.SHA256)} {
			if d != "" {
				fmt.Fprintf(w, ",%s", d)
			}
		}
		_, err := fmt.Fprintf(w, ",row-%d\n", row-1)
		return true, err
	}, err
}

func exportList(w *bufio.Writer, format Export) (func(*tutela.Assertion) (bool, error), error) {
	pick := map[Export]func(*tutela.Assertion) string{
		ExportMD5:    func(a *tutela.Assertion) string { return text(a.MD5) },
		ExportSHA1:   func(a *tutela.Assertion) string { return text(a.SHA1) },
		ExportSHA256: func(a *tutela.Assertion) string { return text(a.SHA256) },
		ExportPDQ:    func(a *tutela.Assertion) string { return text(a.PDQ) },
	}[format]
	header := map[Export]string{ExportMD5: "MD5", ExportSHA1: "SHA-1", ExportSHA256: "SHA-256", ExportPDQ: "PDQ"}[format]
	_, err := fmt.Fprintln(w, header)
	last := ""
	return func(a *tutela.Assertion) (bool, error) {
		d := pick(a)
		if d == "" {
			return false, nil
		}
		if d == last {
			return true, nil
		}
		last = d
		_, err := fmt.Fprintln(w, d)
		return true, err
	}, err
}
