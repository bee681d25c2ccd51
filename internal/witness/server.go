package witness

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"tutela/internal/durable"
	"tutela/internal/ledger/check"
)

// clockSlack is how far the clock may have been set back before nothing is signed
// any more. Less than that, the time of the signature before is stated again, so that
// the times of one log never run backwards.
const clockSlack = 5 * time.Minute

// Options are what a server needs to be told.
type Options struct {
	// Alarm is handed one line, without a line feed, for what a person must look at;
	// nil tells nobody. It is called from any goroutine.
	Alarm func(line string)
	// Now is the clock of the signatures. Default: that of the machine.
	Now func() time.Time
}

// Server answers as a witness: C2SP tlog-witness. It is safe for concurrent use.
type Server struct {
	dir    string
	id     identity
	logs   map[string]*servedLog // by origin; not changed after Open
	byID   map[string]*servedLog
	lock   *durable.FileLock
	ways   *http.ServeMux
	alarm  func(line string)
	now    func() time.Time
	stored func() // is called between remembering a head and answering, for tests
}

var _ http.Handler = (*Server)(nil)

// servedLog is what the server knows of one log.
type servedLog struct {
	logKeys
	// one is held from the look at the newest head until the next one is on the
	// disk, so that no two heads are ever held against the same one.
	one sync.Mutex
	// newest is set under one, and only to what is on the disk; nil is no head yet.
	newest atomic.Pointer[cosigned]
}

// Open takes the folder of a witness for this process alone. Errors wrap
// [ErrNoWitness], [durable.ErrLocked], [ErrDamaged], [ErrLogs].
func Open(dir string, o Options) (*Server, error) {
	lock, err := lockFolder(dir, "serving")
	if err != nil {
		return nil, fmt.Errorf("open witness: %w", err)
	}
	s := &Server{dir: dir, lock: lock, logs: map[string]*servedLog{}, byID: map[string]*servedLog{}, alarm: o.Alarm, now: o.Now, stored: func() {}}
	if s.alarm == nil {
		s.alarm = func(string) {}
	}
	if s.now == nil {
		s.now = time.Now
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open witness: %w", err), lock.Unlock())
	}
	s.ways = http.NewServeMux()
	s.ways.HandleFunc("POST "+AddPath, s.serveAdd)
	s.ways.HandleFunc("GET /{log}/checkpoint", s.serveHead)
	return s, nil
}

func (s *Server) load() (err error) {
	if s.id, err = loadIdentity(s.dir); err != nil {
		return err
	}
	logs, err := loadLogs(s.dir)
	if err != nil {
		return err
	}
	for _, l := range logs {
		served := &servedLog{logKeys: l}
		newest, err := loadHead(s.dir, l.origin, s.id)
		if err != nil {
			return err
		}
		served.newest.Store(newest)
		s.logs[l.origin], s.byID[l.id()] = served, served
	}
	return nil
}

// Close gives the folder back. Nothing may be served any more.
func (s *Server) Close() error { return s.lock.Unlock() }

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.ways.ServeHTTP(w, r) }

