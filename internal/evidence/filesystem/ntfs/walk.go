package ntfs

import (
	"context"
	"fmt"
	"strings"

	"tutela"
	"tutela/internal/evidence"
)

// walker is one walk: first it reads the MFT to know every directory and which
// records belong together, then once more to give out the files.
type walker struct {
	fs     *FileSystem
	limits evidence.Limits
	visit  func(*evidence.Entry) error

	heads      []head              // by record number
	extensions map[int64]reference // records that hold more of another: its base
	tree       *tree
	bitmap     *bitmap // nil where it cannot be read

	volume  []tutela.Finding // about the volume as a whole
	bad     map[string][]int64
	badSeen map[string]int

	deleted budget // bytes of deleted content
	checked budget // bytes of clusters of deleted files held against the bitmap
	claimed budget // bytes of clusters that files in use have
	lists   budget // bytes of non-resident attribute lists

	scratch []attribute
}

// Walk implements [evidence.FileSystem].
func (fs *FileSystem) Walk(ctx context.Context, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	w := newWalker(fs, limits, visit)
	if err := w.survey(ctx); err != nil {
		return err
	}
	w.openBitmap()
	if err := w.root(); err != nil {
		return err
	}
	return fs.mft.each(ctx, func(r record, err error) error {
		if err != nil {
			return nil // told by survey
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if w.belongsElsewhere(&r) {
			return nil
		}
		return w.file(w.gather(r))
	})
}

func newWalker(fs *FileSystem, limits evidence.Limits, visit func(*evidence.Entry) error) *walker {
	limits = limits.WithDefaults()
	heads := make([]head, fs.mft.records)
	return &walker{
		fs: fs, limits: limits, visit: visit,
		heads:      heads,
		extensions: map[int64]reference{},
		tree:       newTree(heads, limits.NameBytes),
		volume:     append([]tutela.Finding(nil), fs.findings...),
		bad:        map[string][]int64{},
		badSeen:    map[string]int{},
		deleted:    budget{product(fs.held(), limits.DeletedFactor)},
		checked:    budget{product(fs.held(), limits.DeletedFactor+1)},
		claimed:    budget{product(fs.held(), 2)},
		lists:      budget{fs.held()},
	}
}

// survey reads every record once and learns the directories.
func (w *walker) survey(ctx context.Context) error {
	var listed []int64 // directories whose name lies in another record
	err := w.fs.mft.each(ctx, func(r record, err error) error {
		if err != nil {
			w.noteBad(r.number, err)
			return nil
		}
		w.heads[r.number] = r.head
		if r.base != 0 {
			w.extensions[r.number] = r.base
			return nil
		}
		if r.flags&flagDirectory != 0 && !w.learn(&r) {
			listed = append(listed, r.number)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, number := range listed {
		w.learnListed(number)
	}
	w.tellBad()
	return nil
}

// learn takes a directory's name from its own record; it reports false if the
// name must be looked for in the records of its attribute list.
func (w *walker) learn(r *record) bool {
	attributes, _ := r.attributes(w.scratch[:0])
	w.scratch = attributes[:0]
	f := file{record: *r, attributes: attributes}
	if names := f.names(); len(names) > 0 {
		w.tree.add(r.number, names[0])
		return true
	}
	return firstOf(attributes, typeAttributeList) == nil
}

func (w *walker) learnListed(number int64) {
	r, err := w.fs.mft.read(number)
	if err != nil {
		return // told already
	}
	// The list is read again when the file is visited: it is taken from the
	// budget then.
	before := w.lists
	f := w.gather(r)
	w.lists = before
	if names := f.names(); len(names) > 0 {
		w.tree.add(number, names[0])
	}
}

// noteBad counts records that are none, by reason.
func (w *walker) noteBad(number int64, err error) {
	code := tutela.FindingDamaged
	if err != errNoRecord {
		code = tutela.FindingReadError
	}
	w.badSeen[code]++
	if len(w.bad[code]) < maxCountedReason {
		w.bad[code] = append(w.bad[code], number)
	}
}

func (w *walker) tellBad() {
	for _, code := range []string{tutela.FindingDamaged, tutela.FindingReadError} {
		if n := w.badSeen[code]; n > 0 {
			w.find(code, fmt.Sprintf("%d mft records are unreadable, the first of them %s", n,
				strings.Trim(strings.ReplaceAll(fmt.Sprint(w.bad[code]), " ", ", "), "[]")))
		}
	}
}

func (w *walker) find(code, detail string) {
	w.volume = append(w.volume, tutela.Finding{Code: code, Detail: detail})
}

func (w *walker) openBitmap() {
	r, err := w.fs.mft.read(recordBitmap)
	if err != nil || !r.inUse() {
		w.find(tutela.FindingDamaged, "$Bitmap cannot be read: deleted files are not checked for overwriting")
		return
	}
	f := w.gather(r)
	parts := unnamedData(f.attributes)
	if len(parts) == 0 {
		w.find(tutela.FindingDamaged, "$Bitmap has no content: deleted files are not checked for overwriting")
		return
	}
	s, problems := w.fs.assemble(parts)
	for _, p := range problems {
		w.find(tutela.FindingDamaged, "$Bitmap: "+p)
	}
	w.bitmap = &bitmap{stream: &s, buf: make([]byte, 64<<10)}
}

// root is the entry that carries what must be said about the volume.
func (w *walker) root() error {
	if len(w.volume) == 0 {
		return nil
	}
	return w.visit(&evidence.Entry{
		Path:     []byte("/"),
		Chain:    []tutela.Locator{{Layer: layerName, At: "volume"}},
		Kind:     tutela.Directory,
		State:    tutela.Allocated,
		Findings: w.volume,
	})
}

// belongsElsewhere reports whether r holds attributes of another record that is
// still there to list it. One that is not is treated as a nameless file, so that
// its content is not lost.
func (w *walker) belongsElsewhere(r *record) bool {
	if r.base == 0 {
		return false
	}
	base := r.base.number()
	return base < int64(len(w.heads)) && base != r.number && w.heads[base].meets(r.base)
}
