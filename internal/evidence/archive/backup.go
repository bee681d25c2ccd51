package archive

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive/plist"
	"tutela/internal/evidence/archive/sqlite"
)

// A backup of an iPhone or iPad is a folder of files that are named for the
// SHA-1 of what they were called on the device, and a manifest that lists their
// names: since iOS 10 a database, Manifest.db, with the files in folders of the
// first two digits; before, Manifest.mbdb, with the files beside it. Nothing of
// this is published; it is described in "The Apple Wiki", iTunes Backup.

// besideMost bounds how many files of a backup are remembered, because a file
// that lies outside the manifest and is listed once costs no budget.
const besideMost = 1 << 21

// backupFile is a file of a backup as the manifest lists it.
type backupFile struct {
	name      []byte
	at        int64
	in        string
	id        []byte // SHA-1
	lies      string // path from the manifest
	size      int64  // -1 if not told
	times     tutela.Times
	encrypted bool
}

// stored visits a file of a backup. Its content is another file of the exhibit;
// where that is not found, the member says where it should be.
func (l *listing) stored(f *backupFile, seen map[[8]byte]bool) error {
	m := &member{name: f.name, at: f.at, in: f.in, kind: tutela.File, size: f.size, times: f.times}
	var e *evidence.Entry
	if l.spent != nil {
		m.refuse(l.spent)
		return l.member(m)
	}
	if l.parent.Beside != nil {
		e = l.parent.Beside(f.lies)
	}
	f.encrypted = f.encrypted && !decrypted(e)
	switch {
	case e == nil || e.Open == nil:
		m.kind = tutela.Symlink
		m.find(tutela.FindingSpecial, "stored as %s, which was not found beside the manifest", f.lies)
	case f.encrypted:
		m.open = func() (io.ReadCloser, error) { return nil, errBackupLocked }
	default:
		m.open = func() (io.ReadCloser, error) { return e.Open() }
		m.outside = l.firstTime(f.id, e.Size, seen)
		if e.Size >= 0 && f.size > e.Size {
			m.find(tutela.FindingTruncated, "stored as %s: %d of %d bytes are there", f.lies, e.Size, f.size)
		}
		m.size = e.Size
	}
	if f.encrypted {
		m.find(tutela.FindingEncrypted, "the backup is encrypted; stored as %s", f.lies)
	}
	return l.member(m)
}

// decrypted reports whether a file that the manifest has a key for is of a known
// kind all the same: programs that decrypt a backup leave its manifest as it is.
func decrypted(e *evidence.Entry) bool {
	if e == nil || e.Open == nil {
		return false
	}
	content, err := e.Open()
	if err != nil {
		return false
	}
	defer content.Close()
	head := make([]byte, minBlob)
	n, _ := io.ReadFull(content, head)
	suffix := contentSuffix(head[:n])
	return suffix != "" && suffix != ".bmp" // whose magic noise may have
}

var errBackupLocked = &Error{tutela.FindingEncrypted, errors.New("the backup is encrypted")}

// firstTime reports whether a file is listed for the first time. Then its bytes
// are bytes of the exhibit and not of the manifest.
func (l *listing) firstTime(id []byte, size int64, seen map[[8]byte]bool) bool {
	key := [8]byte(id)
	if seen[key] || len(seen) >= besideMost {
		return false
	}
	seen[key] = true
	l.root.size += max(0, size)
	return true
}

// backup is the table of files of a Manifest.db.
type backup struct {
	*database
	id, domain, path, flags, facts int // places of the columns
	seen                           map[[8]byte]bool
}

// newBackup is nil if the table is no such table.
func newBackup(d *database, t *sqlite.Table) *backup {
	b := &backup{d, t.Find("fileID"), t.Find("domain"), t.Find("relativePath"), t.Find("flags"), t.Find("file"), map[[8]byte]bool{}}
	if t.Name != "Files" || min(b.id, b.domain, b.path, b.flags, b.facts) < 0 {
		return nil
	}
	return b
}

// What flags say an entry of Manifest.db is.
const (
	flagFolder = 2
	flagLink   = 4
)

// file visits a row of the table.
func (b *backup) file(row *sqlite.Row) error {
	if err := b.next(); err != nil {
		return err
	}
	f, flags, facts, err := b.read(row)
	switch {
	case err != nil:
		b.find(fail(err).Code, "iOS backup: row %d of the manifest: %v", row.ID, err)
		return nil
	case flags == flagFolder:
		return nil
	case flags == flagLink:
		m := &member{name: f.name, at: f.at, in: f.in, kind: tutela.Symlink, times: f.times}
		m.find(tutela.FindingSpecial, "a link to %s", tutela.DisplayPath(facts.text("Target")))
		return b.member(m)
	}
	return b.stored(f, b.seen)
}

