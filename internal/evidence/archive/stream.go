package archive

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz/lzma"

	"tutela"
)

// opensStream begins to decode a compressed stream.
type opensStream func(content *io.SectionReader) (io.ReadCloser, error)

func (l *listing) gzip(head []byte) error {
	m := l.streamMember(l.newGzip)
	l.gzipHeader(m, head)
	return l.stream(m)
}

func (l *listing) bzip2([]byte) error {
	return l.stream(l.streamMember(func(content *io.SectionReader) (io.ReadCloser, error) {
		return io.NopCloser(bzip2.NewReader(content)), nil
	}))
}

func (l *listing) xz([]byte) error {
	return l.stream(l.streamMember(func(content *io.SectionReader) (io.ReadCloser, error) {
		return io.NopCloser(newXZ(content, content.Size())), nil
	}))
}

func (l *listing) zstd([]byte) error {
	return l.stream(l.streamMember(func(content *io.SectionReader) (io.ReadCloser, error) {
		return newZstd(content, content.Size())
	}))
}

func (l *listing) lz4([]byte) error {
	return l.stream(l.streamMember(func(content *io.SectionReader) (io.ReadCloser, error) {
		return newLZ4(content)
	}))
}

func (l *listing) compress([]byte) error {
	return l.stream(l.streamMember(func(content *io.SectionReader) (io.ReadCloser, error) {
		z, err := newLZW(content)
		return io.NopCloser(z), err
	}))
}

func (l *listing) lzma([]byte) error {
	return l.stream(l.streamMember(func(content *io.SectionReader) (io.ReadCloser, error) {
		return newLZMA(content)
	}))
}

// streamMember is the one member of a compressed stream.
func (l *listing) streamMember(open opensStream) *member {
	m := &member{name: streamName(l.parent.Path), kind: tutela.File, size: -1}
	m.open = func() (io.ReadCloser, error) { return open(io.NewSectionReader(l.content, 0, l.size)) }
	return m
}

// stream lists the one member.
func (l *listing) stream(m *member) error {
	if err := l.next(); err != nil {
		return err
	}
	return l.member(m)
}

// streamSuffixes are the endings that compression adds to a name, and what
// stood there before.
var streamSuffixes = []struct{ suffix, before string }{
	{".gz", ""}, {".bz2", ""}, {".xz", ""}, {".zst", ""}, {".lz4", ""}, {".lzma", ""}, {".z", ""},
	{".tgz", ".tar"}, {".taz", ".tar"}, {".tbz", ".tar"}, {".tbz2", ".tar"}, {".txz", ".tar"}, {".tzst", ".tar"}, {".tlz", ".tar"}, {".ab", ".tar"},
}

// streamName is the name a file had before it was compressed, judged by the
// name it has now.
func streamName(path []byte) []byte {
	base := path[bytes.LastIndexByte(path, '/')+1:]
	for _, s := range streamSuffixes {
		cut := len(base) - len(s.suffix)
		if cut > 0 && strings.EqualFold(string(base[cut:]), s.suffix) {
			return append(bytes.Clone(base[:cut]), s.before...)
		}
	}
	return bytes.Clone(base)
}

// gzipHeader takes name and time from the first header (RFC 1952 2.3). The name
// is taken as written, if it is a name and not a path.
func (l *listing) gzipHeader(m *member, head []byte) {
	if len(head) < 10 {
		return
	}
	if seconds := binary.LittleEndian.Uint32(head[4:]); seconds != 0 {
		m.times.Modified = time.Unix(int64(seconds), 0).UTC()
	}
	const hasExtra, hasName = 1 << 2, 1 << 3
	if head[3]&hasName == 0 {
		return
	}
	at := int64(10)
	if head[3]&hasExtra != 0 && len(head) >= 12 {
		at += 2 + int64(binary.LittleEndian.Uint16(head[10:]))
	}
	name, _ := bufio.NewReader(io.NewSectionReader(l.content, at, int64(l.limits.NameBytes))).ReadBytes(0)
	name, ended := bytes.CutSuffix(name, []byte{0})
	if ended && len(name) > 0 && !bytes.ContainsAny(name, "/\\") && string(name) != "." && string(name) != ".." {
		m.name = name
	}
}

// gzipReader joins the members of a gzip file (RFC 1952 2.2) and ends where
// something else follows them, which compress/gzip takes for an error.
type gzipReader struct {
	*gzip.Reader
	src     *bufio.Reader
	listing *listing
}

func (l *listing) newGzip(r *io.SectionReader) (io.ReadCloser, error) {
	src := bufio.NewReader(r)
	z, err := gzip.NewReader(src)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return &gzipReader{z, src, l}, nil
}

func (g *gzipReader) Read(p []byte) (int, error) {
	n, err := g.Reader.Read(p)
	if err != io.EOF {
		return n, err
	}
	return n, g.nextMember()
}