// refusal is an answer other than 200.
type refusal struct {
	code int
	kind string // content type
	body string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d: %s", r.code, r.body) }

func refuse(code int, format string, args ...any) *refusal {
	return &refusal{code, LinesType, fmt.Sprintf(format, args...) + "\n"}
}

// otherSize says which head the witness knows.
func otherSize(size uint64) *refusal {
	return &refusal{http.StatusConflict, SizeType, string(SizeBody(size))}
}

func (s *Server) serveAdd(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if tooLong := new(http.MaxBytesError); errors.As(err, &tooLong) {
		answer(w, http.StatusRequestEntityTooLarge, LinesType, fmt.Appendf(nil, "more than %d bytes\n", MaxBody))
		return
	}
	if err != nil {
		return // the connection is broken, or took too long
	}
	lines, err := s.add(body)
	var no *refusal
	switch {
	case err == nil:
		answer(w, http.StatusOK, LinesType, lines)
	case errors.As(err, &no):
		answer(w, no.code, no.kind, []byte(no.body))
	default: // nothing of a machine's folders goes to strangers
		s.alarm(err.Error())
		answer(w, http.StatusServiceUnavailable, LinesType, []byte("the witness cannot sign now\n"))
	}
}

func answer(w http.ResponseWriter, code int, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	w.Write(body)
}

// serveHead is the monitor's way to the newest head: tlog-witness, "Monitor
// Retrieval Mechanism".
func (s *Server) serveHead(w http.ResponseWriter, r *http.Request) {
	l := s.byID[r.PathValue("log")]
	if l == nil {
		answer(w, http.StatusNotFound, LinesType, []byte("no such log\n"))
		return
	}
	newest := l.newest.Load()
	if newest == nil {
		answer(w, http.StatusNotFound, LinesType, []byte("no head of this log has been cosigned\n"))
		return
	}
	answer(w, http.StatusOK, LinesType, newest.signed)
}

// add is add-checkpoint: the signature lines for the body of a request, or a
// *refusal. Any other error is the witness's own.
func (s *Server) add(body []byte) ([]byte, error) {
	request, err := ParseRequest(body)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%v", err)
	}
	origin, _, _ := strings.Cut(string(request.Checkpoint), "\n")
	l := s.logs[origin]
	if l == nil {
		return nil, refuse(http.StatusNotFound, "no such log")
	}
	head, err := l.open(request.Checkpoint)
	if err != nil {
		return nil, err
	}
	l.one.Lock()
	defer l.one.Unlock()
	if err := s.judge(l, request, head); err != nil {
		return nil, err
	}
	next, lines, err := s.cosign(l, head)
	if err != nil {
		return nil, fmt.Errorf("cosign a head of %s: %w", l.origin, err)
	}
	if err := saveHead(s.dir, next); err != nil {
		return nil, fmt.Errorf("remember a head of %s: %w", l.origin, err)
	}
	l.newest.Store(next)
	s.stored()
	return lines, nil
}

// head is a checkpoint that all keys of a log have signed.
type signedHead struct {
	check.Checkpoint
	signed []byte // with the lines of the log's keys and no others
}

// open reads a submitted checkpoint. Lines by unknown keys are passed over; every
// line by a known key must hold, and every key must have signed. Checkpoints with
// extension lines are refused: a signature by ML-DSA-44 would not cover them.
func (l *servedLog) open(submitted []byte) (signedHead, error) {
	n, err := note.Open(submitted, l.keys)
	var bad *note.InvalidSignatureError
	var none *note.UnverifiedNoteError
	switch {
	case errors.As(err, &bad), errors.As(err, &none):
		return signedHead{}, refuse(http.StatusForbidden, "not signed by the keys of this log")
	case err != nil:
		return signedHead{}, refuse(http.StatusBadRequest, "not a signed note")
	}
	c, err := check.ParseCheckpoint([]byte(n.Text))
	if err != nil {
		return signedHead{}, refuse(http.StatusBadRequest, "%v", err)
	}
	if c.Origin != l.origin { // the first line alone decided which log it is
		return signedHead{}, refuse(http.StatusBadRequest, "%v", check.ErrCheckpoint)
	}
	if len(n.Sigs) != len(l.vkeys) || !l.everyLineHolds(n, submitted) {
		return signedHead{}, refuse(http.StatusForbidden, "not signed by all keys of this log")
	}
	return signedHead{c, joinLines(n.Text, n.Sigs)}, nil
}

// everyLineHolds looks at the lines that note.Open does not: the second and later
// ones by one key.
func (l *servedLog) everyLineHolds(n *note.Note, submitted []byte) bool {
	for line := range bytes.Lines(submitted[len(n.Text)+1:]) {
		name, raw, ok := splitLine(string(line))
		if !ok {
			return false
		}
		v, err := l.keys.Verifier(name, binary.BigEndian.Uint32(raw))
		if err == nil && !v.Verify([]byte(n.Text), raw[4:]) {
			return false
		}
	}
	return true
}

