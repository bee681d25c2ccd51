package archive

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"tutela"
	"tutela/internal/evidence"
)

// A database inside an archive has its log beside it there. Zip and tar can be
// looked through for logs before their turn comes; that is done when the first
// database is met, and only the logs are remembered.

// siblingEndings are what the names of such files end in.
var siblingEndings = []string{"-wal", "-journal"}

// maxSiblings bounds how many are remembered.
const maxSiblings = 1 << 16

// siblings are members of an archive by name, and how to open them.
type siblings map[string]*member

func (s siblings) add(name []byte, m func() *member) {
	for _, ending := range siblingEndings {
		if bytes.HasSuffix(name, []byte(ending)) && len(s) < maxSiblings && s[string(name)] == nil {
			s[string(name)] = m()
		}
	}
}

// besides finds the logs that lie beside a member; nil for an archive that is not
// looked through.
func (l *listing) besides(m *member) func(name string) *evidence.Entry {
	if l.lookAhead == nil {
		return nil
	}
	folder := string(m.name[:bytes.LastIndexByte(m.name, '/')+1])
	return func(name string) *evidence.Entry {
		if l.siblings == nil {
			l.siblings = siblings{}
			l.lookAhead(l.siblings)
		}
		sibling := l.siblings[folder+name]
		if sibling == nil || sibling.open == nil {
			return nil
		}
		o := &opener{member: sibling, account: &account{root: l.root}}
		return &evidence.Entry{Kind: tutela.File, Size: -1, Open: func() (evidence.Content, error) { return o.start() }}
	}
}

// lookThroughZip goes through the members that the directory lists.
func (l *listing) lookThroughZip(dir zipDirectory) func(siblings) {
	return func(s siblings) {
		r := bufio.NewReaderSize(io.NewSectionReader(l.content, dir.start, max(0, dir.end-dir.start)), 64<<10)
		for l.ctx.Err() == nil {
			z, err := readZipCentral(r)
			if err != nil {
				return
			}
			z.header += dir.base
			s.add(z.name, func() *member {
				m := &member{name: z.name, at: z.header, kind: tutela.File, size: z.size}
				l.zipContent(z, m)
				return m
			})
		}
	}
}

// lookThroughTar goes through the members from the first on, as far as they hang
// together.
func (l *listing) lookThroughTar(s siblings) {
	section := io.NewSectionReader(l.content, 0, l.size)
	for r := tar.NewReader(section); l.ctx.Err() == nil; {
		h, err := r.Next()
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return
		}
		data, _ := section.Seek(0, io.SeekCurrent)
		if kind, _ := tarSpecial(h); kind != tutela.File || isSparse(h) || strings.HasSuffix(h.Name, "/") {
			continue
		}
		s.add([]byte(h.Name), func() *member {
			m := &member{at: data, kind: tutela.File, size: h.Size}
			l.inPlace(m, data)
			return m
		})
	}
}
