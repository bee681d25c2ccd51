// Package tutela holds the nouns of the laboratory: what was seized, what was
// observed on it, what that meant on a day, and under whose authority.
//
// Start with [Record], which is one observation about one file, and [Match],
// which is what that observation meant against a hash set. [Case], [Authority],
// [Exhibit] and [Event] frame them.
//
// The package promises to stay without input or output and to import the
// standard library only, so that every other package, and every verifier, can
// share these types. It does not know how anything is stored, matched, proven
// or shown.
package tutela

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// MD5, SHA1 and SHA256 are digests of content. MD5 and SHA-1 are kept because
// the world's hash sets are written in them; identity is always SHA-256.
type (
	MD5    [16]byte
	SHA1   [20]byte
	SHA256 [32]byte
)

func (d MD5) String() string    { return hex.EncodeToString(d[:]) }
func (d SHA1) String() string   { return hex.EncodeToString(d[:]) }
func (d SHA256) String() string { return hex.EncodeToString(d[:]) }

// PDQ is a perceptual hash of a picture: 256 bits, printed as 64 hexadecimal
// digits with word 15 first, as the reference implementation prints it. The
// array holds the printed order.
type PDQ [32]byte

func (p PDQ) String() string { return hex.EncodeToString(p[:]) }

// Digests are the three digests of one content, made in one read.
type Digests struct {
	MD5    MD5
	SHA1   SHA1
	SHA256 SHA256
}

// ErrDigest is wrapped by every Parse function of a digest.
var ErrDigest = errors.New("not a digest")

// ParseSHA256 reads 64 hexadecimal digits in either case.
func ParseSHA256(s string) (d SHA256, err error) { return d, parseHex(d[:], s, "sha256") }

// ParseSHA1 reads 40 hexadecimal digits in either case.
func ParseSHA1(s string) (d SHA1, err error) { return d, parseHex(d[:], s, "sha1") }

// ParseMD5 reads 32 hexadecimal digits in either case.
func ParseMD5(s string) (d MD5, err error) { return d, parseHex(d[:], s, "md5") }

// ParsePDQ reads 64 hexadecimal digits in either case.
func ParsePDQ(s string) (d PDQ, err error) { return d, parseHex(d[:], s, "pdq") }

func parseHex(dst []byte, s, name string) error {
	if len(s) != 2*len(dst) {
		return fmt.Errorf("%w: %s has %d hexadecimal digits, not %d", ErrDigest, name, 2*len(dst), len(s))
	}
	if _, err := hex.Decode(dst, []byte(s)); err != nil {
		return fmt.Errorf("%w: %s %q: %v", ErrDigest, name, s, err)
	}
	return nil
}

// State says how the bytes of an entry were found.
type State uint8

// The values are written into sealed records: they must never change.
const (
	Allocated State = 1 // a file the file system lists
	Deleted   State = 2 // its name is gone or marked deleted, its parent known
	Orphan    State = 3 // deleted, and its parent is unknown
	Carved    State = 4 // found by its content alone
	Slack     State = 5 // bytes that no file or volume claims
	Embedded  State = 6 // inside another file: an archive member, an attachment
)

var stateNames = [...]string{Allocated: "allocated", Deleted: "deleted", Orphan: "orphan", Carved: "carved", Slack: "slack", Embedded: "embedded"}

