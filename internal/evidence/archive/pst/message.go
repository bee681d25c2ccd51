package pst

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"tutela/internal/evidence"
)

// Types of nodes (2.2.2.1).
const (
	folderNode     = 0x02
	messageNode    = 0x04
	attachmentNode = 0x05
	associatedNode = 0x08 // messages that programs keep for themselves
	rootFolder     = 0x122
)

// Properties ([MS-OXPROPS]).
const (
	subject         = 0x0037
	submitted       = 0x0039
	headers         = 0x007d
	delivered       = 0x0e06
	bodyText        = 0x1000
	bodyRTF         = 0x1009
	bodyHTML        = 0x1013
	displayName     = 0x3001
	created         = 0x3007
	modified        = 0x3008
	attachData      = 0x3701
	attachName      = 0x3704
	attachLongName  = 0x3707
	maxAttachments  = 1 << 16
	maxFolders      = 64 // in one another
	maxKnownFolders = 1 << 16
)

type folder struct {
	name   []byte
	parent uint32
}

// Message is one message.
type Message struct {
	ID              uint32   // of its node
	Folder          [][]byte // names from the root, UTF-8; of messages inside others none
	Lost            bool     // no folder of that number is there
	Subject         []byte   // UTF-8
	Sent, Delivered time.Time
	Parts           []Part
	// Damaged says why parts may be missing, nil if none are.
	Damaged error
}

// Part is a text of a message, or an attachment.
type Part struct {
	Name     []byte // UTF-8: "body.txt", or the name of the attachment, perhaps empty
	Attached bool
	Size     int64 // bytes; -1 where only reading tells
	Modified time.Time
	Created  time.Time
	Err      error // why it cannot be read
	Open     func() (io.ReadCloser, error)
	// Message reads an attachment that is a message itself; nil if it is none.
	Message func() (*Message, error)
}

// Messages visits all messages, in the order of their numbers. It returns the
// first error of visit or of Options.Spend.
func (f *File) Messages(visit func(*Message) error) error {
	left := f.size/pageBytes + 1
	return f.eachNode(f.nodes, &left, func(n node) error {
		if kind := n.id & 31; kind != messageNode && kind != associatedNode {
			return nil
		}
		m, err := f.message(n)
		if err != nil {
			return err
		}
		m.Folder, m.Lost = f.path(n.parent)
		return visit(m)
	})
}

// message reads a message. Damage is in it; an error is of Options.Spend.
func (f *File) message(n node) (*Message, error) {
	m := &Message{ID: n.id}
	h, all, err := f.properties(n)
	if err == nil {
		m.Subject = h.text(all[subject])
		if len(m.Subject) >= 2 && m.Subject[0] == 1 { // how long "Re:" is (2.5.3.1.1.1)
			m.Subject = m.Subject[2:]
		}
		m.Sent, m.Delivered = h.time(all[submitted]), h.time(all[delivered])
		m.texts(h, all)
		err = f.attachments(n, m)
	}
	if over := f.options.Spend(0); over != nil {
		return nil, over
	}
	m.Damaged = err
	return m, nil
}

// texts adds what is written in the message.
func (m *Message) texts(h *heap, all map[uint16]property) {
	for _, t := range []struct {
		id   uint16
		name string
	}{{headers, "headers.txt"}, {bodyText, "body.txt"}, {bodyHTML, "body.html"}, {bodyRTF, "body.rtf.lzfu"}} {
		p, told := all[t.id]
		if !told || p.id == 0 {
			continue
		}
		part := h.part(p)
		part.Name, part.Modified, part.Created = []byte(t.name), m.Delivered, m.Sent
		if part.Size != 0 {
			m.Parts = append(m.Parts, part)
		}
	}
}

// part is a property as a content. Text of 16 bits becomes UTF-8.
func (h *heap) part(p property) Part {
	v, err := h.value(p)
	if err != nil {
		return Part{Size: -1, Err: err}
	}
	part := Part{Size: v.size}
	if part.Size < 0 && len(v.blocks) == 0 {
		part.Size = 0
	}
	part.Open = func() (io.ReadCloser, error) {
		r := v.open()
		if p.kind == typeWide {
			r = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewDecoder().Reader(r)
		} else if v.size >= 0 {
			r = &exactReader{r, v.size}
		}
		return io.NopCloser(r), nil
	}
	if p.kind == typeWide && part.Size > 0 {
		part.Size = -1
	}
	return part
}

