package ext

import (
	"fmt"
	"io"

	"tutela"
	"tutela/internal/evidence"
)

// item is what an inode becomes under each of its names.
type item struct {
	kind     tutela.EntryKind
	size     int64
	at       string
	times    tutela.Times
	runs     []tutela.Run
	slack    []tutela.Run
	findings []tutela.Finding
	open     func() (evidence.Content, error)
}

func (it *item) find(code, detail string) {
	it.findings = append(it.findings, tutela.Finding{Code: code, Detail: detail})
}

// refuse makes the content unreadable.
func (it *item) refuse(err error) {
	it.runs = nil
	it.open = func() (evidence.Content, error) { return nil, fmt.Errorf("ext: %w", err) }
}

// maxContent is the largest size that a file can have: 2^32 blocks of 64 KiB.
const maxContent = int64(1) << 48

// content is the item of an inode. deleted: it is no longer in use, and its
// blocks may belong to others.
func (w *walker) content(in *inode, r mapper, deleted bool) item {
	it := item{kind: kinds[in.kind()], size: in.size, at: fmt.Sprintf("inode %d", in.number), times: in.times()}
	if !w.fs.inodeRight(in) {
		it.find(tutela.FindingDamaged, "the inode has a wrong checksum")
	}
	if in.is(flagEncrypt) {
		it.find(tutela.FindingEncrypted, "fscrypt")
	}
	switch in.kind() {
	case modeFile:
		w.fileContent(&it, in, r, deleted)
	case modeSymlink:
		it.find(tutela.FindingSpecial, "a link to "+w.target(in, r))
	case modeChar, modeBlock:
		major, minor := in.device()
		it.find(tutela.FindingSpecial, fmt.Sprintf("device %d, %d", major, minor))
	default:
		it.find(tutela.FindingSpecial, "a "+it.kind.String())
	}
	if it.size < 0 {
		it.size = -1
	}
	return it
}

func (w *walker) fileContent(it *item, in *inode, r mapper, deleted bool) {
	switch {
	case in.size < 0 || in.size > maxContent:
		it.size = -1
		it.find(tutela.FindingDamaged, fmt.Sprintf("a size of %d bytes", uint64(in.size)))
		it.refuse(fmt.Errorf("no file has %d bytes", uint64(in.size)))
	case in.is(flagInline):
		w.inlineContent(it, in)
	default:
		w.mapped(it, in, r, deleted)
	}
	if in.is(flagEncrypt) {
		it.refuse(errEncrypted)
		it.slack = nil
	}
}

func (w *walker) inlineContent(it *item, in *inode) {
	b, err := in.inline()
	if err != nil {
		it.find(tutela.FindingDamaged, err.Error())
		it.refuse(err)
		return
	}
	it.open = func() (evidence.Content, error) { return evidence.Bytes(b), nil }
}

// mapped makes a content readable that lies in blocks.
func (w *walker) mapped(it *item, in *inode, r mapper, deleted bool) {
	m := r.of(in)
	for _, p := range m.problems {
		it.find(tutela.FindingDamaged, p)
	}
	content, behind := w.fs.layout(m, in.size)
	content, cut, lost := w.held(content)
	behind, _, _ = w.held(behind)
	if cut {
		it.find(tutela.FindingTruncated, "blocks lie behind the end of the image")
	}
	it.runs, it.slack = w.runs(content), w.runs(behind)
	size, src := in.size, w.fs.src
	if lost {
		src = lossy{src}
	}
	it.open = func() (evidence.Content, error) { return evidence.NewExtents(src, content, size), nil }
	if deleted {
		w.tellOverwritten(it, m, in, r.age)
	}
	if err := w.affordable(in, m, deleted); err != nil {
		it.find(tutela.FindingLimit, err.Error())
		it.refuse(err)
	}
}