// splitLine takes a signature line apart: raw is the key ID, four bytes, and the
// signature.
func splitLine(line string) (name string, raw []byte, ok bool) {
	line, whole := strings.CutSuffix(line, "\n")
	rest, marked := strings.CutPrefix(line, "— ")
	name, text, _ := strings.Cut(rest, " ")
	raw, err := base64.StdEncoding.DecodeString(text)
	return name, raw, whole && marked && err == nil && len(raw) >= 5
}

// joinLines is a signed note whose lines are in their one form.
func joinLines(text string, signatures []note.Signature) []byte {
	signed := []byte(text + "\n")
	for _, s := range signatures {
		_, raw, _ := splitLine("— " + s.Name + " " + s.Base64 + "\n")
		signed = fmt.Appendf(signed, "— %s %s\n", s.Name, base64.StdEncoding.EncodeToString(raw))
	}
	return signed
}

// judge holds a head against the newest that was cosigned, in the order of
// tlog-witness. The log must be locked.
func (s *Server) judge(l *servedLog, r Request, head signedHead) error {
	newest := l.newest.Load()
	before := check.Checkpoint{Origin: l.origin, Root: check.EmptyRoot()}
	if newest != nil {
		before = newest.Checkpoint
	}
	// Two roots of one size are a fork, whatever else is wrong with the request.
	if newest != nil && head.Size == before.Size && head.Root != before.Root {
		s.keep(newest, head)
	}
	switch {
	case r.Old > head.Size:
		return refuse(http.StatusBadRequest, "the old size is larger than the checkpoint's")
	case r.Old != before.Size:
		return otherSize(before.Size)
	}
	if err := check.VerifyConsistency(before.Root, before.Size, head.Root, head.Size, r.Proof); err != nil {
		if newest != nil && head.Size > before.Size {
			s.keep(newest, head)
		}
		return refuse(http.StatusUnprocessableEntity, "%v", err)
	}
	return nil
}

// keep keeps a head that does not fit, beside the one it does not fit, and raises
// the alarm when that is new.
func (s *Server) keep(newest *cosigned, head signedHead) {
	f, fresh, err := keepFork(s.dir, newest, head.Checkpoint, head.signed)
	switch {
	case err != nil:
		s.alarm(fmt.Sprintf("a head of %s does not fit what was cosigned, and could not be kept: %v", head.Origin, err))
	case fresh:
		s.alarm(f.String())
	}
}

// String is the line of the alarm.
func (f Fork) String() string {
	where := filepath.ToSlash(f.Folder)
	if f.Proven() {
		return fmt.Sprintf("%s told two stories: it signed two heads of %d entries; both are kept in %s", f.Origin, f.Submitted.Size, where)
	}
	return fmt.Sprintf("%s: a signed head of %d entries came with no proof that it continues the one of %d; both are kept in %s",
		f.Origin, f.Submitted.Size, f.Cosigned.Size, where)
}

// cosign signs a head, which has been judged, by both keys.
func (s *Server) cosign(l *servedLog, head signedHead) (next *cosigned, lines []byte, err error) {
	at, err := s.moment(l.newest.Load())
	if err != nil {
		return nil, nil, err
	}
	keys, err := s.id.signers(at)
	if err != nil {
		return nil, nil, err
	}
	text := []byte(head.Text())
	for _, k := range keys {
		signature, err := k.Sign(text)
		if err != nil {
			return nil, nil, err
		}
		raw := append(binary.BigEndian.AppendUint32(nil, k.KeyHash()), signature...)
		lines = fmt.Appendf(lines, "— %s %s\n", k.Name(), base64.StdEncoding.EncodeToString(raw))
	}
	return &cosigned{head.Checkpoint, append(head.signed, lines...), at}, lines, nil
}

// moment is the time that a signature states: never zero, never before the time that
// the signature before states.
func (s *Server) moment(newest *cosigned) (time.Time, error) {
	now := s.now().Truncate(time.Second)
	if now.Unix() <= 0 {
		return now, errors.New("the clock is not set")
	}
	if newest == nil || !now.Before(newest.at) {
		return now, nil
	}
	if newest.at.Sub(now) > clockSlack {
		return now, fmt.Errorf("the clock says %s, and the signature before states %s", now.UTC().Format(time.RFC3339), newest.at.UTC().Format(time.RFC3339))
	}
	return newest.at, nil
}
