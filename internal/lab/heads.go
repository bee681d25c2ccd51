package lab

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"tutela/internal/durable"
	"tutela/internal/ledger/check"
	"tutela/internal/timestamp"
)

// ErrForked means that there are two heads of one size: the log has two
// histories.
var ErrForked = fmt.Errorf("%w: two different heads of one size", ErrIntegrity)

// ErrCutBack means that the log once had more entries than it has.
var ErrCutBack = fmt.Errorf("%w: the log was cut back", ErrIntegrity)

// Limits on what is read back from the folder of heads.
const (
	maxSignedHead   = 1 << 20  // bytes
	maxHeadEvidence = 64 << 10 // bytes of a time-stamp or an anchor
	maxHeadLines    = 100      // signatures, as many as a reader of notes takes
)

// Heads are the signed heads of the agency log that were shown to others, in
// ledger/agency/heads, with what others said of them:
//
//	N.checkpoint  the head of N entries: signed note, the log's own lines first
//	N-K.tsr       RFC 3161 response over the bytes of N.checkpoint; K from 1
//	N-K.ots       OpenTimestamps proof over the same
//
// A head only grows: signature lines that come later go to its end, so that what
// was stamped stays its beginning and the stamp stays good. Every file is written
// whole or not at all. Who writes must have the lab open for writing.
type Heads struct {
	headFolder
	keys []string    // vkeys of the log
	mu   *sync.Mutex // one writer of the process at a time
}

// StoredHead is a head and what vouches for when it was.
type StoredHead struct {
	Size    uint64
	Signed  []byte   // with all signature lines that came in
	Stamps  [][]byte // RFC 3161 responses over Signed, byte for byte
	Anchors [][]byte // OpenTimestamps proofs over Signed, byte for byte

	// Earlier are beginnings of Signed that were stamped or anchored before
	// further signatures came, the longest first.
	Earlier []StoredHead
}

// Heads is the store of signed heads.
func (l *Lab) Heads() *Heads {
	return &Heads{headFolder: l.headFolder("heads"), keys: l.keys.VerifierKeys(), mu: &l.headsLock}
}

// Save keeps a signed head of size entries, durably. The first of its size must be
// signed by all keys of the log; later ones add the signature lines of keys that
// have none yet. Whether signatures of others hold is for the caller to know. It
// returns [ErrForked] if another head of that size is there.
func (h *Heads) Save(size uint64, signed []byte) error {
	if err := h.save(size, signed); err != nil {
		return fmt.Errorf("keep the head of %d entries: %w", size, err)
	}
	return nil
}

func (h *Heads) save(size uint64, signed []byte) error {
	fresh, err := parseSignedHead(signed)
	if err != nil {
		return err
	}
	if fresh.size != size {
		return fmt.Errorf("this one is of %d entries", fresh.size)
	}
	if err := h.begin(); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	stored, err := h.read(headName(size), maxSignedHead)
	if errors.Is(err, fs.ErrNotExist) {
		return h.saveFirst(fresh)
	}
	if err != nil {
		return err
	}
	old, err := parseSignedHead(stored)
	if err != nil {
		return err
	}
	if old.text != fresh.text {
		return ErrForked
	}
	if !old.add(fresh.lines) {
		return nil
	}
	return h.write(headName(size), old.bytes(), maxSignedHead)
}

func (h *Heads) saveFirst(s signedHead) error {
	keys, err := check.ParseLogKeys(h.keys...)
	if err != nil {
		return err
	}
	own := signedHead{size: s.size, text: s.text}
	own.add(slices.DeleteFunc(slices.Clone(s.lines), func(l signatureLine) bool { return l.name != keys.Origin() }))
	own.add(s.lines)
	if _, err := keys.Open(own.bytes()); err != nil {
		return err
	}
	return h.write(headName(s.size), own.bytes(), maxSignedHead)
}

