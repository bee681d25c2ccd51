package scan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"tutela"
	"tutela/internal/digest"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
	"tutela/internal/evidence/encrypted"
	"tutela/internal/evidence/folder"
)

const (
	// keepBytes bounds how much of one picture or archive is kept from the one
	// read; keepTotal bounds it over all workers. What is larger is read a
	// second time.
	keepBytes = 8 << 20
	keepTotal = 64 << 20
)

// observer turns entries into records. One serves all workers.
type observer struct {
	profile  Profile
	host     Host
	sets     Matcher // nil where nothing is matched
	certain  *certain
	thumbs   *thumbs
	options  archive.Options
	spool    *spool
	kept     atomic.Int64
	progress *progress
}

// newObserver makes an observer for a job. What it is certain of about pictures
// goes to a match run through certain, nil where there is none.
func newObserver(job *Job, p *progress, certain *certain, thumbs *thumbs) *observer {
	o := &observer{
		profile: job.profile(), host: job.Host, sets: job.Sets, certain: certain, thumbs: thumbs,
		spool: &spool{dir: job.SpoolDir}, progress: p,
	}
	if o.host == nil {
		o.host = here{}
	}
	o.options = archive.Options{Limits: job.Limits, Spool: o.spool, Keys: job.Keys}
	return o
}

// reading is one entry while it is being read: its type by the first chunk, and
// the whole if it is small enough and a second look will be needed.
type reading struct {
	o       *observer
	unit    *unit
	entry   *evidence.Entry
	content evidence.Content
	salvage *salvage

	mime  string // "" until the first chunk was seen
	keep  []byte // the content so far, nil if it is not kept
	wants want

	sealed *encrypted.Content // judges a content of no known type; else nil
}

// want is what happens to a content besides its digests: any of these.
type want uint8

const (
	wantPicture want = 1 << iota
	wantVideo
	wantArchive
)

// open begins to read; nil means that there is nothing to read and the record
// is complete.
func (o *observer) open(e *evidence.Entry) (*reading, *tutela.Record) {
	if e.Open == nil {
		return nil, o.unread(e, nil)
	}
	content, err := e.Open()
	if err != nil {
		return nil, o.unread(e, err)
	}
	return &reading{o: o, entry: e, content: content, salvage: newSalvage(content, e.Size)}, nil
}

// unread is the record of an entry of which nothing was read: because there is
// nothing to read (a link, a device), or because err stood in the way.
func (o *observer) unread(e *evidence.Entry, err error) *tutela.Record {
	r := recordOf(e)
	if err == nil {
		r.Failure = missing(e)
		return r
	}
	r.Failure = reason(err)
	find(r, codeOf(err, tutela.FindingUnreadable), err)
	return r
}

// losses are the findings that mean that something which should be there was
// not seen.
var losses = []string{
	tutela.FindingUnreadable, tutela.FindingReadError, tutela.FindingUnsupported, tutela.FindingDamaged,
	tutela.FindingTruncated, tutela.FindingEncrypted, tutela.FindingLimit, tutela.FindingBomb,
	tutela.FindingCrashed, tutela.FindingStalled,
}

// missing says what was not seen of an entry that has no content to open: a
// volume without a reader, a folder that could not be listed, an archive that
// breaks off. It is empty for those that have none by nature, as links do.
func missing(e *evidence.Entry) string {
	for _, f := range e.Findings {
		if slices.Contains(losses, f.Code) {
			return f.String()
		}
	}
	return ""
}

func recordOf(e *evidence.Entry) *tutela.Record {
	return &tutela.Record{
		Volume: e.Volume, Path: e.Path, Chain: e.Chain, Kind: e.Kind, State: e.State, Size: e.Size,
		Times: e.Times, Runs: e.Runs, Findings: e.Findings,
	}
}

// see is the Tee of the stream: it looks at each chunk once as it passes. The
// first holds at least digest.TypeBytes or all there is.
func (r *reading) see(chunk []byte) {
	r.o.progress.bytes.Add(int64(len(chunk)))
	if r.mime == "" {
		r.decide(chunk[:min(len(chunk), digest.TypeBytes)])
	}
	if r.keep != nil {
		r.hold(chunk)
	}
	if r.sealed != nil {
		r.sealed.See(chunk)
	}
}

// untyped is the type of what has no header that anybody knows.
const untyped = "application/octet-stream"

// decide says by the beginning of the content what it is and what will be needed
// of it.
func (r *reading) decide(head []byte) {
	r.mime = digest.Type(head)
	if r.entry.State == tutela.Slack {
		return // what begins there is carved, as a file of its own
	}
	if r.wants = r.o.profile.wants(r.mime, head); r.wants != 0 && r.entry.Size <= keepBytes {
		r.keep = make([]byte, 0, max(r.entry.Size, 0))
	}
	if r.mime == untyped && r.entry.Kind == tutela.File && encrypted.Possible(r.entry.Size) {
		r.sealed = new(encrypted.Content)
	}
}

// hold keeps the chunk while there is room for all of it.
func (r *reading) hold(chunk []byte) {
	n := int64(len(chunk))
	if len(r.keep)+len(chunk) > keepBytes || r.o.kept.Add(n) > keepTotal {
		r.o.kept.Add(-n)
		r.drop()
		return
	}
	r.keep = append(r.keep, chunk...)
}

