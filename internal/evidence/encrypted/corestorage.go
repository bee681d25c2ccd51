package encrypted

import (
	"encoding/binary"

	"tutela/internal/evidence"
)

// CoreStorage recognises a physical volume of Apple's volume manager whose header
// says that its metadata are encrypted, as those of FileVault 2 are (libfvde,
// "Physical volume header"). Whether the files are encrypted too stands in those
// metadata. detail is for a finding.
func CoreStorage(src evidence.Source) (detail string, ok bool) {
	const aesXTS = 2
	b := make([]byte, 512)
	if n, _ := src.ReadAt(b, 0); n < len(b) || string(b[88:90]) != "CS" || binary.LittleEndian.Uint16(b[8:]) != 1 {
		return "", false
	}
	if keyBytes := binary.LittleEndian.Uint32(b[168:]); keyBytes == 0 || binary.LittleEndian.Uint32(b[172:]) != aesXTS {
		return "", false
	}
	return "corestorage: its metadata are encrypted with AES-XTS, as FileVault 2 does; no reader tells whether the files are too", true
}
