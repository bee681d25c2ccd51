package archive

import (
	"bytes"
	"encoding/binary"
	"io"
	"regexp"
	"slices"
	"strconv"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive/compound"
)

// ole is a compound file being listed: each stream is a member, and so are the
// pictures and objects inside those streams that are known to hold some.
type ole struct {
	*listing
	file *compound.File
	// catalog names the pictures of a Thumbs.db by the names of their streams.
	catalog map[string]oleName
	// attachments names the attachments of a message by their storages.
	attachments map[int]string
	locked      bool // the document is encrypted: nothing inside is looked for
}

type oleName struct {
	name  []byte
	times tutela.Times
}

// compoundFile lists an OLE compound file.
func (l *listing) compoundFile([]byte) error {
	f, err := compound.Open(l.content, l.size)
	if err != nil {
		l.find(fail(err).Code, "ole: %v", err)
		return nil
	}
	if f.Cut != nil {
		l.find(tutela.FindingDamaged, "ole: the directory: %v", f.Cut)
	}
	o := &ole{listing: l, file: f}
	o.learn()
	for i := range f.Entries {
		if f.Entries[i].Kind != compound.Stream {
			continue
		}
		if err := o.stream(i); err != nil {
			return err
		}
	}
	return nil
}

// learn reads what says of other streams how they are named, and whether the
// document is encrypted.
func (o *ole) learn() {
	o.attachments = map[int]string{}
	for i := range o.file.Entries {
		e := &o.file.Entries[i]
		if e.Kind != compound.Stream || e.Lost {
			continue
		}
		name := string(wtf8(e.Name))
		switch {
		case e.Parent == 0 && name == "Catalog":
			o.catalog = thumbsCatalog(o.head(i, maxCatalog))
		case name == "__substg1.0_3707001F", name == "__substg1.0_3704001F" && o.attachments[e.Parent] == "":
			o.attachments[e.Parent] = string(wtf8(o.head(i, 1<<10)))
		case name == "__substg1.0_3707001E", name == "__substg1.0_3704001E" && o.attachments[e.Parent] == "":
			o.attachments[e.Parent] = string(o.head(i, 1<<10))
		case e.Parent == 0:
			o.learnLock(i, name)
		}
	}
}

// learnLock looks whether a stream of a document says that it is encrypted.
func (o *ole) learnLock(i int, name string) {
	switch name {
	case "EncryptedPackage": // [MS-OFFCRYPTO] 2.3.4.4
		o.lock("the document inside is encrypted")
	case "WordDocument": // [MS-DOC] 2.5.2, FibBase.fEncrypted
		if h := o.head(i, 12); len(h) == 12 && h[11]&1 != 0 {
			o.lock("the Word document is encrypted")
		}
	case "Workbook", "Book": // [MS-XLS] 2.4.117, FilePass
		if hasFilePass(o.head(i, 4<<10)) {
			o.lock("the workbook is encrypted")
		}
	case "Current User": // [MS-PPT] 2.3.2, CurrentUserAtom.headerToken
		if h := o.head(i, 16); len(h) == 16 && binary.LittleEndian.Uint32(h[12:]) == 0xf3d1c4df {
			o.lock("the presentation is encrypted")
		}
	}
}

func (o *ole) lock(what string) {
	o.locked = true
	o.find(tutela.FindingEncrypted, "ole: %s", what)
}

// hasFilePass walks the first records of a workbook.
func hasFilePass(b []byte) bool {
	const filePass = 0x2f
	for len(b) >= 4 {
		if binary.LittleEndian.Uint16(b) == filePass {
			return true
		}
		b = b[min(len(b), 4+int(binary.LittleEndian.Uint16(b[2:]))):]
	}
	return false
}

// head is the first bytes of a stream, as far as they can be read.
func (o *ole) head(index int, most int64) []byte {
	content, _ := o.file.Content(index)
	b := make([]byte, min(most, content.Size(), o.size))
	n, _ := content.ReadAt(b, 0)
	return b[:n]
}

const maxStorages = 64 // names of a path

// path is where a stream is, from the root.
func (o *ole) path(index int) (path []byte, whole bool) {
	var names [][]byte
	for i := index; i > 0; i = o.file.Entries[i].Parent {
		if len(names) == maxStorages {
			return bytes.Join(names, []byte{'/'}), false
		}
		names = slices.Insert(names, 0, wtf8(o.file.Entries[i].Name))
	}
	return bytes.Join(names, []byte{'/'}), true
}

// stream visits a stream, and what is in it.
func (o *ole) stream(index int) error {
	if err := o.next(); err != nil {
		return err
	}
	e := &o.file.Entries[index]
	content, broken := o.file.Content(index)
	path, whole := o.path(index)
	m := o.piece(path, content, 0, e.Size)
	m.times = tutela.Times{Modified: e.Modified, Born: e.Created}
	switch {
	case !whole:
		m.find(tutela.FindingLimit, "ole: more than %d storages deep; the path begins there", maxStorages)
	case e.Lost:
		m.find(tutela.FindingDamaged, "ole: no storage lists this stream")
	}
	if broken != nil {
		m.find(fail(broken).Code, "ole: %v", broken)
	}
	o.rename(m, e, content)
	if err := o.member(m); err != nil {
		return err
	}
	if o.locked {
		return nil
	}
	return o.inside(e, path, content)
}

