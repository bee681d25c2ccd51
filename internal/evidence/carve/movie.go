package carve

import "strings"

// MP4, 3GP, HEIC, AVIF: ISO/IEC 14496-12 (ISO base media file format), clause 4;
// ISO/IEC 23008-12 (HEIF). MOV: QuickTime File Format.

// topLevel are the boxes that a file may consist of.
var topLevel = map[string]bool{
	"ftyp": true, "moov": true, "mdat": true, "meta": true, "moof": true, "mfra": true, "sidx": true, "ssix": true,
	"styp": true, "free": true, "skip": true, "wide": true, "pnot": true, "PICT": true, "uuid": true, "pdin": true,
	"prft": true, "emsg": true, "meco": true, "udta": true, "mpvd": true, "sefd": true, "sefT": true, "iref": true,
}

func movie(v *view) (found, bool) { return boxes(v, 0) }

// box is one box: its head is at from, its body between body and to.
type box struct {
	kind           string
	from, body, to int64
}

// boxAt reads the head of a box. Its end may lie outside the view. A box without
// an end is none: only its file system knew it.
func boxAt(v *view, pos int64) (b box, ok bool) {
	head := v.bytes(pos, 8)
	if head == nil {
		return b, false
	}
	size := int64(big.Uint32(head))
	b = box{kind: fourCC(head[4:]), from: pos, body: pos + 8}
	if size == 1 {
		size, b.body = v.number(big, pos+8, 8), pos+16
	}
	b.to = pos + size
	return b, b.kind != "" && b.to >= b.body
}

// contents is what the boxes of a file were.
type contents struct {
	brand                 string
	movies, metas, medias int
}

// boxes follows the boxes of a file from a place on until what follows is none.
func boxes(v *view, from int64) (found, bool) {
	var c contents
	pos := from
	for {
		b, ok := boxAt(v, pos)
		if !ok || !topLevel[b.kind] || b.kind == "ftyp" && pos > from {
			break
		}
		if pos == from && from > 0 && b.kind != "ftyp" {
			return found{}, false
		}
		if !v.to(b.to) || !c.take(v, b) {
			return found{}, false
		}
		pos = b.to
	}
	if v.why == unreadable || v.why == exhausted {
		return found{}, false
	}
	v.why = ""
	return found{size: pos, ext: c.ext()}, c.whole()
}

// take checks one box.
func (c *contents) take(v *view, b box) bool {
	switch b.kind {
	case "ftyp":
		head := v.bytes(b.body, 4)
		if head == nil || fourCC(head) == "" || b.to-b.body < 8 || b.to-b.body > 1<<12 {
			return false
		}
		c.brand = fourCC(head)
	case "moov":
		c.movies++
		return c.movies == 1 && hasChild(v, b.body, b.to, "mvhd", "cmov")
	case "meta":
		c.metas++
		return hasChild(v, b.body+4, b.to, "hdlr") || hasChild(v, b.body, b.to, "hdlr")
	case "mdat":
		c.medias++
	}
	return true
}

// hasChild reports whether boxes fill a place, one of the kinds among them.
func hasChild(v *view, pos, to int64, kinds ...string) (has bool) {
	for pos < to {
		b, ok := boxAt(v, pos)
		if !ok || b.to > to {
			return false
		}
		for _, kind := range kinds {
			has = has || b.kind == kind
		}
		pos = b.to
	}
	return has
}

// whole reports whether the boxes make a file: a movie and its media, or items
// (whose bytes may lie in the meta box itself).
func (c *contents) whole() bool {
	return c.movies > 0 && c.medias > 0 || c.metas > 0 && c.still()
}

func (c *contents) still() bool {
	switch c.brand {
	case "mif1", "mif2", "msf1", "heic", "heix", "heim", "heis", "hevc", "hevx", "avif", "avis", "crx ":
		return true
	}
	return false
}

// ext is the usual ending of a name.
func (c *contents) ext() string {
	switch {
	case c.brand == "" || c.brand == "qt  ":
		return "mov"
	case c.brand == "avif" || c.brand == "avis":
		return "avif"
	case c.brand == "crx ":
		return "cr3"
	case c.still():
		return "heic"
	case strings.HasPrefix(c.brand, "3g"):
		return "3gp"
	case c.brand == "M4A " || c.brand == "M4B ":
		return "m4a"
	}
	return "mp4"
}
