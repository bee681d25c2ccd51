package check

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ErrBundle is wrapped by every refusal of a bundle's list, its paths and its
// tar. docs/reference/bundle-format.md has the rules.
var ErrBundle = errors.New("not a disclosure bundle, version 1")

// Limits of a bundle.
const (
	MaxBundleFiles = 1_000_000   // BUNDLE and BUNDLE.sig counted
	MaxBundleFile  = 16<<20 + 32 // bytes of a file but for content
	MaxBundleList  = 64 << 20    // bytes of BUNDLE, and of its signature
	bundleHeader   = "tutela-bundle@v1\n"
	maxBundleValue = 1000 // bytes
	issuedLayout   = "2006-01-02T15:04:05Z"
)

// BundleList is what the file BUNDLE says: what the bundle is, and the hash, size
// and path of every other file but BUNDLE.sig.
type BundleList struct {
	Case, To, Purpose string
	Issued            time.Time // UTC, to the second
	Officer           string
	Opened            uint64       // files *.open
	Files             []BundleFile // strictly sorted by the bytes of their paths
}

// BundleFile is a line of the list.
type BundleFile struct {
	SHA256 Hash
	Size   uint64 // bytes
	Path   string
}

// Text is the file BUNDLE.
func (l *BundleList) Text() []byte {
	b := fmt.Appendf(nil, "%scase %s\nto %s\npurpose %s\nissued %s\nofficer %s\nopened %d\n",
		bundleHeader, l.Case, l.To, l.Purpose, l.Issued.UTC().Format(issuedLayout), l.Officer, l.Opened)
	for _, f := range l.Files {
		b = fmt.Appendf(b, "%s %d %s\n", f.SHA256, f.Size, f.Path)
	}
	return b
}

// ParseBundleList reads what [BundleList.Text] writes and nothing else. Paths are
// judged, whether they fit together is not. Errors wrap [ErrBundle].
func ParseBundleList(text []byte) (*BundleList, error) {
	if len(text) > MaxBundleList {
		return nil, fmt.Errorf("%w: BUNDLE has %d bytes", ErrBundle, len(text))
	}
	rest, ok := strings.CutPrefix(string(text), bundleHeader)
	if !ok {
		return nil, fmt.Errorf("%w: BUNDLE begins with other bytes", ErrBundle)
	}
	l := new(BundleList)
	rest, err := l.parseHeader(rest)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	for rest != "" {
		line, after, ended := strings.Cut(rest, "\n")
		if !ended || len(l.Files) >= MaxBundleFiles {
			return nil, fmt.Errorf("%w: BUNDLE ends within a line, or lists too many files", ErrBundle)
		}
		f, err := parseBundleFile(line)
		if err == nil && len(l.Files) > 0 && l.Files[len(l.Files)-1].Path >= f.Path {
			err = fmt.Errorf("%s is not sorted in", f.Path)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBundle, err)
		}
		l.Files, rest = append(l.Files, f), after
	}
	return l, nil
}

func (l *BundleList) parseHeader(rest string) (string, error) {
	var issued, opened string
	for _, field := range []struct {
		name string
		into *string
	}{{"case", &l.Case}, {"to", &l.To}, {"purpose", &l.Purpose}, {"issued", &issued}, {"officer", &l.Officer}, {"opened", &opened}} {
		line, after, ended := strings.Cut(rest, "\n")
		value, ok := strings.CutPrefix(line, field.name+" ")
		if !ok || !ended {
			return "", fmt.Errorf("no line %q where it must stand", field.name)
		}
		if err := CheckBundleValue(value); err != nil {
			return "", fmt.Errorf("%s: %w", field.name, err)
		}
		*field.into, rest = value, after
	}
	at, err := time.Parse(issuedLayout, issued)
	if err != nil || at.Format(issuedLayout) != issued || at.Year() == 0 {
		return "", fmt.Errorf("issued %q is no time of the form %s", issued, issuedLayout)
	}
	l.Issued = at
	l.Opened, err = parseNumber(opened)
	return rest, err
}

func parseBundleFile(line string) (f BundleFile, err error) {
	sum, rest, _ := strings.Cut(line, " ")
	size, path, _ := strings.Cut(rest, " ")
	if f.SHA256, err = parseHex(sum); err != nil {
		return f, err
	}
	if f.Size, err = parseNumber(size); err != nil {
		return f, err
	}
	f.Path = path
	p, err := ParseBundlePath(path)
	if err == nil && (p.Kind == PathList || p.Kind == PathListSignature) {
		err = fmt.Errorf("BUNDLE lists %s", path)
	}
	return f, err
}

