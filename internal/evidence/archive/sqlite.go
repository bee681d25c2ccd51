package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive/sqlite"
)

// minBlob is the size from which a value of a database is a member, in bytes: no
// picture fits in less, and identifiers are as long.
const minBlob = 16

// database lists the values of an SQLite database that are BLOBs, or texts that
// begin like a file, in the order of its tables and rows, and then those of rows
// that are left on free pages. The manifest of an iOS backup lists the files of the
// backup instead.
func (l *listing) database(head []byte) error {
	d := &database{listing: l}
	defer d.close()
	log, err := d.log(sqlite.PageSize(head))
	if err != nil {
		return err
	}
	d.Database, err = sqlite.Open(l.content, l.size, log, func(err error) { l.find(fail(err).Code, "sqlite: %v", err) })
	if err != nil {
		l.find(fail(err).Code, "sqlite: %v", err)
		return nil
	}
	d.tellLog(log)
	d.journal()
	err = d.Tables(l.ctx, func(t *sqlite.Table) error {
		if b := newBackup(d, t); b != nil {
			return d.Rows(l.ctx, t, b.file)
		}
		return d.Rows(l.ctx, t, func(row *sqlite.Row) error { return d.row(t, row) })
	})
	if err != nil {
		return err
	}
	return d.Deleted(l.ctx, d.deleted)
}

// database is a database being listed.
type database struct {
	*sqlite.Database
	*listing
	besides []func() // end the reading of what lies beside it
}

func (d *database) close() {
	for _, done := range d.besides {
		done()
	}
}

func (d *database) row(t *sqlite.Table, row *sqlite.Row) error {
	for i, v := range row.Values {
		if !isFile(v) {
			continue
		}
		name := fmt.Sprintf("%s/%d.%s", t.Name, row.ID, t.Column(i))
		if err := d.value(name, v, nil); err != nil {
			return err
		}
	}
	return nil
}

// deleted visits what is left of a row.
func (d *database) deleted(page uint32, row *sqlite.Row) error {
	doubt := []tutela.Finding{{Code: tutela.FindingAssumed, Detail: fmt.Sprintf("sqlite: page %d is free: the row was deleted, or moved; that its pages are as they were is inferred", page)}}
	for i, v := range row.Values {
		if !isFile(v) {
			continue
		}
		if err := d.value(fmt.Sprintf("$Deleted/page %d/%d.column %d", page, row.ID, i+1), v, doubt); err != nil {
			return err
		}
	}
	return nil
}

// isFile reports whether a value may be one. Some programs write files as texts.
func isFile(v sqlite.Value) bool {
	switch {
	case v.Size < minBlob:
		return false
	case v.Kind == sqlite.Text:
		suffix := contentSuffix(v.Head(minBlob))
		return suffix != "" && suffix != ".bmp" // whose magic is two letters
	}
	return v.Kind == sqlite.Blob
}

func (d *database) value(name string, v sqlite.Value, doubt []tutela.Finding) error {
	if err := d.next(); err != nil {
		return err
	}
	head := make([]byte, minBlob)
	n, _ := io.ReadFull(v.Open(), head) // an error comes again when the member is read
	m := &member{name: []byte(name + contentSuffix(head[:n])), kind: tutela.File, size: v.Size, findings: doubt}
	m.open = func() (io.ReadCloser, error) { return io.NopCloser(v.Open()), nil }
	d.place(m, v)
	return d.member(m)
}

// place says where a value lies.
func (d *database) place(m *member, v sqlite.Value) {
	var inLog bool
	if m.at, inLog, m.random = v.Place(); inLog {
		m.in = " of its -wal"
	}
}

// log reads the write-ahead log that lies beside the database, nil if there is
// none that says anything.
func (d *database) log(page int) (*sqlite.Log, error) {
	content, size, err := d.beside("-wal")
	if err != nil || content == nil || page == 0 {
		return nil, err
	}
	log, err := sqlite.OpenLog(d.ctx, content, size, page)
	switch {
	case d.ctx.Err() != nil:
		return nil, d.ctx.Err()
	case errors.Is(err, sqlite.ErrLogPages):
		d.find(tutela.FindingLimit, "sqlite: the write-ahead log beside it was not applied: %v", err)
	case err != nil:
		d.find(fail(err).Code, "sqlite: the write-ahead log beside it was not applied: %v", err)
	}
	return log, nil
}