// AddStamp keeps a response of a time-stamping authority, in the form of
// [timestamp.Bare], over the head of size entries as it is or was before further
// signatures came. Who signed it is not asked.
func (h *Heads) AddStamp(size uint64, response []byte) error {
	return h.addEvidence(size, ".tsr", response)
}

// AddAnchor keeps an OpenTimestamps proof over the head of size entries.
func (h *Heads) AddAnchor(size uint64, proof []byte) error {
	return h.addEvidence(size, ".ots", proof)
}

func (h *Heads) addEvidence(size uint64, ext string, evidence []byte) error {
	if err := h.begin(); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	signed, err := h.read(headName(size), maxSignedHead)
	if err == nil {
		_, err = covered(signed, ext, evidence)
	}
	if err == nil {
		err = h.writeNext(size, ext, evidence)
	}
	if err != nil {
		return fmt.Errorf("keep what vouches for the head of %d entries: %w", size, err)
	}
	return nil
}

func (h *Heads) writeNext(size uint64, ext string, evidence []byte) error {
	for k := 1; ; k++ {
		name := evidenceName(size, k, ext)
		if _, err := os.Lstat(filepath.Join(h.dir, name)); errors.Is(err, fs.ErrNotExist) {
			return h.write(name, evidence, maxHeadEvidence)
		} else if err != nil {
			return err
		}
	}
}

// ReplaceAnchor puts a proof that has grown in the place of what it was.
func (h *Heads) ReplaceAnchor(size uint64, was, grown []byte) error {
	if err := h.begin(); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	signed, err := h.read(headName(size), maxSignedHead)
	if err != nil {
		return err
	}
	if _, err := covered(signed, ".ots", grown); err != nil {
		return fmt.Errorf("replace an anchor of the head of %d entries: %w", size, err)
	}
	files, err := h.list()
	if err != nil {
		return err
	}
	for _, name := range evidenceOf(files)[size] {
		if b, err := h.read(name, maxHeadEvidence); err == nil && bytes.Equal(b, was) {
			return h.write(name, grown, maxHeadEvidence)
		}
	}
	return fmt.Errorf("replace an anchor of the head of %d entries: %w", size, fs.ErrNotExist)
}

// Sizes are those of all heads that are kept, ascending. Other files are passed
// over; [Lab.Verify] reports them.
func (h *Heads) Sizes() ([]uint64, error) {
	files, err := h.list()
	if err != nil {
		return nil, err
	}
	return sizesOf(files), nil
}

// Load reads a head and what vouches for it. Evidence that cannot be read or is
// about other bytes is left out; [Lab.Verify] reports it. It returns an error that
// wraps fs.ErrNotExist if no head of that size is kept.
func (h *Heads) Load(size uint64) (StoredHead, error) {
	files, err := h.list()
	if err != nil {
		return StoredHead{}, err
	}
	return h.load(size, evidenceOf(files)[size])
}

// All yields every head as [Heads.Load] reads it, by ascending size. What cannot be
// loaded is yielded as an error, and the next follows.
func (h *Heads) All() iter.Seq2[StoredHead, error] {
	return func(yield func(StoredHead, error) bool) {
		files, err := h.list()
		if err != nil {
			yield(StoredHead{}, err)
			return
		}
		evidence := evidenceOf(files)
		for _, size := range sizesOf(files) {
			if !yield(h.load(size, evidence[size])) {
				return
			}
		}
	}
}

func (h *Heads) load(size uint64, evidence []string) (StoredHead, error) {
	signed, err := h.read(headName(size), maxSignedHead)
	if err == nil {
		_, err = parseSignedHead(signed)
	}
	if err != nil {
		return StoredHead{}, fmt.Errorf("load the head of %d entries: %w", size, err)
	}
	versions := map[int]*StoredHead{len(signed): {Size: size, Signed: signed}}
	for _, name := range evidence {
		h.attach(versions, signed, name)
	}
	return joinVersions(versions, len(signed)), nil
}