func parseHex(s string) (h Hash, err error) {
	if len(s) != 2*len(h) {
		return h, fmt.Errorf("SHA-256 of %d digits", len(s))
	}
	for i := range h {
		high, low := strings.IndexByte(lowerHex, s[2*i]), strings.IndexByte(lowerHex, s[2*i+1])
		if high < 0 || low < 0 {
			return h, errors.New("SHA-256 not in lower-case hexadecimal digits")
		}
		h[i] = byte(high<<4 | low)
	}
	return h, nil
}

const lowerHex = "0123456789abcdef"

// parseNumber reads a decimal number below 2⁶⁴ without leading zeros.
func parseNumber(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("not a number in its one form: %.40q", s)
	}
	return n, nil
}

// CheckBundleValue says what is wrong with a value of BUNDLE's header; the texts
// "to" and "purpose" of a disclosure must pass it too. Besides control characters
// and separators of lines it refuses the marks that turn the direction of
// writing: with them a page can say to the eye what its bytes do not.
func CheckBundleValue(s string) error {
	switch {
	case s == "" || len(s) > maxBundleValue:
		return fmt.Errorf("%d bytes, not 1 to %d", len(s), maxBundleValue)
	case !utf8.ValidString(s):
		return errors.New("not UTF-8")
	case s[0] == ' ' || s[len(s)-1] == ' ':
		return errors.New("a space at an end")
	}
	for _, r := range s {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || turns(r) {
			return fmt.Errorf("character %U", r)
		}
	}
	return nil
}

// turns reports whether r is Bidi_Control of Unicode.
func turns(r rune) bool {
	return r == 0x61c || r == 0x200e || r == 0x200f || 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069
}

// PathKind says what a file of a bundle is.
type PathKind int

// The files of a bundle. Where the name has numbers, N is the first and I the
// second.
const (
	PathList          PathKind = iota + 1 // BUNDLE
	PathListSignature                     // BUNDLE.sig
	PathPolicy                            // policy
	PathHead                              // checkpoint
	PathEvent                             // events/N.entry
	PathEventsProof                       // events/proof
	PathLeaf                              // trees/N-TREE/I.open
	PathTreeProof                         // trees/N-TREE/proof
	PathTreeProof512                      // trees/N-TREE/proof-sha512
	PathContent                           // content/N-records/I
	PathPrevHead                          // prev/N.checkpoint
	PathPrevProof                         // prev/N.proof
	PathStamp                             // time/N-I.tsr
	PathAnchor                            // time/N-I.ots
	PathUnread                            // README.txt, verify.py, tool, report, gossip
)

// BundlePath is a path of a bundle taken apart.
type BundlePath struct {
	Kind PathKind
	N, I uint64
	Tree string // records or matches
}

// maxBundlePath is what a ustar header holds, in bytes.
const maxBundlePath = 100

// ParseBundlePath reads the path of a file. Errors wrap [ErrBundle].
func ParseBundlePath(path string) (BundlePath, error) {
	kind, ok := fixedPath(path)
	p := BundlePath{Kind: kind}
	if !ok && len(path) <= maxBundlePath {
		folder, name, _ := strings.Cut(path, "/")
		p, ok = pathIn(folder, name)
	}
	if !ok {
		return BundlePath{}, fmt.Errorf("%w: a file that has no place here: %.120q", ErrBundle, path)
	}
	return p, nil
}

// fixedPath is the kind of a file whose name has no part that varies.
func fixedPath(path string) (kind PathKind, ok bool) {
	switch path {
	case "BUNDLE":
		return PathList, true
	case "BUNDLE.sig":
		return PathListSignature, true
	case "policy":
		return PathPolicy, true
	case "checkpoint":
		return PathHead, true
	case "events/proof":
		return PathEventsProof, true
	case "README.txt", "verify.py", "tool/validation.txt", "tool/build.txt":
		return PathUnread, true
	}
	return 0, false
}

