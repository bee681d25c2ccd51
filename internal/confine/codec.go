package confine

import (
	"encoding/binary"
	"errors"
	"io"
	"time"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
)

// What crosses the pipes is written as varints and length-prefixed bytes, in the
// order of the fields. A decoder that runs out of bytes stops at the first fault
// and says so once, at the end.

type decoder struct {
	b   []byte
	bad bool
}

// errGarbled means that the other side sent what this one does not understand.
var errGarbled = errors.New("the process at the other end sent garbage")

func (d *decoder) end() error {
	if d.bad || len(d.b) > 0 {
		return errGarbled
	}
	return nil
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.int()
	if n < 0 || n > int64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) string() string { return string(d.bytes()) }

// count is a number of things of which each takes a byte at least.
func (d *decoder) count() int {
	n := d.int()
	if n < 0 || n > int64(len(d.b)) {
		d.bad, d.b = true, nil
		return 0
	}
	return int(n)
}

func appendInt[T ~int | ~int64 | ~uint8 | ~uint32](b []byte, v T) []byte {
	return binary.AppendVarint(b, int64(v))
}

func appendBytes[T ~[]byte | ~string](b []byte, v T) []byte {
	return append(appendInt(b, len(v)), v...)
}

func appendRuns(b []byte, runs []tutela.Run) []byte {
	b = appendInt(b, len(runs))
	for _, r := range runs {
		b = appendInt(appendInt(b, r.Offset), r.Length)
	}
	return b
}

func (d *decoder) runs() []tutela.Run {
	n := d.count()
	if n == 0 {
		return nil
	}
	runs := make([]tutela.Run, n)
	for i := range runs {
		runs[i] = tutela.Run{Offset: d.int(), Length: d.int()}
	}
	return runs
}

// appendTime keeps the nanosecond; the zero time is 0.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return appendInt(b, 0)
	}
	return appendInt(appendInt(appendInt(b, 1), t.Unix()), t.Nanosecond())
}

func (d *decoder) time() time.Time {
	if d.int() == 0 {
		return time.Time{}
	}
	return time.Unix(d.int(), d.int()).UTC()
}

// content says how the bytes of an entry are had.
type content int

const (
	contentNone   content = iota // there are none
	contentInline                // they follow, and the error that ends them
	contentRemote                // they are asked for, by the number of the entry
)

// sent is an entry as it crosses: with its place in the walk, and its content
// if that is short.
type sent struct {
	entry  evidence.Entry
	number int64
	how    content
	random bool // its content is an io.ReaderAt
	inline []byte
	failed error // after inline; nil is the end
}

func appendSent(b []byte, s *sent) []byte {
	e := &s.entry
	b = appendInt(b, s.number)
	b = appendBytes(appendBytes(b, e.Volume), e.Path)
	b = appendInt(b, len(e.Chain))
	for _, l := range e.Chain {
		b = appendBytes(appendBytes(b, l.Layer), l.At)
	}
	b = appendInt(appendInt(appendInt(b, e.Kind), e.State), e.Size)
	for _, t := range [...]time.Time{e.Times.Modified, e.Times.Accessed, e.Times.Changed, e.Times.Born} {
		b = appendTime(b, t)
	}
	b = appendRuns(appendRuns(b, e.Runs), e.Slack)
	b = appendInt(b, len(e.Findings))
	for _, f := range e.Findings {
		b = appendBytes(appendBytes(b, f.Code), f.Detail)
	}
	b = appendInt(appendInt(b, s.how), flag(s.random))
	if s.how == contentInline {
		b = appendBytes(appendBytes(b, s.inline), appendError(nil, s.failed))
	}
	return b
}

