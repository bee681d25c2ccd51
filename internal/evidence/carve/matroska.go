package carve

import "math/bits"

// Matroska and WebM: RFC 8794 (EBML), RFC 9559 (Matroska).

// Element IDs, with their length marker.
const (
	idHeader   = 0x1a45dfa3
	idDocType  = 0x4282
	idSegment  = 0x18538067
	idSeekHead = 0x114d9b74
	idInfo     = 0x1549a966
	idTracks   = 0x1654ae6b
	idCluster  = 0x1f43b675
	idCues     = 0x1c53bb6b
	idAttached = 0x1941a469
	idChapters = 0x1043a770
	idTags     = 0x1254c367
	idVoid     = 0xec
	idCRC      = 0xbf
)

var (
	inSegment = map[int64]bool{
		idSeekHead: true, idInfo: true, idTracks: true, idCluster: true, idCues: true,
		idAttached: true, idChapters: true, idTags: true, idVoid: true, idCRC: true,
	}
	inCluster = map[int64]bool{
		0xe7: true, 0x5854: true, 0xa7: true, 0xab: true, // Timestamp, SilentTracks, Position, PrevSize
		0xa3: true, 0xa0: true, 0xaf: true, idVoid: true, idCRC: true, // SimpleBlock, BlockGroup, EncryptedBlock
	}
)

// element is one element: its body between body and to; to is -1 where its size
// was never filled in.
type element struct{ id, body, to int64 }

// elementAt reads the head of an element. Its end may lie outside the view.
func elementAt(v *view, pos int64) (e element, ok bool) {
	const mostHead = 4 + 8
	b := v.bytes(pos, int(min(mostHead, max(v.size-pos, 1))))
	if b == nil {
		return e, false
	}
	idLen := bits.LeadingZeros8(b[0]) + 1
	if idLen > 4 || len(b) <= idLen {
		return e, false
	}
	sizeLen := bits.LeadingZeros8(b[idLen]) + 1
	if sizeLen > 8 || len(b) < idLen+sizeLen {
		return e, false
	}
	marker := int64(1) << (7 * sizeLen)
	size := number(big, b[idLen:idLen+sizeLen]) - marker
	e = element{id: number(big, b[:idLen]), body: pos + int64(idLen+sizeLen), to: -1}
	if size != marker-1 {
		e.to = e.body + size
	}
	return e, true
}

// matroska follows the elements of a file.
func matroska(v *view) (found, bool) {
	head, ok := elementAt(v, 0)
	if !ok || head.id != idHeader || head.to < 0 || head.to > 4<<10 {
		return found{}, false
	}
	ext := docType(v, head)
	segment, ok := elementAt(v, head.to)
	if ext == "" || !ok || segment.id != idSegment || segment.to >= 0 && !v.to(segment.to) {
		return found{}, false
	}
	end := walkSegment(v, segment)
	return found{size: end, ext: ext}, end > 0
}

// docType is the ending for the document type, or "".
func docType(v *view, head element) string {
	for pos := head.body; pos < head.to; {
		e, ok := elementAt(v, pos)
		if !ok || e.to < 0 || e.to > head.to {
			return ""
		}
		if e.id == idDocType {
			switch string(v.bytes(e.body, int(e.to-e.body))) {
			case "matroska", "matroska\x00":
				return "mkv"
			case "webm", "webm\x00":
				return "webm"
			}
			return ""
		}
		pos = e.to
	}
	return ""
}

// walkSegment is where the segment ends, or -1 if its elements do not fill it or
// it holds no media.
func walkSegment(v *view, segment element) int64 {
	tracks, clusters := 0, 0
	pos := segment.body
	for segment.to < 0 || pos < segment.to {
		e, ok := elementAt(v, pos)
		if !ok || !inSegment[e.id] {
			if segment.to >= 0 || v.why == unreadable || v.why == exhausted {
				return -1
			}
			break // behind a live recording
		}
		switch e.id {
		case idTracks:
			tracks++
		case idCluster:
			clusters++
			e.to = walkCluster(v, e)
		}
		if e.to < 0 || !v.to(e.to) {
			return -1
		}
		pos = e.to
	}
	if tracks == 0 || clusters == 0 || segment.to >= 0 && pos != segment.to {
		return -1
	}
	v.why = ""
	return pos
}

// walkCluster is where a cluster ends, or -1.
func walkCluster(v *view, cluster element) int64 {
	pos := cluster.body
	for cluster.to < 0 || pos < cluster.to {
		e, ok := elementAt(v, pos)
		if !ok || !inCluster[e.id] {
			if cluster.to >= 0 {
				return -1
			}
			return pos
		}
		if e.to < 0 || !v.to(e.to) {
			return -1
		}
		pos = e.to
	}
	if pos != cluster.to {
		return -1
	}
	return pos
}