// exactReader fails where a content is not as long as it is told to be.
type exactReader struct {
	src  io.Reader
	left int64
}

func (e *exactReader) Read(p []byte) (int, error) {
	n, err := e.src.Read(p)
	if e.left -= int64(n); e.left < 0 {
		return 0, errors.New("the content is longer than it is told to be")
	}
	if err == io.EOF && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// attachments adds what is attached: the nodes of that type below the message.
func (f *File) attachments(n node, m *Message) error {
	return f.below(n.sub, func(a node) error {
		if a.id&31 != attachmentNode {
			return nil
		}
		if len(m.Parts) >= maxAttachments {
			return fmt.Errorf("more than %d attachments", maxAttachments)
		}
		part, err := f.attachment(a)
		if err != nil {
			return err
		}
		m.Parts = append(m.Parts, part)
		return nil
	})
}

func (f *File) attachment(a node) (Part, error) {
	h, all, err := f.properties(a)
	if over := f.options.Spend(0); over != nil {
		return Part{}, over
	}
	if err != nil {
		return Part{Attached: true, Size: -1, Err: err}, nil
	}
	var part Part
	switch data := all[attachData]; data.kind {
	case typeBinary:
		part = h.part(data)
	case typeObject:
		part = h.object(data)
	default:
		part = Part{Err: fmt.Errorf("its content is not in the file (attached as a link): %w", evidence.ErrUnsupported)}
	}
	part.Attached = true
	for _, id := range []uint16{attachLongName, attachName, displayName} {
		if part.Name == nil {
			part.Name = h.text(all[id])
		}
	}
	part.Modified, part.Created = h.time(all[modified]), h.time(all[created])
	return part, nil
}

// object is an attachment that is a message, or an OLE object (2.4.6.2.2).
func (h *heap) object(p property) Part {
	b, err := h.item(p.id)
	if err != nil || len(b) < 4 {
		return Part{Size: -1, Err: errHeap}
	}
	n, err := h.file.belowNamed(h.sub, binary.LittleEndian.Uint32(b))
	if err != nil {
		return Part{Size: -1, Err: err}
	}
	if n.id&31 == messageNode {
		return Part{Size: 0, Message: func() (*Message, error) { return h.file.message(n) }}
	}
	return h.part(property{typeBinary, n.id})
}

// path is the names of the folders from the root.
func (f *File) path(id uint32) (names [][]byte, lost bool) {
	for range maxFolders {
		if id == rootFolder || id == 0 {
			return names, id == 0
		}
		known, ok := f.folder(id)
		if !ok || known.parent == id {
			return names, true
		}
		names = append([][]byte{known.name}, names...)
		id = known.parent
	}
	return names, true
}

func (f *File) folder(id uint32) (folder, bool) {
	if known, ok := f.folders[id]; ok {
		return known, true
	}
	n, ok, err := f.lookUp(id)
	if err != nil || !ok {
		return folder{}, false
	}
	out := folder{fmt.Appendf(nil, "folder-%x", id), n.parent}
	if h, all, err := f.properties(n); err == nil {
		if name := h.text(all[displayName]); len(name) > 0 {
			out.name = name
		}
	}
	if len(f.folders) < maxKnownFolders {
		f.folders[id] = out
	}
	return out, true
}

func fromUTF16(b []byte) []byte {
	out, err := unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewDecoder().Bytes(b[:len(b)&^1])
	if err != nil {
		return b
	}
	return bytes.TrimRight(out, "\x00")
}

func fromWindows(b []byte) []byte {
	b = bytes.TrimRight(b, "\x00")
	if utf8.Valid(b) {
		return b
	}
	out, err := charmap.Windows1252.NewDecoder().Bytes(b)
	if err != nil {
		return b
	}
	return out
}