func pathIn(folder, name string) (p BundlePath, ok bool) {
	switch folder {
	case "events":
		return numbered(name, map[string]PathKind{".entry": PathEvent})
	case "prev":
		return numbered(name, map[string]PathKind{".checkpoint": PathPrevHead, ".proof": PathPrevProof})
	case "time":
		return twice(name, map[string]PathKind{".tsr": PathStamp, ".ots": PathAnchor})
	case "trees":
		return treePath(name)
	case "content":
		return contentPath(name)
	case "report":
		return BundlePath{Kind: PathUnread}, name != "." && name != ".." && consistsOf(name, ".-")
	case "gossip":
		name, ok := strings.CutSuffix(name, ".checkpoint")
		return BundlePath{Kind: PathUnread}, ok && consistsOf(name, "-")
	}
	return p, false
}

// numbered reads N and one of the endings.
func numbered(name string, endings map[string]PathKind) (p BundlePath, ok bool) {
	number, ending, _ := strings.Cut(name, ".")
	n, err := parseNumber(number)
	kind, ok := endings["."+ending]
	return BundlePath{Kind: kind, N: n}, ok && err == nil
}

// twice reads N-I and one of the endings.
func twice(name string, endings map[string]PathKind) (p BundlePath, ok bool) {
	first, rest, _ := strings.Cut(name, "-")
	n, err := parseNumber(first)
	p, ok = numbered(rest, endings)
	return BundlePath{Kind: p.Kind, N: n, I: p.N}, ok && err == nil
}

func treePath(name string) (p BundlePath, ok bool) {
	folder, name, _ := strings.Cut(name, "/")
	number, tree, _ := strings.Cut(folder, "-")
	n, err := parseNumber(number)
	if err != nil || tree != "records" && tree != "matches" {
		return p, false
	}
	switch name {
	case "proof":
		return BundlePath{Kind: PathTreeProof, N: n, Tree: tree}, true
	case "proof-sha512":
		return BundlePath{Kind: PathTreeProof512, N: n, Tree: tree}, true
	}
	p, ok = numbered(name, map[string]PathKind{".open": PathLeaf})
	return BundlePath{Kind: PathLeaf, N: n, I: p.N, Tree: tree}, ok
}

func contentPath(name string) (p BundlePath, ok bool) {
	folder, index, _ := strings.Cut(name, "/")
	number, isRecords := strings.CutSuffix(folder, "-records")
	n, err := parseNumber(number)
	i, err2 := parseNumber(index)
	return BundlePath{Kind: PathContent, N: n, I: i, Tree: "records"}, isRecords && err == nil && err2 == nil
}

// consistsOf reports whether name is of a–z, 0–9 and those others.
func consistsOf(name, others string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune(others, r)
	})
}

// TarHeaderSize is the size of a header, and what files are padded to, in bytes.
const TarHeaderSize = 512

// maxTarFile is what eleven octal digits hold, in bytes.
const maxTarFile = 1<<33 - 1

// TarHeader is the one header that a file of a bundle has in a tar: ustar, POSIX
// 1003.1-1988, of its name and size alone. path must be one that
// [ParseBundlePath] takes. Files of 8 GiB and more have none; then the error wraps
// [ErrBundle].
func TarHeader(path string, size uint64) (h [TarHeaderSize]byte, err error) {
	if len(path) > maxBundlePath || size > maxTarFile {
		return h, fmt.Errorf("%w: %.120q of %d bytes has no place in a tar", ErrBundle, path, size)
	}
	copy(h[0:], path)
	copy(h[100:], "0000644\x000000000\x000000000\x00")           // mode, user, group
	copy(h[124:], fmt.Sprintf("%011o\x0000000000000\x00", size)) // and time
	copy(h[148:], "        0")                                   // sum, type
	copy(h[257:], "ustar\x0000")
	copy(h[329:], "0000000\x000000000\x00") // device
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h, nil
}

// ParseTarHeader reads what [TarHeader] writes and nothing else. Errors wrap
// [ErrBundle].
func ParseTarHeader(h [TarHeaderSize]byte) (path string, size uint64, err error) {
	path = strings.TrimRight(string(h[:maxBundlePath]), "\x00")
	digits := string(h[124:135])
	size, err = strconv.ParseUint(digits, 8, 64)
	if err != nil {
		return "", 0, fmt.Errorf("%w: a tar with a size %q", ErrBundle, digits)
	}
	if _, err := ParseBundlePath(path); err != nil {
		return "", 0, err
	}
	if again, err := TarHeader(path, size); err != nil || again != h {
		return "", 0, fmt.Errorf("%w: a tar that is not in its one form, at %s", ErrBundle, path)
	}
	return path, size, nil
}
