package oracle

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"tutela"
)

// partition is a row of mmls: a stretch of the image, in bytes.
type partition struct {
	offset, length int64
	description    string
}

var (
	unitLine      = regexp.MustCompile(`^Units are in (\d{1,6})-byte sectors$`)
	partitionLine = regexp.MustCompile(`^\d+:  \S+ +(\d{1,15})   \d{1,15}   (\d{1,15})   (.*)$`)
)

// parsePartitions reads what mmls prints of the allocated partitions:
//
//	Units are in 512-byte sectors
//
//	      Slot      Start        End          Length       Description
//	002:  000:000   0000000128   0000034943   0000034816   Win95 FAT16 (0x0e)
func parsePartitions(r io.Reader) (found []partition, err error) {
	unit := int64(sector)
	err = lines(r, func(line string) error {
		if m := unitLine.FindStringSubmatch(line); m != nil {
			unit, err = strconv.ParseInt(m[1], 10, 64)
			return err
		}
		m := partitionLine.FindStringSubmatch(line)
		if m == nil {
			return nil
		}
		start, length := number(m[1]), number(m[2])
		if start > maxSectors || length > maxSectors || len(found) == maxPartitions {
			return fmt.Errorf("mmls tells of what no disk has: %q", line)
		}
		found = append(found, partition{start * unit, length * unit, tutela.DisplayPath([]byte(strings.TrimSpace(m[3])))})
		return nil
	})
	return found, err
}

const (
	maxSectors    = 1 << 42 // times a unit of six digits: no overflow
	maxPartitions = 10_000
)

// number is the value of digits that a pattern has let through.
func number(digits string) int64 {
	n, _ := strconv.ParseInt(digits, 10, 64)
	return n
}

// row is a name that fls found.
type row struct {
	nameType, metaType byte   // as fls writes them: 'r' a file, 'd' a folder, 'l' a link, '-' not known
	deleted            bool   // the name is not allocated
	realloc            bool   // the name is deleted and its inode belongs to something else now
	address            string // what icat takes: an inode, on NTFS with the attribute
	path               string // without the slash at its beginning
	size               int64  // bytes
}

var rowLine = regexp.MustCompile(`^(.)/(.) (\* )?([0-9]+(?:-[0-9]+)*)(\(realloc\))?:\t(.*)$`)

// parseRows reads what `fls -r -p -l` prints. After the name stand seven columns:
// four times, size, user and group. A tab in a name is printed as '^', so they are
// counted from the end.
func parseRows(r io.Reader, visit func(row) error) error {
	return lines(r, func(line string) error {
		found, err := parseRow(line)
		if err != nil {
			return err
		}
		return visit(found)
	})
}

const columns = 7

func parseRow(line string) (found row, err error) {
	m := rowLine.FindStringSubmatch(line)
	if m == nil {
		return found, fmt.Errorf("fls wrote what is not a row: %q", line)
	}
	cells := strings.Split(m[6], "\t")
	if len(cells) != columns+1 {
		return found, fmt.Errorf("fls wrote a row of %d cells: %q", len(cells), line)
	}
	size, err := strconv.ParseInt(cells[5], 10, 64)
	if err != nil || size < 0 {
		return found, fmt.Errorf("fls wrote a size that is none: %q", line)
	}
	return row{m[1][0], m[2][0], m[3] != "", m[5] != "", m[4], cells[0], size}, nil
}

// content reports whether the row has bytes of its own to compare.
func (r *row) content() bool {
	return r.metaType == 'r' && !r.realloc || r.metaType == '-' && r.nameType == 'r' && !r.realloc && r.size > 0
}

// aside says why a row is none that we would record; empty if it is one.
func (r *row) aside() string {
	switch {
	case r.nameType == 'v' || r.nameType == 'V' || r.metaType == 'v' || r.metaType == 'V':
		return "made up by tsk"
	case r.nameType == 'd' || r.nameType == '-' && r.metaType == 'd':
		return "folder"
	case strings.HasSuffix(r.path, " (Volume Label Entry)"):
		return "volume label"
	}
	return ""
}

// key is a path as both sides write it alike. Control characters and bytes that
// are no UTF-8 are printed as '^' by fls, one or more for each.
func key(path string) string {
	path = strings.TrimPrefix(path, "/")
	if plain(path) {
		return path
	}
	var b strings.Builder
	before := false
	for len(path) > 0 {
		c, n := utf8.DecodeRuneInString(path)
		odd := c < 0x20 || c == 0x7f || c == '^' || c == utf8.RuneError && n == 1
		if !odd {
			b.WriteString(path[:n])
		} else if !before {
			b.WriteByte('^')
		}
		before, path = odd, path[n:]
	}
	return b.String()
}

func plain(path string) bool {
	for i := range len(path) {
		if path[i] < 0x20 || path[i] == '^' || path[i] >= 0x7f {
			return false
		}
	}
	return true
}
