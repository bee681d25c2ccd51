package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"tutela"
	"tutela/internal/evidence/archive/pst"
)

// outlook lists the messages of a PST or OST file: folders, number and subject
// are the path, and the texts and attachments are the members. A message that
// has none of either is not told.
func (l *listing) outlook([]byte) error {
	damaged := func(err error) { l.find(fail(err).Code, "pst: %v", err) }
	f, err := pst.Open(l.content, l.size, pst.Options{Spend: l.spend}, damaged)
	if err != nil {
		damaged(err)
		return nil
	}
	err = f.Messages(func(m *pst.Message) error {
		path := bytes.Join(append(m.Folder, l.messageName(m)), []byte{'/'})
		if m.Lost {
			path = append([]byte("(no folder)/"), path...)
		}
		return l.outlookMessage(m, path, 0)
	})
	var over *Error
	switch {
	case l.ctx.Err() != nil:
		return l.ctx.Err()
	case errors.As(err, &over) && l.spent != nil:
		return nil // visitArchive tells why
	}
	return err
}

// maxSubject bounds the subject in a path, in bytes.
const maxSubject = 80

func (l *listing) messageName(m *pst.Message) []byte {
	name := fmt.Appendf(nil, "%06x", m.ID)
	subject := bytes.Map(func(r rune) rune {
		if r == '/' || r < ' ' {
			return '_'
		}
		return r
	}, bytes.TrimSpace(m.Subject))
	for len(subject) > maxSubject {
		_, n := utf8.DecodeLastRune(subject)
		subject = subject[:len(subject)-n]
	}
	if len(subject) > 0 {
		name = fmt.Appendf(name, " %s", subject)
	}
	return name
}

// maxMessages bounds messages within messages.
const maxMessages = 8

func (l *listing) outlookMessage(m *pst.Message, path []byte, depth int) error {
	if m.Damaged != nil {
		l.find(fail(m.Damaged).Code, "pst: message %06x: %v", m.ID, m.Damaged)
	}
	attached := 0
	for _, p := range m.Parts {
		name := bytes.Clone(p.Name)
		if p.Attached {
			attached++
			name = fmt.Appendf(nil, "%d", attached)
			if len(p.Name) > 0 {
				name = fmt.Appendf(name, "/%s", p.Name)
			}
		}
		name = bytes.Join([][]byte{path, name}, []byte{'/'})
		if p.Message != nil {
			if err := l.outlookInner(p, m.ID, name, depth); err != nil {
				return err
			}
			continue
		}
		if err := l.next(); err != nil {
			return err
		}
		if err := l.member(l.outlookPart(p, m.ID, name)); err != nil {
			return err
		}
	}
	return nil
}

func (l *listing) outlookInner(p pst.Part, id uint32, path []byte, depth int) error {
	if depth == maxMessages {
		l.find(tutela.FindingLimit, "pst: messages more than %d deep in message %06x", maxMessages, id)
		return nil
	}
	inner, err := p.Message()
	if err != nil {
		return err
	}
	return l.outlookMessage(inner, path, depth+1)
}

// outlookPart is a member whose place is a node, and no byte of the file.
func (l *listing) outlookPart(p pst.Part, id uint32, name []byte) *member {
	out := &member{name: name, at: int64(id), in: " (node)", leaf: !p.Attached, kind: tutela.File, size: p.Size, times: tutela.Times{Modified: p.Modified, Born: p.Created}}
	if p.Err != nil {
		why := fail(p.Err)
		out.find(why.Code, "pst: %v", p.Err)
		out.open = func() (io.ReadCloser, error) { return nil, why }
		return out
	}
	out.open = p.Open
	return out
}
