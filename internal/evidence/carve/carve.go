// Package carve finds files by their content alone, where no file system lists
// them: in the free space of a volume, between volumes, on a volume that no
// reader understands.
//
// Start with [New], then [Carver.Walk].
//
// # What becomes an entry
//
// Each file that lies in one piece, begins at a multiple of 512 bytes from the
// beginning of a free stretch (file systems begin files at clusters, which are
// whole sectors) and whose structure holds together from its first byte to its
// last. Head and foot alone are never enough:
//
//   - JPEG (ITU-T T.81): every segment, frame and scan header, the Huffman codes
//     of every block, whose number must fit the dimensions, restart markers in
//     their order, up to the end of the image; further pictures that a
//     Multi-Picture index names (CIPA DC-007), a video that follows at once
//     (motion photos) and the trailer of Samsung's cameras belong to the file.
//   - PNG (ISO/IEC 15948): every chunk and its checksum.
//   - GIF (GIF89a specification): every block up to the trailer.
//   - WebP and AVI (RIFF; OpenDML for AVI above 1 GiB): every chunk.
//   - MP4, MOV, 3GP, M4A, HEIC, AVIF, CR3 (ISO/IEC 14496-12, QuickTime File
//     Format): every box of the file and of its moov or meta, one of which must be
//     there.
//   - Matroska and WebM (RFC 8794, RFC 9559): every element down to the blocks
//     of a cluster, also with sizes that were never filled in.
//   - PDF (ISO 32000-1, 7.5): objects up to an end-of-file mark whose startxref
//     leads to a cross-reference, and the incremental updates behind it.
//   - ZIP (APPNOTE 6.3.10), and what is made of it (OOXML, OpenDocument, EPUB,
//     JAR, APK): every local header, the directory, and an end record that fits
//     both.
//   - BMP: the size that the header tells and the size that its dimensions give.
//   - TIFF 6.0: every directory and what it points to; such a file does not tell
//     its length, so its entry says FindingAssumed.
//
// A JPEG that breaks off behind the header of its first scan is given up to
// there, if that are 4 KiB or more, and says FindingTruncated. Broken files of
// other formats are not given. The search goes on behind a file, so what lies
// inside it is not found again; behind a broken JPEG it goes on in its pixels,
// and a whole file found there ends it.
//
// Paths are "/$Carved/<offset>.<ext>", with the offset in the source in twelve
// digits or more. Entries come in the order of their offsets; "/" comes last
// where a part of the free space was not looked through.
//
// # Promised
//
// Runs are the content. Time grows with the free space alone: what a header
// makes the search read in vain is counted, and when that exceeds twice what has
// been looked through (and 128 MiB), headers are passed over until it is less
// again, which "/" says as FindingLimit. Memory does not grow with it: 4 MiB of
// the source are kept, and 32 MiB at most of what a progressive picture must
// remember.
// Files beyond [evidence.Limits] MemberBytes are not given, and "/" says so.
//
// # Not promised
//
// Files in several pieces are not put together (ext2 and ext3 lay most files of
// more than twelve blocks so). One whose middle belongs to another file is found
// broken, or, where its format has no checksums and its structure does not lead
// through that middle, given as if it were whole: pixels of BMP, TIFF, GIF, WebP
// and of a JPEG with arithmetic codes or above 89 million pixels in three
// colours, media data of an MP4, members of a ZIP, streams of a PDF.
//
// Trailers that a format does not know of are left off (AFCP and PhotoMechanic
// behind a JPEG, signatures behind a ZIP); one end of line behind the last mark of
// a PDF is kept. Not given are an MP4 whose last box reaches "to the end
// of the file" and an AVI whose size was never filled in; a TIFF whose maker's
// notes point at data that nothing else points at is cut short.
package carve

import (
	"cmp"
	"context"
	"slices"

	"tutela"
	"tutela/internal/evidence"
)

// Carver looks through free space.
type Carver struct {
	src  evidence.Source
	free []tutela.Run
}

var _ evidence.FileSystem = (*Carver)(nil)

// New looks through the stretches of src, in bytes from its beginning. What lies
// outside of src is left out, and stretches that touch or overlap are joined.
func New(src evidence.Source, free []tutela.Run) *Carver {
	return &Carver{src, joined(free, src.Size())}
}

func joined(free []tutela.Run, size int64) []tutela.Run {
	sorted := slices.Clone(free)
	slices.SortFunc(sorted, func(a, b tutela.Run) int { return cmp.Compare(a.Offset, b.Offset) })
	out := sorted[:0]
	for _, r := range sorted {
		if r.Offset < 0 || r.Offset >= size || r.Length <= 0 {
			continue
		}
		r.Length = min(r.Length, size-r.Offset)
		if last := len(out) - 1; last >= 0 && r.Offset <= end(out[last]) {
			out[last].Length = max(end(out[last]), end(r)) - out[last].Offset
			continue
		}
		out = append(out, r)
	}
	return out
}

func end(r tutela.Run) int64 { return r.Offset + r.Length }

// Walk visits what is found, then "/" if something must be said about the
// search. An error that is no [*evidence.ReadError] ends it.
func (c *Carver) Walk(ctx context.Context, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	s := &search{ctx: ctx, src: c.src, visit: visit, most: limits.WithDefaults().MemberBytes}
	s.blocks.src = c.src
	for _, stretch := range c.free {
		if err := s.through(stretch); err != nil {
			return err
		}
	}
	return s.tell()
}
