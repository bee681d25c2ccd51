package vmdk

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"tutela/internal/evidence"
	"tutela/internal/evidence/image/virtual"
)

// descriptorMagic begins a descriptor (VMDK, "The Descriptor"); VMware reads it
// in any case.
const descriptorMagic = "# Disk DescriptorFile"

func isDescriptor(head []byte) bool { return strings.EqualFold(string(head), descriptorMagic) }

const (
	// maxDescriptor bounds a descriptor: a line for each 2 GB of a disk of 16 TB.
	maxDescriptor = 1 << 20
	maxExtents    = 1 << 13
)

// descriptor is the text that says what a disk consists of.
type descriptor struct {
	values  map[string]string // by key in lower case
	extents []extentLine
}

// extentLine is a line such as `RW 4192256 SPARSE "disk-s001.vmdk"`.
type extentLine struct {
	length int64  // bytes
	kind   string // in upper case
	name   string // "" for zeros
	offset int64  // bytes, of flat extents
}

func (d *descriptor) value(key string) string { return d.values[strings.ToLower(key)] }

// kind is the createType, made fit for a locator.
func (d *descriptor) kind() string {
	kind := d.value("createType")
	if kind == "" || len(kind) > 32 || strings.ContainsFunc(kind, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "custom"
	}
	return kind
}

func (d *descriptor) hasParent() bool {
	id := d.value("parentCID")
	return id != "" && !sameID(id, "ffffffff")
}

func (d *descriptor) identified(id string) bool { return sameID(d.value("CID"), id) }

func sameID(a, b string) bool {
	x, err1 := strconv.ParseUint(a, 16, 32)
	y, err2 := strconv.ParseUint(b, 16, 32)
	return err1 == nil && err2 == nil && x == y
}

// readDescriptor reads the descriptor at a place; zeros fill up what is not used.
func readDescriptor(src evidence.Source, at, length int64) (*descriptor, error) {
	if length > maxDescriptor {
		return nil, fmt.Errorf("vmdk: a descriptor of %d bytes", length)
	}
	b, err := virtual.Read(src, at, int(length))
	if err != nil {
		return nil, fmt.Errorf("vmdk: descriptor: %w", err)
	}
	if len(bytes.Trim(b, "\x00")) == 0 {
		return nil, errEmpty
	}
	if end := bytes.IndexByte(b, 0); end >= 0 {
		b = b[:end]
	}
	return parseDescriptor(string(b))
}

// errEmpty is the error for a descriptor of zeros.
var errEmpty = errors.New("vmdk: the descriptor is empty")

func parseDescriptor(text string) (*descriptor, error) {
	d := &descriptor{values: map[string]string{}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if e, ok, err := parseExtent(line); err != nil {
			return nil, fmt.Errorf("vmdk: descriptor: %q: %w", line, err)
		} else if ok {
			d.extents = append(d.extents, e)
		} else if key, value, ok := strings.Cut(line, "="); ok {
			d.values[strings.ToLower(strings.TrimSpace(key))] = strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	if len(d.extents) > maxExtents {
		return nil, fmt.Errorf("vmdk: %d extents", len(d.extents))
	}
	return d, nil
}

// parseExtent reads a line that begins with an access mode; ok is false for any
// other. NOACCESS is an extent that a guest could not read: so are its zeros.
func parseExtent(line string) (e extentLine, ok bool, err error) {
	access, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(access) {
	case "RW", "RDONLY", "NOACCESS":
	default:
		return e, false, nil
	}
	count, rest, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	kind, rest, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	e.kind = strings.ToUpper(kind)
	if e.length, err = sectors(count); err != nil || e.length == 0 {
		return e, false, errors.Join(errors.New("no length"), err)
	}
	if e.kind == "ZERO" {
		return e, true, nil
	}
	_, rest, quoted := strings.Cut(rest, `"`)
	name, rest, ended := cutLast(rest, `"`)
	if !quoted || !ended || name == "" {
		return e, false, errors.New("no name")
	}
	e.name = name
	if fields := strings.Fields(rest); len(fields) > 0 {
		if e.offset, err = sectors(fields[0]); err != nil {
			return e, false, err
		}
	}
	return e, true, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// sectors is a decimal number of sectors, in bytes.
func sectors(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/4/sector {
		return 0, fmt.Errorf("%q is no number of sectors", s)
	}
	return n * sector, nil
}
