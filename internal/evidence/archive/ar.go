package archive

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"tutela"
)

const (
	arMagic  = "!<arch>\n"
	arHeader = 60 // bytes
)

// ar lists a Unix archive (ar(5) of FreeBSD): static libraries, and Debian's
// packages. The names that do not fit a header stand in a member of their own
// (GNU) or before the data (BSD).
func (l *listing) ar([]byte) error {
	var names []byte
	for at := int64(len(arMagic)); at < l.size; {
		h := make([]byte, arHeader)
		if n, err := l.content.ReadAt(h, at); n < len(h) {
			if len(bytes.Trim(h[:n], "\n\x00")) > 0 {
				l.find(fail(whole(err)).Code, "ar: at byte %d: %v", at, whole(err))
			}
			return nil
		}
		size, err := strconv.ParseInt(arField(h[48:58]), 10, 62)
		if err != nil || string(h[58:]) != "`\n" || size < 0 {
			l.find(tutela.FindingDamaged, "ar: at byte %d: %v", at, errArHeader)
			return nil
		}
		data := at + arHeader
		at = data + roundUp(size, 2)
		if arField(h[:16]) == "//" {
			names = make([]byte, min(size, maxArNames, l.size-data))
			n, _ := l.content.ReadAt(names, data)
			names = names[:n]
			continue
		}
		if err := l.arMember(h, data, size, names); err != nil {
			return err
		}
	}
	return nil
}

const maxArNames = 16 << 20 // bytes

var errArHeader = errors.New("no header where one belongs")

func arField(b []byte) string { return strings.TrimRight(string(b), " ") }

func (l *listing) arMember(h []byte, data, size int64, names []byte) error {
	if err := l.next(); err != nil {
		return err
	}
	name := arField(h[:16])
	if name == "/" || name == "/SYM64/" || strings.HasPrefix(name, "__.SYMDEF") {
		return nil // the index of a library
	}
	m := &member{name: []byte(strings.TrimSuffix(name, "/")), kind: tutela.File, size: size}
	if digits, bsd := strings.CutPrefix(name, "#1/"); bsd {
		m.name, data, m.size = l.arBSDName(digits, data, size)
	} else if at, err := strconv.Atoi(strings.TrimPrefix(name, "/")); err == nil && name[0] == '/' && at < len(names) && at >= 0 {
		long, _, _ := bytes.Cut(names[at:], []byte{'\n'})
		m.name = bytes.TrimSuffix(long, []byte{'/'})
	}
	if seconds, err := strconv.ParseInt(arField(h[16:28]), 10, 40); err == nil && seconds > 0 {
		m.times.Modified = time.Unix(seconds, 0).UTC()
	}
	m.at = data
	l.inPlace(m, data)
	return l.member(m)
}

// arBSDName takes the name from the beginning of the data.
func (l *listing) arBSDName(digits string, data, size int64) ([]byte, int64, int64) {
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n < 0 || n > size || n > maxCpioName {
		return []byte("#1/" + digits), data, size
	}
	name := make([]byte, n)
	got, _ := l.content.ReadAt(name, data)
	return bytes.TrimRight(name[:got], "\x00"), data + n, size - n
}

// inPlace is the content of a member that lies in the archive as it is.
func (l *listing) inPlace(m *member, data int64) {
	held := max(0, min(m.size, l.size-data))
	section := io.NewSectionReader(l.content, data, held)
	if held < m.size {
		m.find(tutela.FindingTruncated, "%s: %d of %d bytes are there", l.format.name, held, m.size)
		m.open = func() (io.ReadCloser, error) {
			cut := io.MultiReader(io.NewSectionReader(section, 0, held), brokenReader{io.ErrUnexpectedEOF})
			return io.NopCloser(cut), nil
		}
		return
	}
	m.random = section
	m.open = func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(section, 0, held)), nil }
}