var errBackupRow = errors.New("not a file of a backup")

func (b *backup) read(row *sqlite.Row) (f *backupFile, flags int64, facts facts, err error) {
	if len(row.Values) <= max(b.id, b.domain, b.path, b.flags, b.facts) {
		return nil, 0, facts, errBackupRow
	}
	text := func(i int) []byte {
		if row.Values[i].Kind == sqlite.Null {
			return nil
		}
		t, failed := row.Values[i].Text(int64(b.limits.NameBytes) + 1)
		err = errors.Join(err, failed)
		return t
	}
	id, domain, path := text(b.id), text(b.domain), text(b.path)
	flags, failed := row.Values[b.flags].Integer()
	if err = errors.Join(err, failed); err != nil {
		return nil, 0, facts, err
	}
	f = &backupFile{name: slices.Concat(domain, []byte("/"), path), id: make([]byte, sha1.Size)}
	if n, err := hex.Decode(f.id, id[:min(len(id), 2*sha1.Size)]); err != nil || n < sha1.Size || len(id) > 2*sha1.Size {
		return nil, 0, facts, errBackupRow
	}
	f.lies = fmt.Sprintf("%s/%s", id[:2], id)
	m := &member{}
	b.place(m, row.Values[b.id])
	f.at, f.in = m.at, m.in
	facts = b.readFacts(row.Values[b.facts])
	facts.tell(f)
	return f, flags, facts, nil
}

// facts are what the manifest keeps of a file in a property list, an archived
// MBFile; nil if that cannot be read.
type facts struct{ list *plist.List }

const maxFacts = 1 << 20 // bytes

func (b *backup) readFacts(v sqlite.Value) facts {
	if v.Kind == sqlite.Null {
		return facts{}
	}
	raw, err := v.Bytes(maxFacts)
	if err == nil {
		var list *plist.List
		if list, err = plist.Parse(raw); err == nil {
			return facts{list}
		}
	}
	b.find(fail(err).Code, "iOS backup: what the manifest says of a file: %v", err)
	return facts{}
}

func (f facts) get(key string) plist.Value {
	if f.list == nil {
		return plist.Value{}
	}
	return f.list.Archived(key)
}

func (f facts) text(key string) []byte { return f.get(key).Bytes }

func (f facts) tell(file *backupFile) {
	file.size = -1
	if size := f.get("Size"); size.Kind == plist.Integer && size.Integer >= 0 {
		file.size = size.Integer
	}
	file.times = tutela.Times{Modified: f.time("LastModified"), Changed: f.time("LastStatusChange"), Born: f.time("Birth")}
	file.encrypted = f.get("EncryptionKey").Kind != plist.None
}

// time is a time in seconds since 1970.
func (f facts) time(key string) time.Time {
	if v := f.get(key); v.Kind == plist.Integer && v.Integer > 0 && v.Integer < 1<<33 {
		return time.Unix(v.Integer, 0).UTC()
	}
	return time.Time{}
}

const mbdbMagic = "mbdb\x05\x00"

// manifestMBDB lists the files of an older backup.
func (l *listing) manifestMBDB([]byte) error {
	r := &mbdbReader{src: bufio.NewReaderSize(io.NewSectionReader(l.content, 0, l.size), 64<<10)}
	r.take(len(mbdbMagic))
	seen := map[[8]byte]bool{}
	for r.at < l.size {
		f, mode := r.record()
		if r.err != nil {
			l.find(fail(whole(r.err)).Code, "iOS backup: the manifest at byte %d: %v", f.at, whole(r.err))
			return nil
		}
		if err := l.next(); err != nil {
			return err
		}
		if err := l.mbdbEntry(f, mode, seen); err != nil {
			return err
		}
	}
	return nil
}

// Modes of an entry, as Unix has them.
const (
	modeKind   = 0xf000
	modeFolder = 0x4000
	modeLink   = 0xa000
	modeFile   = 0x8000
)

func (l *listing) mbdbEntry(f *mbdbRecord, mode uint16, seen map[[8]byte]bool) error {
	switch mode & modeKind {
	case modeFolder:
		return nil
	case modeLink:
		m := &member{name: f.name, at: f.at, kind: tutela.Symlink, times: f.times}
		m.find(tutela.FindingSpecial, "a link to %s", tutela.DisplayPath(f.target))
		return l.member(m)
	case modeFile:
		return l.stored(&f.backupFile, seen)
	}
	l.find(tutela.FindingDamaged, "iOS backup: the manifest at byte %d: mode %#o", f.at, mode)
	return nil
}