func (d *decoder) sent() *sent {
	s := &sent{number: d.int()}
	e := &s.entry
	e.Volume, e.Path = d.string(), d.bytes()
	if n := d.count(); n > 0 {
		e.Chain = make([]tutela.Locator, n)
		for i := range e.Chain {
			e.Chain[i] = tutela.Locator{Layer: d.string(), At: d.string()}
		}
	}
	e.Kind, e.State, e.Size = tutela.EntryKind(d.int()), tutela.State(d.int()), d.int()
	for _, t := range [...]*time.Time{&e.Times.Modified, &e.Times.Accessed, &e.Times.Changed, &e.Times.Born} {
		*t = d.time()
	}
	e.Runs, e.Slack = d.runs(), d.runs()
	if n := d.count(); n > 0 {
		e.Findings = make([]tutela.Finding, n)
		for i := range e.Findings {
			e.Findings[i] = tutela.Finding{Code: d.string(), Detail: d.string()}
		}
	}
	s.how, s.random = content(d.int()), d.int() != 0
	if s.how == contentInline {
		s.inline, s.failed = d.bytes(), decodeError(d.bytes())
	}
	return s
}

func flag(v bool) int64 {
	if v {
		return 1
	}
	return 0
}

func appendLimits(b []byte, l evidence.Limits) []byte {
	for _, v := range [...]int64{l.MemberBytes, l.ExpandedBytes, l.Ratio, l.RatioAfter, int64(l.Nesting), int64(l.NameBytes), l.EntriesPerRoot, l.DeletedFactor} {
		b = appendInt(b, v)
	}
	return b
}

func (d *decoder) limits() evidence.Limits {
	return evidence.Limits{
		MemberBytes: d.int(), ExpandedBytes: d.int(), Ratio: d.int(), RatioAfter: d.int(),
		Nesting: int(d.int()), NameBytes: int(d.int()), EntriesPerRoot: d.int(), DeletedFactor: d.int(),
	}
}

// The errors that are told apart by who gets them. Bit i of a sent error says
// that it wraps sentinels[i].
var sentinels = []error{
	evidence.ErrNotThis, evidence.ErrUnsupported, io.ErrUnexpectedEOF, io.EOF, errGone, errNoEntry, errStopped, errOnOpen,
}

// remoteError is an error of the other side: its text, and what it wraps.
type remoteError struct {
	text  string
	wraps []error
}

func (e *remoteError) Error() string   { return e.text }
func (e *remoteError) Unwrap() []error { return e.wraps }

// errOnOpen marks an error that came from opening a content, before any of it
// was read.
var errOnOpen = errors.New("not opened")

type openError struct{ error }

func (e *openError) Unwrap() []error { return []error{e.error, errOnOpen} }

// appendError writes an error with all that others ask of it; nil is empty.
func appendError(b []byte, err error) []byte {
	if err == nil {
		return b
	}
	bits := int64(0)
	for i, s := range sentinels {
		if errors.Is(err, s) {
			bits |= 1 << i
		}
	}
	b = appendInt(appendBytes(b, err.Error()), bits)
	var member *archive.Error
	code := ""
	if errors.As(err, &member) {
		code = member.Code
	}
	b = appendBytes(b, code)
	var bad *evidence.ReadError
	if !errors.As(err, &bad) {
		return appendInt(b, 0)
	}
	b = appendInt(appendInt(appendInt(b, 1), bad.Run.Offset), bad.Run.Length)
	return appendBytes(b, innermost(bad.Err).Error())
}

func innermost(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}

func decodeError(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	d := &decoder{b: b}
	e := &remoteError{text: d.string()}
	bits := d.int()
	if bits == 1<<3 && e.text == io.EOF.Error() {
		return io.EOF // readers are compared with ==
	}
	for i, s := range sentinels {
		if bits&(1<<i) != 0 {
			e.wraps = append(e.wraps, s)
		}
	}
	if code := d.string(); code != "" {
		e.wraps = append(e.wraps, &archive.Error{Code: code, Err: errors.New(e.text)})
	}
	if d.int() != 0 {
		run := tutela.Run{Offset: d.int(), Length: d.int()}
		e.wraps = append(e.wraps, &evidence.ReadError{Run: run, Err: errors.New(d.string())})
	}
	if d.bad {
		return errGarbled
	}
	return e
}