func (r *reading) drop() {
	r.o.kept.Add(-int64(len(r.keep)))
	r.keep = nil
}

// record closes the content and says what was observed.
func (r *reading) record(sum tutela.Digests, size int64, err error) *tutela.Record {
	rec := recordOf(r.entry)
	if closing := r.content.Close(); closing != nil && err == nil {
		err = closing
	}
	rec.Unread = r.salvage.runs
	rec.Findings = append(slices.Clip(rec.Findings), r.salvage.findings()...)
	switch {
	case err != nil:
		rec.Failure = reason(err)
		find(rec, codeOf(err, tutela.FindingReadError), err)
	case r.salvage.lost > 0:
		rec.Failure = fmt.Sprintf("%d bytes could not be read", r.salvage.lost)
	default:
		rec.Hashed, rec.Digests, rec.Size = true, sum, size
		if rec.Type = r.mime; size == 0 {
			rec.Type = digest.TypeEmpty
		}
		if r.sealed == nil {
			break
		}
		if detail, ok := r.sealed.Verdict(size); ok { // it was read whole, and is no loss
			rec.Findings = append(slices.Clip(rec.Findings), tutela.Finding{Code: tutela.FindingEncrypted, Detail: detail})
		}
	}
	return rec
}

// find adds what err says as a finding, unless the reader of the evidence has
// said the same already.
func find(r *tutela.Record, code string, err error) {
	f := tutela.Finding{Code: code, Detail: reason(err)}
	if !slices.Contains(r.Findings, f) {
		r.Findings = append(slices.Clip(r.Findings), f)
	}
}

// finder is an error that knows its finding, as that of a reader that ended.
type finder interface {
	error
	Finding() tutela.Finding
}

// codeOf is the finding that fits an error, otherwise if nothing does.
func codeOf(err error, otherwise string) string {
	var inArchive *archive.Error
	var own finder
	switch {
	case errors.As(err, &own):
		return own.Finding().Code
	case errors.As(err, &inArchive):
		return inArchive.Code
	case errors.Is(err, folder.ErrChanged):
		return tutela.FindingChanged
	case errors.Is(err, evidence.ErrUnsupported):
		return tutela.FindingUnsupported
	case errors.Is(err, io.ErrUnexpectedEOF):
		return tutela.FindingTruncated
	}
	return otherwise
}

// expand visits the members of an archive and hands each one's record to emit.
func (o *observer) expand(ctx context.Context, r *reading, emit func(*tutela.Record) error) error {
	bytesAt, size, done, err := r.random(ctx)
	if err != nil {
		return emit(o.embeddedFailure(r.entry, err))
	}
	defer done()
	return o.host.Expand(ctx, o.options, r.entry, bytesAt, size, func(e *evidence.Entry) error {
		return emit(o.member(ctx, e))
	})
}

func (o *observer) embeddedFailure(parent *evidence.Entry, err error) *tutela.Record {
	e := *parent
	e.Path = append(bytes.Clone(parent.Path), "!/"...)
	e.Kind, e.State, e.Findings, e.Open = tutela.Directory, tutela.Embedded, nil, nil
	return o.unread(&e, err)
}

// random gives random access to the content: from what was kept, from the
// evidence itself, or through the spool.
func (r *reading) random(ctx context.Context) (at io.ReaderAt, size int64, done func() error, err error) {
	if r.keep != nil {
		return bytes.NewReader(r.keep), int64(len(r.keep)), func() error { r.drop(); return nil }, nil
	}
	content, err := r.entry.Open()
	if err != nil {
		return nil, 0, nil, err
	}
	if at, ok := content.(io.ReaderAt); ok && r.entry.Size >= 0 {
		return at, r.entry.Size, content.Close, nil
	}
	defer content.Close()
	spooled, err := r.o.spool.Put(ctx, content, r.o.options.Limits.WithDefaults().MemberBytes)
	if err != nil {
		return nil, 0, nil, err
	}
	return spooled, spooled.Size(), spooled.Close, nil
}

// member reads one archive member where it stands.
func (o *observer) member(ctx context.Context, e *evidence.Entry) *tutela.Record {
	r, rec := o.open(e)
	if r == nil {
		return rec
	}
	sum, size, err := digest.Sum(&seen{ctx: ctx, r: r})
	rec = r.record(sum, size, err)
	r.look(ctx, rec)
	r.watch(ctx, rec)
	r.drop()
	return rec
}

// seen reads a content past see, and ends a long read when the scan ends.
type seen struct {
	ctx   context.Context
	r     *reading
	begun bool
}

func (s *seen) Read(p []byte) (n int, err error) {
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	if s.begun {
		n, err = s.r.salvage.Read(p)
	} else if n, err = io.ReadAtLeast(s.r.salvage, p, min(len(p), digest.TypeBytes)); err == io.ErrUnexpectedEOF {
		err = io.EOF // decompressors give little at a time; a type wants more
	}
	s.begun = true
	if n > 0 {
		s.r.see(p[:n])
	}
	return n, err
}
