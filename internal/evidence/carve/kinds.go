package carve

import "encoding/binary"

// shortestHead is how many bytes tell whether a file may begin somewhere.
const shortestHead = 16

// validator follows the structure of what begins like its format. It returns
// false if there is no such file.
type validator func(*view) (found, bool)

// recognise is the validator for what begins with head, or nil.
func recognise(head []byte) validator {
	first := binary.BigEndian.Uint32(head)
	switch first {
	case 0:
		return nil
	case 0x89504e47: // "\x89PNG"
		return png
	case 0x47494638: // "GIF8"
		return gif
	case 0x52494646: // "RIFF"
		return riff
	case 0x25504446: // "%PDF"
		return pdf
	case 0x504b0304: // "PK\3\4"
		return zip
	case 0x1a45dfa3:
		return matroska
	case 0x49492a00, 0x4d4d002a: // "II*\0", "MM\0*"
		return tiff
	}
	switch {
	case first>>8 == 0xffd8ff:
		return jpeg
	case first>>16 == 0x424d: // "BM"
		return bmp
	}
	switch binary.BigEndian.Uint32(head[4:]) {
	case 0x66747970, 0x6d6f6f76, 0x6d646174, // ftyp, moov, mdat
		0x77696465, 0x66726565, 0x736b6970, 0x706e6f74: // wide, free, skip, pnot
		return movie
	}
	return nil
}
