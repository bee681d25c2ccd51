package udf

import (
	"encoding/binary"
	"fmt"
)

// A directory is a file whose content is one name after the other (ECMA
// 4/14.4).

const (
	markDirectory = 2 // of a name
	markDeleted   = 4
	markParent    = 8
	nameBytes     = 38        // before the name itself
	maxDirectory  = 128 << 20 // bytes, held in memory
)

// name is a file identifier descriptor.
type name struct {
	name  []byte // WTF-8
	marks byte
	at    longAD // of its file entry
}

// names are the names of a directory. problem says why they are not all.
func (fs *FileSystem) names(dir *file, budget *int64) (names []name, problem error) {
	if *budget -= dir.size; *budget < 0 {
		return nil, fmt.Errorf("directories have more bytes than the volume: %w", errLimit)
	}
	b, problem := fs.held(dir, maxDirectory)
	for at := 0; at+nameBytes <= len(b); {
		n, length, err := parseName(b[at:])
		if err == nil {
			names = append(names, n)
			at += length
			continue
		}
		if problem == nil {
			problem = fmt.Errorf("at its byte %d: %w", at, err)
		}
		// The next that looks like one, if there is any.
		for at += 4; at+nameBytes <= len(b); at += 4 {
			if t, err := readTag(b[at:]); err == nil && t.id == tagName {
				break
			}
		}
	}
	return names, problem
}

func parseName(b []byte) (n name, length int, err error) {
	t, err := readTag(b)
	if err != nil || t.id != tagName {
		return n, 0, errNoTag
	}
	le := binary.LittleEndian
	identifier, use := int(b[19]), int(le.Uint16(b[36:]))
	end := nameBytes + use + identifier
	if end > len(b) {
		return n, 0, fmt.Errorf("a name ends behind its directory")
	}
	if !t.covers(b) {
		return n, 0, fmt.Errorf("a name's checksum is wrong")
	}
	n = name{name: text(b[nameBytes+use : end]), marks: b[18], at: parseLongAD(b[20:])}
	n.at.unique = le.Uint32(b[32:]) // 6 bytes of its own, of which the last four count
	return n, (end + 3) &^ 3, nil
}
