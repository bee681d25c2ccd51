package carve

// BMP: Microsoft, Bitmap Storage and BITMAPINFOHEADER to BITMAPV5HEADER.

// bmp holds the size in the header against the dimensions.
func bmp(v *view) (found, bool) {
	b := v.bytes(0, 34)
	if b == nil || little.Uint32(b[6:]) != 0 {
		return found{}, false
	}
	told, pixels, header := int64(little.Uint32(b[2:])), int64(little.Uint32(b[10:])), int64(little.Uint32(b[14:]))
	width, height := int64(int32(little.Uint32(b[18:]))), int64(int32(little.Uint32(b[22:])))
	depth, compression := int64(little.Uint16(b[28:])), little.Uint32(b[30:])
	height = max(height, -height)
	switch {
	case header != 40 && header != 52 && header != 56 && header != 108 && header != 124,
		width < 1 || height < 1 || width > 1<<16 || height > 1<<16,
		little.Uint16(b[26:]) != 1, // planes
		depth != 1 && depth != 4 && depth != 8 && depth != 16 && depth != 24 && depth != 32,
		compression != 0 && compression != 3, // neither plain nor bit fields
		pixels < 14+header || pixels > 14+header+1024+16:
		return found{}, false
	}
	size := pixels + (width*depth+31)/32*4*height
	if told < size || told > size+3 { // some writers pad the end
		return found{}, false
	}
	return found{size: told, ext: "bmp"}, v.to(told)
}