func (s State) String() string {
	if int(s) < len(stateNames) && stateNames[s] != "" {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// ParseState is the inverse of State.String.
func ParseState(name string) (State, error) {
	for s, n := range stateNames {
		if n == name && n != "" {
			return State(s), nil
		}
	}
	return 0, fmt.Errorf("unknown state %q: one of %s", name, strings.Join(stateNames[1:], ", "))
}

// EntryKind says what sort of thing an entry is.
type EntryKind uint8

// The values are written into sealed records: they must never change.
const (
	File      EntryKind = 1
	Directory EntryKind = 2 // recorded only when something about it must be said
	Symlink   EntryKind = 3 // recorded, never followed
	Device    EntryKind = 4
	Socket    EntryKind = 5
	Pipe      EntryKind = 6
	Volume    EntryKind = 7 // a whole volume that no reader understood
	Gap       EntryKind = 8 // bytes between volumes
)

var kindNames = [...]string{File: "file", Directory: "directory", Symlink: "symlink", Device: "device", Socket: "socket", Pipe: "pipe", Volume: "volume", Gap: "gap"}

func (k EntryKind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Times are the file's own times as its file system or archive tells them, in
// UTC; the zero time means that none was told. They are claims by whoever wrote
// the evidence.
type Times struct {
	Modified, Accessed, Changed, Born time.Time
}

// Run is a stretch of bytes in the source, in bytes from its beginning.
type Run struct {
	Offset, Length int64
}

// Locator is one step on the way from the exhibit to the bytes of an entry.
type Locator struct {
	Layer string // "folder", "raw", "gpt", "ntfs", "zip" …
	At    string // where in that layer: a name, an offset, a record number
}

// Finding is something about an entry that a person must be able to see: a
// limit that was hit, a part that could not be read, a name that lies.
type Finding struct {
	Code   string // one of the Finding constants
	Detail string // for people; may be empty
}

func (f Finding) String() string {
	if f.Detail == "" {
		return f.Code
	}
	return f.Code + ": " + f.Detail
}

// Finding codes. They are written into sealed records and are what
// `tutela find --finding` takes: they must never change.
const (
	FindingReadError   = "read-error"         // bytes could not be read; the rest was
	FindingUnreadable  = "unreadable"         // nothing could be read
	FindingUnsupported = "unsupported"        // what it is, is known; a reader for it is not there
	FindingDamaged     = "damaged"            // a structure does not hold together
	FindingTruncated   = "truncated"          // the bytes end before they should
	FindingLimit       = "limit"              // a limit was hit; the rest was left
	FindingBomb        = "bomb"               // an archive that expands out of proportion
	FindingChanged     = "changed-while-read" // it grew, shrank or vanished under the reader
	FindingEncrypted   = "encrypted"          // content is there and cannot be read without a key
	FindingNotDecoded  = "not-decoded"        // a picture or video that no decoder took
	FindingSpecial     = "not-a-file"         // a link, device, socket or pipe
	FindingBackupTable = "backup-table"       // a structure that has a backup was bad, and the backup was used
	FindingLoop        = "loop"               // a structure that refers to itself
	FindingOverwritten = "overwritten"        // deleted, and its clusters belong to another file now
	FindingAssumed     = "assumed"            // content of a deleted file whose place is partly inferred
	FindingUnlocked    = "unlocked"           // it was encrypted and opened with a key the examiner gave
	FindingSnapshot    = "snapshot"           // a file system keeps an earlier state of itself; a note, not a loss
	FindingCrashed     = "crashed"            // a reader ended over it, twice; what it had not told by then was left
	FindingStalled     = "stalled"            // a reader came no further with it, twice; what it had not told by then was left
)

// Perceptual is a picture's hash and how it was made.
type Perceptual struct {
	PDQ           PDQ
	Quality       int    // 0 to 100; below 50 the hash is not matched
	Width, Height int    // of the picture, in pixels
	Decoder       string // name and version of what turned bytes into pixels
	// Scale is 0 where all hashes are exact. At 4 or 8 all were made quickly, of
	// the means of so many pixels a side, at 1 the variants alone, and may differ
	// from the exact ones by a few bits: good for finding, to be made exactly
	// before anything is reported by them.
	Scale    int
	Variants []Variant // hashes of the same picture turned, mirrored, cropped or cut
}

// Variant is the hash of a picture as it would look turned, mirrored, without
// its border, or in part.
type Variant struct {
	Name    string // stable: "rot90", "border", "left half" …
	PDQ     PDQ
	Quality int // 0 to 100, of this variant
}

// Video is what was observed of a moving picture.
type Video struct {
	Container     string        // "mp4", "matroska", "avi"
	Codec         string        // as the container names it: "avc1", "V_VP9"; "" if it has no pictures
	Width, Height int           // pixels, as the container tells them
	Duration      time.Duration // as the container tells it; 0 where it does not
	Decoder       string        // name and version of what made the pixels; "" if nothing did
	Frames        []Frame       // at most one a second
}

// Frame is the hash of one picture of a video.
type Frame struct {
	At      time.Duration // from the beginning
	PDQ     PDQ
	Quality int // 0 to 100
}

// Record is what was observed of one entry: an observation only, without a
// wall clock and without a verdict. Unreadable entries have one too.
type Record struct {
	Volume   string // "" for a folder or a bare file system, else the partition's number in table order
	Path     []byte // raw name bytes inside the volume, see [Record.DisplayPath]
	Chain    []Locator
	Kind     EntryKind
	State    State
	Size     int64 // bytes, -1 where unknown
	Times    Times
	Runs     []Run
	Unread   []Run // stretches of the content, from its beginning, that could not be read; the rest was
	Hashed   bool  // Digests and Type are of the whole content
	Digests  Digests
	Type     string // MIME type by content
	Picture  *Perceptual
	Video    *Video
	Findings []Finding
	Failure  string // why nothing, or not everything, could be read; empty if all was
}

// Readable reports whether every byte of the entry was read.
func (r *Record) Readable() bool { return r.Failure == "" }

// DisplayPath is the path in valid UTF-8 for people and JSON: control
// characters, invalid bytes and the backslash that would make them ambiguous
// are written as \xNN.
func (r *Record) DisplayPath() string { return DisplayPath(r.Path) }

// DisplayPath writes raw name bytes as valid, printable, unambiguous UTF-8.
func DisplayPath(raw []byte) string {
	if printable(raw) {
		return string(raw)
	}
	var b strings.Builder
	for len(raw) > 0 {
		n := printablePrefix(raw)
		if n > 0 {
			b.Write(raw[:n])
			raw = raw[n:]
			continue
		}
		fmt.Fprintf(&b, `\x%02x`, raw[0])
		raw = raw[1:]
	}
	return b.String()
}

func printable(raw []byte) bool {
	for len(raw) > 0 {
		n := printablePrefix(raw)
		if n == 0 {
			return false
		}
		raw = raw[n:]
	}
	return true
}