// attach puts a file of evidence to the version of the head that it is about.
func (h *Heads) attach(versions map[int]*StoredHead, signed []byte, name string) {
	b, err := h.read(name, maxHeadEvidence)
	if err != nil {
		return
	}
	ext := filepath.Ext(name)
	over, err := covered(signed, ext, b)
	if err != nil {
		return
	}
	v := versions[len(over)]
	if v == nil {
		v = &StoredHead{Size: versions[len(signed)].Size, Signed: over}
		versions[len(over)] = v
	}
	if ext == ".tsr" {
		v.Stamps = append(v.Stamps, b)
	} else {
		v.Anchors = append(v.Anchors, b)
	}
}

func joinVersions(versions map[int]*StoredHead, whole int) StoredHead {
	all := *versions[whole]
	delete(versions, whole)
	for _, v := range versions {
		all.Earlier = append(all.Earlier, *v)
	}
	slices.SortFunc(all.Earlier, func(a, b StoredHead) int { return len(b.Signed) - len(a.Signed) })
	return all
}

// covered is the part of a signed head, from its beginning to the end of one of
// its signature lines, that a stamp or anchor is about.
func covered(signed []byte, ext string, evidence []byte) ([]byte, error) {
	is, err := subject(ext, evidence)
	if err != nil {
		return nil, err
	}
	head, err := parseSignedHead(signed)
	if err != nil {
		return nil, err
	}
	for n := len(signed); n > len(head.text)+1; n = bytes.LastIndexByte(signed[:n-1], '\n') + 1 {
		if is(signed[:n]) {
			return signed[:n:n], nil
		}
	}
	return nil, errors.New("it is about other bytes than this head")
}

// subject tells whether some bytes are what the evidence is about.
func subject(ext string, evidence []byte) (func([]byte) bool, error) {
	if ext == ".ots" {
		p, err := timestamp.ParseProof(evidence)
		if err != nil {
			return nil, err
		}
		return func(b []byte) bool { return sha256.Sum256(b) == p.Digest }, nil
	}
	claim, err := timestamp.Inspect(evidence)
	if err != nil {
		return nil, err
	}
	return func(b []byte) bool {
		sum := claim.Hash.New()
		sum.Write(b)
		return bytes.Equal(sum.Sum(nil), claim.Imprint)
	}, nil
}

// headFolder is a folder of signed heads, beside the agency log.
type headFolder struct {
	dir    string
	locked bool // the lab is open for writing
}

func (l *Lab) headFolder(name string) headFolder {
	return headFolder{filepath.Join(l.agencyDir(), name), l.lock != nil}
}

// begin makes the folder.
func (f headFolder) begin() error {
	if !f.locked {
		return errors.New("the lab is open for reading only")
	}
	err := os.Mkdir(f.dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(f.dir))
}

// write refuses what it would not read again.
func (f headFolder) write(name string, data []byte, most int) error {
	if len(data) > most {
		return fmt.Errorf("%s of %d bytes, at most %d are kept", name, len(data), most)
	}
	return durable.WriteFile(filepath.Join(f.dir, name), data, 0o600)
}

func (f headFolder) read(name string, most int) ([]byte, error) {
	file, err := os.Open(filepath.Join(f.dir, name))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, int64(most)+1))
	if err == nil && len(b) > most {
		err = fmt.Errorf("%s has more than %d bytes", name, most)
	}
	return b, err
}

func (f headFolder) remove(name string) error {
	return errors.Join(os.Remove(filepath.Join(f.dir, name)), durable.SyncDir(f.dir))
}

func (f headFolder) list() ([]os.DirEntry, error) {
	files, err := os.ReadDir(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the heads: %w", err)
	}
	return files, nil
}