func (g *gzipReader) nextMember() error {
	magic, err := g.src.Peek(3)
	if len(magic) == 0 {
		return err
	}
	if string(magic) != "\x1f\x8b\x08" {
		g.trailing()
		return io.EOF
	}
	if err := g.Reader.Reset(g.src); err != nil {
		return err
	}
	g.Multistream(false)
	return nil
}

// trailing reports bytes behind the stream, unless they are the zeros that
// tapes and block devices fill up with.
func (g *gzipReader) trailing() {
	head, _ := g.src.Peek(HeadBytes)
	if len(bytes.Trim(head, "\x00")) > 0 {
		g.listing.find(tutela.FindingDamaged, "gzip: other bytes follow the compressed stream")
	}
}

// maxWindow bounds the memory a decoder may take, in bytes: xz -9 wants this
// much, zstd no more up to level 19.
const maxWindow = 64 << 20

// zstdReader names the one error that says "too much" and not "wrong".
type zstdReader struct{ io.ReadCloser }

// newZstd decodes a stream of so many compressed bytes. The module allocates
// the window a header asks for before it has read a block, so a small stream is
// allowed a small one: 8 MiB, which level 19 asks for when it does not know the
// size, or what the stream could fill. A block of 4 bytes gives at most 128 KiB
// (RFC 8878 3.1.1.2).
func newZstd(r io.Reader, compressed int64) (io.ReadCloser, error) {
	window := max(8<<20, min(maxWindow, compressed*(128<<10)/4))
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(uint64(window)))
	if err != nil {
		return nil, err
	}
	return zstdReader{z.IOReadCloser()}, nil
}

func (z zstdReader) Read(p []byte) (int, error) {
	n, err := z.ReadCloser.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		err = unsupported("zstd: %v", err)
	}
	return n, err
}

// newLZ4 decodes LZ4 frames (LZ4 Frame Format 1.6.1). A block has at most 4 MiB,
// or 8 MiB in the legacy frames.
func newLZ4(r io.Reader) (io.ReadCloser, error) {
	z := lz4.NewReader(r)
	if err := z.Apply(lz4.ConcurrencyOption(1)); err != nil {
		return nil, err
	}
	return guarded{io.NopCloser(z)}, nil
}

const lzmaHeader = 13 // bytes: properties, dictionary, size

// isLZMA guesses, for the format has no magic: the properties every writer
// takes, a dictionary of 2^n or 2^n+2^(n-1) bytes, a size that is unknown or
// could be one, and a range coder that begins with a zero.
func isLZMA(head []byte) bool {
	if len(head) < lzmaHeader+5 || head[0] != 0x5d || head[lzmaHeader] != 0 {
		return false
	}
	dict := binary.LittleEndian.Uint32(head[1:])
	size := int64(binary.LittleEndian.Uint64(head[5:]))
	top := dict & -dict
	return dict >= 1<<12 && (dict == top || dict == top|top<<1) && size >= -1 && size < 1<<40
}

func newLZMA(content *io.SectionReader) (io.ReadCloser, error) {
	var h [lzmaHeader]byte
	if _, err := io.ReadFull(content, h[:]); err != nil {
		return nil, whole(err)
	}
	dict, err := dictionary(int64(binary.LittleEndian.Uint32(h[1:])), content.Size())
	if err != nil {
		return nil, err
	}
	binary.LittleEndian.PutUint32(h[1:], uint32(dict))
	r, err := lzma.ReaderConfig{DictCap: dict}.NewReader(io.MultiReader(bytes.NewReader(h[:]), content))
	if err != nil {
		return nil, err
	}
	return io.NopCloser(r), nil
}

const abMagic = "ANDROID BACKUP\n"

// androidBackup lists what `adb backup` wrote: four lines, and behind them a tar,
// deflated or not.
func (l *listing) androidBackup(head []byte) error {
	lines := bytes.SplitN(head, []byte{'\n'}, 5)
	if len(lines) < 5 {
		l.find(tutela.FindingTruncated, "ab: the header is cut off")
		return nil
	}
	version, compressed, cipher := string(lines[1]), string(lines[2]), string(lines[3])
	if cipher != "none" {
		l.find(tutela.FindingEncrypted, "ab: the backup is encrypted with %s", tutela.DisplayPath(lines[3]))
		return nil
	}
	if len(version) != 1 || version < "1" || version > "5" {
		l.find(tutela.FindingUnsupported, "ab: version %s", tutela.DisplayPath(lines[1]))
		return nil
	}
	at := int64(len(abMagic) + len(version) + len(compressed) + len(cipher) + 3)
	m := l.streamMember(func(content *io.SectionReader) (io.ReadCloser, error) {
		return zlib.NewReader(io.NewSectionReader(content, at, content.Size()-at))
	})
	m.at = at
	if compressed != "1" {
		m.size = l.size - at
		l.inPlace(m, at)
	}
	return l.stream(m)
}
