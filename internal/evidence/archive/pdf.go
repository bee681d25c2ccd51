package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"tutela"
	"tutela/internal/evidence/archive/pdf"
)

// maxBeforePDF is how much may stand before a PDF file, in bytes: a byte order
// mark, what a mail program or MacBinary left.
const maxBeforePDF = 160

func isPDF(head []byte) bool {
	i := bytes.Index(head, []byte(pdf.Magic))
	return i == 0 || i > 0 && i <= maxBeforePDF && len(head) > i+7 && head[i+5] == '1' && head[i+6] == '.'
}

// pdfFile lists the pictures and the embedded files of a PDF file.
func (l *listing) pdfFile([]byte) error {
	f, err := pdf.Open(l.content, l.size, pdf.Options{Spend: l.spend, Passphrases: l.keys.Passphrases})
	switch {
	case l.ctx.Err() != nil:
		return l.ctx.Err()
	case l.spent != nil:
		return nil
	case errors.Is(err, pdf.ErrEncrypted):
		l.find(tutela.FindingEncrypted, "pdf: %v", err)
		return nil
	case err != nil:
		l.find(fail(err).Code, "pdf: %v", err)
		return nil
	}
	l.tellPDF(f)
	for _, s := range f.Streams() {
		if err := l.next(); err != nil {
			return err
		}
		if err := l.member(l.pdfMember(f, &s)); err != nil {
			return err
		}
	}
	return nil
}

func (l *listing) tellPDF(f *pdf.File) {
	switch {
	case f.Cut != nil:
		l.find(tutela.FindingDamaged, "pdf: %v", f.Cut)
	case f.Objects() == 0:
		l.find(tutela.FindingDamaged, "pdf: there is no object in it")
	}
	switch {
	case f.Encrypted && f.Unlocked < 0:
		l.find(tutela.FindingUnlocked, "pdf: only the owner's rights are protected; opened with the empty passphrase")
	case f.Encrypted:
		l.find(tutela.FindingUnlocked, "pdf: opened with the examiner's passphrase number %d", f.Unlocked+1)
	}
}

// spend counts what is decoded or looked through on the way to a member.
func (r *root) spend(n int64) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	r.expanded += n
	return r.checkExpanded()
}

func (l *listing) pdfMember(f *pdf.File, s *pdf.Stream) *member {
	m := &member{at: s.At, kind: tutela.File, size: -1}
	older := ""
	if s.Older {
		older = fmt.Sprintf("@%d", s.At)
	}
	if s.Kind == pdf.Embedded {
		l.pdfAttachment(m, f, s, older)
		return m
	}
	picture, err := f.Picture(s)
	if err != nil {
		m.name = fmt.Appendf(nil, "picture-%d%s", s.Number, older)
		m.refuse(fail(err))
		return m
	}
	kind := "picture"
	if picture.Made {
		kind = "samples" // the PNG around them is not the file's
	}
	m.name = fmt.Appendf(nil, "%s-%d%s%s", kind, s.Number, older, picture.Suffix)
	m.size, m.open = picture.Size, picture.Open
	if picture.Plain {
		m.random = io.NewSectionReader(l.content, s.Data, s.Length)
	}
	if picture.Raw != "" {
		m.find(tutela.FindingNotDecoded, "pdf: bare samples, given as they are: %s", picture.Raw)
	}
	return m
}

func (l *listing) pdfAttachment(m *member, f *pdf.File, s *pdf.Stream, older string) {
	m.open = func() (io.ReadCloser, error) { return f.Content(s) }
	info, err := f.Info(s)
	if err != nil {
		m.refuse(fail(err))
	}
	m.times = tutela.Times{Modified: info.Modified, Born: info.Created}
	m.name = fmt.Appendf(nil, "file-%d%s", s.Number, older)
	if len(info.Name) > 0 {
		m.name = fmt.Appendf(m.name, "/%s", info.Name)
	}
}
