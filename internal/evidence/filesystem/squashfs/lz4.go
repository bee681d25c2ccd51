package squashfs

// unlz4 expands a block of the LZ4 block format: sequences of a token, literals,
// two bytes of how far back a match lies, and the match.
func unlz4(dst, packed []byte) (int, error) {
	out, in := 0, 0
	for in < len(packed) {
		token := packed[in]
		in++
		literals, ok := lz4Length(packed, &in, int(token>>4), len(dst))
		if !ok || literals > len(packed)-in {
			return out, errPacked
		}
		if literals > len(dst)-out {
			return out, errTooLong
		}
		out += copy(dst[out:], packed[in:in+literals])
		if in += literals; in == len(packed) {
			return out, nil // the last sequence has no match
		}
		if len(packed)-in < 2 {
			return out, errPacked
		}
		back := int(packed[in]) | int(packed[in+1])<<8
		in += 2
		match, ok := lz4Length(packed, &in, int(token&15), len(dst))
		if match += 4; !ok || back == 0 || back > out {
			return out, errPacked
		}
		if match > len(dst)-out {
			return out, errTooLong
		}
		for range match { // it may reach into itself
			dst[out] = dst[out-back]
			out++
		}
	}
	return out, errPacked
}

// lz4Length: 15 means that bytes follow, to be added, until one is not 255. It
// gives up when it gets longer than most.
func lz4Length(packed []byte, in *int, length, most int) (int, bool) {
	if length < 15 {
		return length, true
	}
	for *in < len(packed) {
		more := packed[*in]
		*in++
		length += int(more)
		if more != 255 {
			return length, true
		}
		if length > most {
			return length, true
		}
	}
	return 0, false
}
