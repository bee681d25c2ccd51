package carve

import "bytes"

// The trailer of Samsung's cameras ("SEF"), as ExifTool's documentation and the
// pictures themselves tell it: fields (two zeros, a type, the length of a name,
// the name, data; the video of a motion photo is one), then a directory "SEFH"
// that says how far before itself each field begins, its own length, and "SEFT".
// All numbers are little-endian.

const (
	mostFieldName    = 64
	mostSamsung      = 128 << 20 // bytes of all fields
	mostFieldsListed = 256
)

// samsung is where the trailer ends that begins at a place, or 0 if none does.
func samsung(v *view, from int64) int64 {
	head := v.bytes(from, 8)
	if head == nil || head[0] != 0 || head[1] != 0 {
		return 0
	}
	n := int(min(little.Uint32(head[4:]), mostFieldName+1))
	if n < 1 || n > mostFieldName || !printable(v.bytes(from+8, n)) {
		return 0
	}
	window := leastWindow
	for pos := from + 8; pos-from < mostSamsung; window = min(2*window, mostWindow) {
		b := v.bytes(pos, int(min(int64(window), v.size-pos)))
		if len(b) < len("SEFH") {
			return 0
		}
		at := bytes.Index(b, []byte("SEFH"))
		if at < 0 {
			pos += int64(len(b) - len("SEFH") + 1)
			continue
		}
		v.took(at - len(b)) // the rest of the window is looked at again
		pos += int64(at)
		if end := samsungDirectory(v, pos, pos-from); end > 0 {
			return end
		}
		pos, window = pos+1, leastWindow/2
	}
	return 0
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return len(b) > 0
}

// samsungDirectory is where the trailer ends whose directory lies at a place and
// whose first field begins so many bytes before it, or 0.
func samsungDirectory(v *view, at, fields int64) int64 {
	count := v.number(little, at+8, 4)
	if count < 1 || count > mostFieldsListed {
		return 0
	}
	length := 12 + 12*count
	b := v.bytes(at, int(length)+8)
	if b == nil || int64(little.Uint32(b[length:])) != length || string(b[length+4:]) != "SEFT" {
		return 0
	}
	first := int64(0)
	for e := b[12:length]; len(e) > 0; e = e[12:] {
		first = max(first, int64(little.Uint32(e[4:])))
	}
	if first != fields {
		return 0
	}
	return at + length + 8
}