// sizesOf are the sizes of the heads among files, ascending.
func sizesOf(files []os.DirEntry) (sizes []uint64) {
	for _, f := range files {
		if n, ext, ok := parseHeadFile(f.Name()); ok && ext == ".checkpoint" {
			sizes = append(sizes, n)
		}
	}
	slices.Sort(sizes)
	return sizes
}

// evidenceOf names the stamps and anchors of each head, by their number.
func evidenceOf(files []os.DirEntry) map[uint64][]string {
	all := map[uint64][]string{}
	for _, f := range files {
		if n, ext, ok := parseHeadFile(f.Name()); ok && ext != ".checkpoint" {
			all[n] = append(all[n], f.Name())
		}
	}
	for _, names := range all {
		// Numbers have no zeros in front: the shorter is the smaller.
		slices.SortFunc(names, func(a, b string) int {
			return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
		})
	}
	return all
}

func headName(size uint64) string { return strconv.FormatUint(size, 10) + ".checkpoint" }

func evidenceName(size uint64, k int, ext string) string {
	return fmt.Sprintf("%d-%d%s", size, k, ext)
}

var headFile = regexp.MustCompile(`^(0|[1-9][0-9]{0,19})(\.checkpoint|-[1-9][0-9]{0,8}(\.tsr|\.ots))$`)

// parseHeadFile takes the name of a file in the folder of heads apart.
func parseHeadFile(name string) (size uint64, ext string, ok bool) {
	m := headFile.FindStringSubmatch(name)
	if m == nil {
		return 0, "", false
	}
	size, err := strconv.ParseUint(m[1], 10, 64)
	return size, filepath.Ext(name), err == nil
}

// signedHead is a checkpoint with its signature lines, taken apart.
type signedHead struct {
	size  uint64
	text  string
	lines []signatureLine
}

// signatureLine is one line of C2SP signed-note.
type signatureLine struct {
	name string
	key  [4]byte
	line string // whole
}

// parseSignedHead reads the form of a signed checkpoint. It judges no signature.
func parseSignedHead(signed []byte) (s signedHead, err error) {
	text, lines, ok := strings.Cut(string(signed), "\n\n")
	if !ok || len(signed) > maxSignedHead {
		return s, fmt.Errorf("%w: not a signed note", check.ErrCheckpoint)
	}
	s.text = text + "\n"
	c, err := check.ParseCheckpoint([]byte(s.text))
	if err != nil {
		return s, err
	}
	s.size = c.Size
	for line := range strings.Lines(lines) {
		one, err := parseSignatureLine(line)
		if err != nil {
			return s, err
		}
		if !s.add([]signatureLine{one}) {
			return s, fmt.Errorf("%w: a second signature by one key, or too many", check.ErrCheckpoint)
		}
	}
	return s, nil
}

func parseSignatureLine(line string) (signatureLine, error) {
	parts := strings.Split(strings.TrimSuffix(line, "\n"), " ")
	if len(parts) != 3 || parts[0] != "—" || parts[1] == "" || !strings.HasSuffix(line, "\n") {
		return signatureLine{}, fmt.Errorf("%w: %.80q is not a signature line", check.ErrCheckpoint, line)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil || len(raw) < 5 {
		return signatureLine{}, fmt.Errorf("%w: %.80q is not a signature line", check.ErrCheckpoint, line)
	}
	return signatureLine{parts[1], [4]byte(raw), line}, nil
}

// add appends the lines of keys that have none yet, and reports whether there were
// any.
func (s *signedHead) add(lines []signatureLine) (grew bool) {
	for _, l := range lines {
		has := slices.ContainsFunc(s.lines, func(o signatureLine) bool { return o.name == l.name && o.key == l.key })
		if !has && len(s.lines) < maxHeadLines {
			s.lines, grew = append(s.lines, l), true
		}
	}
	return grew
}

func (s *signedHead) bytes() []byte {
	b := []byte(s.text + "\n")
	for _, l := range s.lines {
		b = append(b, l.line...)
	}
	return b
}
