package carve

// GIF: Graphics Interchange Format, version 89a, clauses 15 to 27.

// gif follows the blocks up to the trailer.
func gif(v *view) (found, bool) {
	head := v.bytes(0, 13)
	if head == nil || string(head[3:6]) != "87a" && string(head[3:6]) != "89a" {
		return found{}, false
	}
	if little.Uint16(head[6:]) == 0 || little.Uint16(head[8:]) == 0 {
		return found{}, false
	}
	images := 0
	for pos := 13 + colourTable(head[10]); ; {
		b := v.bytes(pos, 1)
		if b == nil {
			return found{}, false
		}
		switch b[0] {
		case 0x3b: // trailer
			return found{size: pos + 1, ext: "gif"}, images > 0
		case 0x21: // extension, and its label
			pos = subBlocks(v, pos+2)
		case 0x2c:
			pos = gifImage(v, pos)
			images++
		default:
			return found{}, false
		}
		if pos < 0 {
			return found{}, false
		}
	}
}

// gifImage is where an image ends, or -1.
func gifImage(v *view, pos int64) int64 {
	b := v.bytes(pos, 10)
	if b == nil || little.Uint16(b[5:]) == 0 || little.Uint16(b[7:]) == 0 {
		return -1
	}
	pos += 10 + colourTable(b[9])
	if size := v.bytes(pos, 1); size == nil || size[0] < 1 || size[0] > 11 { // of the LZW codes
		return -1
	}
	return subBlocks(v, pos+1)
}

// colourTable is the size of the table that packed fields announce, in bytes.
func colourTable(packed byte) int64 {
	if packed&0x80 == 0 {
		return 0
	}
	return 3 << (packed&7 + 1)
}

// subBlocks is where a row of data sub-blocks ends, or -1.
func subBlocks(v *view, pos int64) int64 {
	for {
		p := v.piece(pos)
		if p == nil {
			return -1
		}
		i := 0
		for i < len(p) && p[i] != 0 {
			i += 1 + int(p[i])
		}
		v.took(max(min(i, len(p)), step))
		if i < len(p) {
			return pos + int64(i) + 1
		}
		pos += int64(i)
	}
}