type mbdbRecord struct {
	backupFile
	target []byte
}

// mbdbReader reads a Manifest.mbdb field by field. Its error stays.
type mbdbReader struct {
	src *bufio.Reader
	at  int64
	err error
}

func (r *mbdbReader) record() (*mbdbRecord, uint16) {
	f := &mbdbRecord{backupFile: backupFile{at: r.at}}
	domain, path := r.text(), r.text()
	f.target = r.text()
	r.text() // a digest of the content, seldom there
	f.encrypted = len(r.text()) > 0
	mode := binary.BigEndian.Uint16(r.take(2))
	r.take(8 + 4 + 4) // inode, user, group
	modified, accessed, changed := r.time(), r.time(), r.time()
	f.times = tutela.Times{Modified: modified, Accessed: accessed, Changed: changed}
	f.size = int64(min(binary.BigEndian.Uint64(r.take(8)), 1<<62))
	r.take(1) // class of protection
	for range r.take(1)[0] {
		r.text()
		r.text()
	}
	f.name = slices.Concat(domain, []byte("/"), path)
	sum := sha1.Sum(slices.Concat(domain, []byte("-"), path))
	f.id, f.lies = sum[:], hex.EncodeToString(sum[:])
	return f, mode
}

// take is the next n bytes, zeros if they are not there.
func (r *mbdbReader) take(n int) []byte {
	b := make([]byte, n)
	if r.err == nil {
		_, r.err = io.ReadFull(r.src, b)
		r.at += int64(n)
	}
	return b
}

// text is a text behind its length, nil for none.
func (r *mbdbReader) text() []byte {
	if n := binary.BigEndian.Uint16(r.take(2)); n != 0xffff && r.err == nil {
		return r.take(int(n))
	}
	return nil
}

func (r *mbdbReader) time() time.Time {
	if seconds := binary.BigEndian.Uint32(r.take(4)); seconds != 0 {
		return time.Unix(int64(seconds), 0).UTC()
	}
	return time.Time{}
}

// isBackupPlist reports whether a property list may be the Manifest.plist of a
// backup. It is listed for one thing: that an encrypted backup says so, for all
// else in it, Manifest.db too, looks like noise.
func isBackupPlist(head []byte) bool {
	if bytes.HasPrefix(head, []byte(plist.Magic)) {
		return bytes.Contains(head, []byte("IsEncrypted")) && bytes.Contains(head, []byte("BackupKeyBag"))
	}
	if !bytes.Contains(head, []byte("<plist")) {
		return false
	}
	for _, first := range []string{"BackupKeyBag", "IsEncrypted", "Applications", "AuthSignature", "AuthVersion"} {
		if bytes.Contains(head, []byte("<key>"+first+"</key>")) {
			return true
		}
	}
	return false
}

const maxBackupPlist = 32 << 20 // bytes

func (l *listing) backupPlist(head []byte) error {
	var encrypted bool
	b := make([]byte, min(l.size, maxBackupPlist))
	n, err := l.content.ReadAt(b, 0)
	if n == len(b) {
		err = nil
	}
	switch {
	case err != nil:
	case l.size > maxBackupPlist:
		l.find(tutela.FindingLimit, "iOS backup: the list has more than %d bytes", maxBackupPlist)
		return nil
	case bytes.HasPrefix(head, []byte(plist.Magic)):
		var list *plist.List
		if list, err = plist.Parse(b); err == nil {
			encrypted = list.Top("IsEncrypted").Integer == 1
		}
	default:
		encrypted, err = xmlTrue(b, "IsEncrypted")
	}
	if err != nil {
		l.find(fail(whole(err)).Code, "iOS backup: whether it is encrypted cannot be read: %v", err)
	}
	if encrypted {
		l.find(tutela.FindingEncrypted, "iOS backup: the files of this folder and their list, Manifest.db, are encrypted")
	}
	return nil
}

// xmlTrue reports whether a property list in XML has a key with the value true
// at its top.
func xmlTrue(b []byte, key string) (bool, error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	depth, text, last := 0, []byte(nil), ""
	for {
		t, err := d.Token()
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth++; depth == 3 && last == key { // plist, dict, the value
				return t.Name.Local == "true", nil
			}
			text = nil
		case xml.CharData:
			text = append(text[:0], t...)
		case xml.EndElement:
			if last = ""; depth == 3 && t.Name.Local == "key" {
				last = string(text)
			}
			depth--
		}
	}
}