// held moves what lies behind the end of the source to where it is lost. lost:
// some of the extents are.
func (w *walker) held(extents []evidence.Extent) (out []evidence.Extent, cut, lost bool) {
	end := w.fs.src.Size()
	for _, e := range extents {
		switch {
		case e.Offset == evidence.Hole || e.Offset+e.Length <= end:
			out = append(out, e)
		case e.Offset >= lostAt:
			lost = true
			out = append(out, e)
		default:
			cut, lost = true, true
			if here := end - e.Offset; here > 0 {
				out = append(out, evidence.Extent{Offset: e.Offset, Length: here})
				e.Length -= here
			}
			out = append(out, evidence.Extent{Offset: lostAt, Length: e.Length})
		}
	}
	return out, cut, lost
}

// runs are the stretches that lie in the source as they are.
func (w *walker) runs(extents []evidence.Extent) []tutela.Run {
	var in []evidence.Extent
	for _, e := range extents {
		if e.Offset < lostAt {
			in = append(in, e)
		}
	}
	if w.fs.overlay != nil {
		in = w.fs.overlay.inPlace(in)
	}
	return evidence.RunsOf(in)
}

// lossy answers for the place where lost extents lie.
type lossy struct{ evidence.Source }

var errLost = fmt.Errorf("no block of the image holds this: %w", io.ErrUnexpectedEOF)

func (l lossy) ReadAt(p []byte, off int64) (int, error) {
	if off >= lostAt {
		return 0, &evidence.ReadError{Run: tutela.Run{Offset: off - lostAt, Length: int64(len(p))}, Err: errLost}
	}
	return l.Source.ReadAt(p, off)
}

// affordable is an error where reading takes longer than a volume can demand: no
// more zeros than it has bytes, and all files in use together no more than twice
// its blocks.
func (w *walker) affordable(in *inode, m *mapping, deleted bool) error {
	backed := w.fs.bytes(m.blocks())
	if in.size-backed > w.fs.held() || backed > product(2, w.fs.volumeBytes()) {
		return errTooMuch
	}
	if !deleted && !w.seen.has(in.number) && !w.claimed.take(backed) {
		return errCrowded
	}
	return nil
}

// tellOverwritten says how many blocks of a deleted file were given to others
// since it had them.
func (w *walker) tellOverwritten(it *item, m *mapping, in *inode, age int64) {
	var used, since int64
	for _, r := range m.runs {
		if !w.checked.take(r.n) {
			it.find(tutela.FindingLimit, "not known whether it is overwritten: deleted files claim too many blocks")
			return
		}
		for block := r.physical; block < r.physical+r.n; block++ {
			n, err := w.alloc.used(block, 1)
			switch {
			case err != nil:
				it.find(tutela.FindingReadError, err.Error()+": not known whether it is overwritten")
				return
			case n > 0:
				used++
			case w.past.takenSince(block, age), age == present && w.claimedSince(block, in):
				since++
			}
		}
	}
	all := m.blocks() + m.tree + m.reused
	if used += m.reused; used > 0 {
		it.find(tutela.FindingOverwritten, fmt.Sprintf("%d of %d blocks belong to other files now", used, all))
	}
	if since > 0 {
		it.find(tutela.FindingOverwritten, fmt.Sprintf("%d of %d blocks were given to other files since, and freed again", since, all))
	}
}

// target is where a symbolic link leads, in words.
func (w *walker) target(in *inode, r mapper) string {
	const unknown = "an unknown place"
	if in.is(flagEncrypt) || in.size <= 0 || in.size > w.fs.block {
		return unknown
	}
	if in.is(flagInline) {
		b, err := in.inline()
		if err != nil {
			return unknown
		}
		return tutela.DisplayPath(b)
	}
	if in.size < blockArea {
		return tutela.DisplayPath(in.area()[:in.size])
	}
	m := r.of(in)
	b := make([]byte, w.fs.block)
	if len(m.runs) == 0 || m.runs[0].logical != 0 || r.read(m.runs[0].physical, b) != nil {
		return unknown
	}
	return tutela.DisplayPath(b[:in.size])
}