// tellLog says what became of the log: a database without its log is an earlier
// state of itself.
func (d *database) tellLog(log *sqlite.Log) {
	switch {
	case log != nil:
		d.find(tutela.FindingSnapshot, "sqlite: %d frames of the write-ahead log beside it were applied; %d older or uncommitted ones were left", log.Frames, log.Left)
	case !d.LogMode || len(d.besides) > 0:
	case d.parent.State == tutela.Embedded && d.parent.Beside == nil:
		d.find(tutela.FindingUnsupported, "sqlite: the write-ahead log of a database in this kind of archive is not looked for")
	case d.looks():
		d.find(tutela.FindingSnapshot, "sqlite: the database has a write-ahead log, and none was found beside it")
	default:
		d.find(tutela.FindingSnapshot, "sqlite: the database has a write-ahead log, which could not be looked for")
	}
}

// journalMagic begins a rollback journal that was not ended (3).
const journalMagic = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"

// journal tells of a transaction that was not ended.
func (d *database) journal() {
	content, size, err := d.beside("-journal")
	if err != nil || content == nil || size < int64(len(journalMagic)) {
		return
	}
	magic := make([]byte, len(journalMagic))
	if n, _ := content.ReadAt(magic, 0); n == len(magic) && string(magic) == journalMagic {
		d.find(tutela.FindingDamaged, "sqlite: a rollback journal lies beside it: it is read as it lies there, perhaps in the middle of a transaction")
	}
}

// looks reports whether what lies beside the database belongs to it: another
// file may have the name of a deleted one.
func (d *database) looks() bool {
	return d.parent.Beside != nil && (d.parent.State == tutela.Allocated || d.parent.State == tutela.Embedded)
}

// beside is the content of the file that is named like the database with an
// ending, nil if there is none. An error is of the spool or of the context.
func (d *database) beside(ending string) (io.ReaderAt, int64, error) {
	if !d.looks() {
		return nil, 0, nil
	}
	path := d.parent.Path
	e := d.parent.Beside(string(path[bytes.LastIndexByte(path, '/')+1:]) + ending)
	if e == nil || e.Open == nil {
		return nil, 0, nil
	}
	content, size, done, err := d.borrow(e)
	var why *Error
	if errors.As(err, &why) {
		d.find(why.Code, "sqlite: the %s file beside it: %v", ending, why)
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	d.besides = append(d.besides, done)
	return content, size, nil
}

// borrow gives random access to an entry. What cannot be read of it is an
// *Error.
func (l *listing) borrow(e *evidence.Entry) (io.ReaderAt, int64, func(), error) {
	content, err := e.Open()
	if err != nil {
		return nil, 0, nil, fail(err)
	}
	if at, ok := content.(io.ReaderAt); ok && e.Size >= 0 {
		return at, e.Size, func() { content.Close() }, nil
	}
	defer content.Close()
	kept := &keepError{r: content}
	spooled, err := l.spool.Put(l.ctx, kept, l.limits.MemberBytes)
	if err != nil {
		return nil, 0, nil, err
	}
	if kept.err != nil {
		spooled.Close()
		return nil, 0, nil, fail(kept.err)
	}
	return spooled, spooled.Size(), func() { spooled.Close() }, nil
}

// contentSuffix is the ending that the first bytes of a content call for, "" if
// they are of no kind that is known here.
func contentSuffix(head []byte) string {
	if suffix := pictureSuffix(head); suffix != "" {
		return suffix
	}
	for _, kind := range []struct {
		at            int
		magic, suffix string
	}{
		{8, "WEBP", ".webp"}, {4, "ftypheic", ".heic"}, {4, "ftypmif1", ".heic"}, {4, "ftypavif", ".avif"}, {4, "ftyp", ".mp4"},
		{0, "bplist00", ".plist"}, {0, "%PDF-", ".pdf"}, {0, "PK\x03\x04", ".zip"}, {0, "\x1f\x8b\x08", ".gz"},
		{0, "II*\x00", ".tif"}, {0, "MM\x00*", ".tif"}, {0, sqlite.Magic, ".db"},
	} {
		if len(head) > kind.at && bytes.HasPrefix(head[kind.at:], []byte(kind.magic)) {
			return kind.suffix
		}
	}
	return ""
}