// piece is a member that is a stretch of a stream.
func (o *ole) piece(name []byte, content *evidence.Extents, offset, size int64) *member {
	section := io.NewSectionReader(content, offset, size)
	return &member{
		name: name, at: max(0, placeOf(content, offset)), kind: tutela.File, size: size, random: section,
		open: func() (io.ReadCloser, error) {
			return io.NopCloser(&wholeSection{io.NewSectionReader(section, 0, size), size}), nil
		},
	}
}

// wholeSection does not take the end of what is there for the end of what should
// be.
type wholeSection struct {
	r    io.Reader
	left int64
}

func (s *wholeSection) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if s.left -= int64(n); err == io.EOF && s.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// placeOf is where in the archive a byte of a content lies; -1 if it does not.
func placeOf(content *evidence.Extents, offset int64) int64 {
	for _, r := range content.Runs() {
		if offset < r.Length {
			return r.Offset + offset
		}
		offset -= r.Length
	}
	return -1
}

// rename gives a stream the name of the file it holds, and takes away what the
// owner of the compound file put before its bytes.
func (o *ole) rename(m *member, e *compound.Entry, content *evidence.Extents) {
	name := string(wtf8(e.Name))
	switch {
	case name == "__substg1.0_37010102" && o.attachments[e.Parent] != "":
		m.name = append(bytes.TrimSuffix(m.name, []byte(name)), o.attachments[e.Parent]...)
	case e.Parent == 0 && (o.catalog != nil || thumbnailName.MatchString(name)):
		o.thumbnail(m, name, content)
	}
}

// thumbnailName is what Windows calls a thumbnail's stream: a number backwards,
// or a size and a hash.
var thumbnailName = regexp.MustCompile(`^([0-9]{1,10}|[0-9]{2,4}_[0-9a-f]{8,16})$`)

// maxCatalog bounds the catalogue of a Thumbs.db, in bytes.
const maxCatalog = 4 << 20

// thumbsCatalog reads the stream that names the thumbnails ("Thumbs.db format"
// of libyal's Windows thumbnail cache documentation): a header of 16 bytes, and
// for each picture its number, time and name.
func thumbsCatalog(b []byte) map[string]oleName {
	names := map[string]oleName{}
	if len(b) < 16 {
		return names
	}
	b = b[min(len(b), int(binary.LittleEndian.Uint16(b))):]
	for len(b) >= 20 {
		size := int(binary.LittleEndian.Uint32(b))
		if size < 20 || size > len(b) {
			break
		}
		name := b[16:size]
		for i := 0; i+1 < len(name); i += 2 {
			if name[i] == 0 && name[i+1] == 0 {
				name = name[:i]
			}
		}
		number := []byte(strconv.FormatUint(uint64(binary.LittleEndian.Uint32(b[4:])), 10))
		slices.Reverse(number)
		names[string(number)] = oleName{wtf8(name), tutela.Times{Modified: fileTime(b[8:])}}
		b = b[size:]
	}
	return names
}

// thumbnail makes a stream of a Thumbs.db the picture in it, named by the
// catalogue. The first number of the stream is how long its own header is.
func (o *ole) thumbnail(m *member, stream string, content *evidence.Extents) {
	var h [128]byte
	n, _ := content.ReadAt(h[:], 0)
	if n < 16 {
		return
	}
	known, named := o.catalog[stream]
	skip := int64(binary.LittleEndian.Uint32(h[:]))
	picture := skip >= 12 && skip <= 64 && int(skip)+8 <= n && pictureSuffix(h[skip:n]) != ""
	if !picture && !named {
		return
	}
	if picture {
		piece := o.piece(m.name, content, skip, content.Size()-skip)
		m.open, m.random, m.size, m.at = piece.open, piece.random, piece.size, piece.at
	}
	if named && len(known.name) > 0 {
		m.name = slices.Concat(m.name, []byte{'/'}, known.name)
		m.times = known.times
	}
}

// inside visits what lies in a stream of a document.
func (o *ole) inside(e *compound.Entry, path []byte, content *evidence.Extents) error {
	switch string(wtf8(e.Name)) {
	case "Pictures", "Data", "WordDocument", "0Table", "1Table":
		return o.blips(path, content)
	case "Workbook":
		return o.blips(path, o.sheetDrawings(content))
	case "PowerPoint Document":
		return o.slideObjects(path, content)
	case "\x01Ole10Native":
		return o.packaged(path, content)
	}
	return nil
}

// packaged visits the file in an embedded "Package" object ([MS-OLEDS] 2.3.6 and
// what Packager writes into it). An object of another kind was visited as a
// stream, and that is all.
func (o *ole) packaged(path []byte, content *evidence.Extents) error {
	b := make([]byte, min(content.Size(), 4<<10))
	n, _ := content.ReadAt(b, 0)
	name, at, size := parsePackage(b[:n])
	if len(name) == 0 || size > content.Size()-at {
		return nil
	}
	if err := o.next(); err != nil {
		return err
	}
	return o.member(o.piece(slices.Concat(path, []byte{'/'}, name), content, at, size))
}

// parsePackage finds the file in a package: behind the size of all, a signature,
// the label, two paths and its length.
func parsePackage(b []byte) (name []byte, at, size int64) {
	f := fields{b: b}
	f.uint32()
	signature := f.uint16()
	name = f.text()
	f.text() // where it was
	f.uint32()
	f.take(uint64(f.uint32())) // where it was put
	size = int64(f.uint32())
	if f.bad || signature != 2 {
		return nil, 0, 0
	}
	return name, int64(len(b) - len(f.b)), size
}
