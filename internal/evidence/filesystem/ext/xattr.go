package ext

import "errors"

// Inline data: ext4 documentation "Inline Data" and "Extended Attributes". The
// first 60 bytes lie where the block map would be, the rest is the value of the
// attribute system.data behind the fields of the inode.

const (
	xattrMagic  = 0xea020000
	xattrSystem = 7
)

var errNoInline = errors.New("the inline data goes on in an attribute that is not there")

// inline is the content that the inode itself holds, cut to its size.
func (in *inode) inline() ([]byte, error) {
	b := append([]byte(nil), in.area()...)
	if in.size <= blockArea {
		return b[:max(in.size, 0)], nil
	}
	rest, ok := in.systemData()
	if b = append(b, rest...); !ok || int64(len(b)) < in.size {
		return b, errNoInline
	}
	return b[:in.size], nil
}

// systemData is the value of system.data.
func (in *inode) systemData() ([]byte, bool) {
	start := minInode + in.extra()
	if start+4 > len(in.raw) || le32(in.raw, start) != xattrMagic {
		return nil, false
	}
	entries := in.raw[start+4:]
	for at := 0; at+16 <= len(entries) && le32(entries, at) != 0; {
		n := int(entries[at])
		if at+16+n > len(entries) {
			return nil, false
		}
		if entries[at+1] == xattrSystem && string(entries[at+16:at+16+n]) == "data" {
			from, size := int(le16(entries, at+2)), int64(le32(entries, at+8))
			if size > int64(len(entries)) || from+int(size) > len(entries) {
				return nil, false
			}
			return entries[from : from+int(size)], true
		}
		at += (16 + n + 3) &^ 3
	}
	return nil, false
}
