package carve

import "encoding/binary"

// WebP: RFC 9649. AVI: Microsoft AVI RIFF File Reference; OpenDML AVI File Format
// Extensions 1.02.

var little = binary.LittleEndian

// riff follows the chunks of a WebP or AVI file.
func riff(v *view) (found, bool) {
	end, form := riffForm(v, 0)
	switch form {
	case "WEBP":
		return found{size: end, ext: "webp"}, webp(v, end)
	case "AVI ":
		end = avi(v, end)
		return found{size: end, ext: "avi"}, end > 0
	}
	return found{}, false
}

// riffForm is where the RIFF chunk at pos ends, and its form.
func riffForm(v *view, pos int64) (end int64, form string) {
	b := v.bytes(pos, 12)
	if b == nil || string(b[:4]) != "RIFF" {
		return 0, ""
	}
	size := int64(little.Uint32(b[4:]))
	if size < 4+8 {
		return 0, ""
	}
	return pos + 8 + size, fourCC(b[8:])
}

// chunks follows the chunks between two places and reports whether they fill
// them.
func chunks(v *view, from, to int64, each func(id string, body, size int64) bool) bool {
	if !v.to(to) {
		return false
	}
	for from < to {
		if to-from < 8 {
			return false
		}
		b := v.bytes(from, 8)
		if b == nil {
			return false
		}
		id, size := fourCC(b), int64(little.Uint32(b[4:]))
		if id == "" || size > to-from-8 || !each(id, from+8, size) {
			return false
		}
		from += 8 + size + size&1
	}
	return true
}

// webp takes a file whose first chunk is one of the three that may be.
func webp(v *view, end int64) bool {
	first, pictures := true, 0
	ok := chunks(v, 12, end, func(id string, body, size int64) bool {
		if first && id != "VP8 " && id != "VP8L" && id != "VP8X" {
			return false
		}
		first = false
		switch id {
		case "VP8 ":
			pictures++
			return size >= 10 && v.is(body+3, "\x9d\x01\x2a")
		case "VP8L":
			pictures++
			return size >= 5 && v.is(body, "\x2f")
		case "VP8X":
			return size == 10
		case "ANMF":
			pictures++
			return size >= 16
		}
		return true
	})
	return ok && pictures > 0
}

// avi is where the file ends, with the RIFF chunks of OpenDML behind the first,
// or -1.
func avi(v *view, end int64) int64 {
	if !v.is(12, "LIST") || !v.is(20, "hdrl") || !v.is(24, "avih") || !aviChunks(v, 12, end) {
		return -1
	}
	for {
		next, form := riffForm(v, end)
		if form != "AVIX" || !aviChunks(v, end+12, next) {
			return end
		}
		end = next
	}
}

// aviChunks follows the chunks of a RIFF chunk, and the frames among them.
func aviChunks(v *view, from, to int64) bool {
	movies := 0
	any := func(string, int64, int64) bool { return true }
	ok := chunks(v, from, to, func(id string, body, size int64) bool {
		if id != "LIST" || size < 4 {
			return true
		}
		if !v.is(body, "movi") {
			return true
		}
		movies++
		return chunks(v, body+4, body+size, any)
	})
	return ok && movies > 0
}
