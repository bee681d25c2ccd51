package ext

import (
	"fmt"
	"strings"
)

// Directories: ext4 documentation "Directory Entries". A hash tree keeps its
// nodes in entries that look unused, so a directory can be read as a list.

const (
	direntHead = 8
	maxName    = 255
	tailType   = 0xde // of the entry that holds a checksum
	tailBytes  = 12
)

// dirent is one name in a directory.
type dirent struct {
	inode int64 // 0 where it is gone
	name  string
	at    int   // byte of the block
	kind  uint8 // as the directory says, 0 where it does not
}

// leaf is what one block of a directory says.
type leaf struct {
	live, gone []dirent
	problem    string
	tail       bool // it ends with a checksum
}

// recordLength: blocks of 64 KiB need one more bit than there is.
func recordLength(b []byte, at, block int) int {
	n := int(le16(b, at+4))
	if n == 0xffff || n == 0 {
		return block
	}
	return n&^3 | n&3<<16
}

// nameLength is one byte where the feature filetype took the other.
func (fs *FileSystem) nameLength(b []byte, at int) int {
	if fs.has(fs.incompat, incompatFiletype) {
		return int(b[at+6])
	}
	return int(le16(b, at+6))
}

// entries reads one block, or the part of an inode that stands for one.
func (fs *FileSystem) entries(b []byte, root bool) (l leaf) {
	for at := 0; at < len(b); {
		if len(b)-at < direntHead {
			l.problem = fmt.Sprintf("%d bytes too many", len(b)-at)
			return l
		}
		n, name := recordLength(b, at, len(b)), fs.nameLength(b, at)
		if n < direntHead || n%4 != 0 || n > len(b)-at || direntHead+name > n {
			l.problem = fmt.Sprintf("the entry at byte %d makes no sense", at)
			fs.salvage(&l, b, at, len(b))
			return l
		}
		inode := int64(le32(b, at))
		text := string(b[at+direntHead : at+direntHead+name])
		switch {
		case inode == 0 && fs.isTail(b, at):
			l.tail = true
			return l
		case inode == 0 && isHashNode(b, at):
			return l
		case inode == 0:
			fs.unused(&l, b, at, n, text)
		default:
			l.live = append(l.live, dirent{inode, text, at, fs.direntKind(b, at)})
			if !root || text != ".." {
				fs.salvage(&l, b, at+aligned(name), at+n)
			}
		}
		at += n
	}
	return l
}

func (fs *FileSystem) direntKind(b []byte, at int) uint8 {
	if fs.has(fs.incompat, incompatFiletype) {
		return b[at+7]
	}
	return 0
}

func aligned(name int) int { return (direntHead + name + 3) &^ 3 }

// unused is the first entry of a block that was removed: the inode is gone, the
// name may be there.
func (fs *FileSystem) unused(l *leaf, b []byte, at, n int, name string) {
	if plausible(name) {
		l.gone = append(l.gone, dirent{0, name, at, fs.direntKind(b, at)})
		fs.salvage(l, b, at+aligned(len(name)), at+n)
		return
	}
	fs.salvage(l, b, at+direntHead, at+n)
}

func (fs *FileSystem) isTail(b []byte, at int) bool {
	return at == len(b)-tailBytes && le16(b, at+4) == tailBytes && b[at+6] == 0 && b[at+7] == tailType
}

// isHashNode: an inner node of a hash tree is one unused entry over the whole
// block, with a table behind its head whose room is that of the block.
func isHashNode(b []byte, at int) bool {
	if at != 0 || len(b) < 1024 || recordLength(b, 0, len(b)) != len(b) {
		return false
	}
	limit, count := int(le16(b, 8)), int(le16(b, 10))
	full := (len(b) - 8) / 8
	return (limit == full || limit == full-1) && count <= limit && count > 0
}

// salvage looks for removed names between the bytes from and end: the kernel
// leaves an entry where it was and lets the one before reach over it.
func (fs *FileSystem) salvage(l *leaf, b []byte, from, end int) {
	for at := from; at+direntHead < end; {
		if !fs.looksLikeEntry(b, at, end) {
			at += 4
			continue
		}
		n := fs.nameLength(b, at)
		l.gone = append(l.gone, dirent{int64(le32(b, at)), string(b[at+direntHead : at+direntHead+n]), at, fs.direntKind(b, at)})
		at += aligned(n)
	}
}

func (fs *FileSystem) looksLikeEntry(b []byte, at, end int) bool {
	inode, n, name := int64(le32(b, at)), recordLength(b, at, len(b)), fs.nameLength(b, at)
	if inode < fs.firstInode || inode > fs.inodes || name < 1 || name > maxName || at+direntHead+name > end {
		return false
	}
	if n < aligned(name) || n%4 != 0 || n > len(b)-at {
		return false
	}
	if fs.has(fs.incompat, incompatFiletype) && (b[at+7] == 0 || b[at+7] > 7) {
		return false
	}
	return plausible(string(b[at+direntHead : at+direntHead+name]))
}

func plausible(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}

// right reports whether the checksum of a block of a directory holds: behind the
// entries of a leaf, or behind the table of a hash tree's node.
func (fs *FileSystem) right(b []byte, l *leaf, in *inode) bool {
	if !fs.metadataCRC() {
		return true
	}
	if l.tail {
		at := len(b) - tailBytes
		return crc32c(fs.inodeSeed(in), b[:at]) == le32(b, at+8)
	}
	table := hashTable(b)
	if table == 0 || !in.is(flagIndex) {
		return true
	}
	limit, count := int(le16(b, table)), int(le16(b, table+2))
	tail := table + 8*limit
	if count > limit || tail+8 > len(b) {
		return false
	}
	return crc32c(fs.inodeSeed(in), b[:table+8*count], b[tail:tail+4], []byte{0, 0, 0, 0}) == le32(b, tail+4)
}

// hashTable is where the table of a hash tree's node begins, 0 in other blocks
// ("Hash Tree Directories").
func hashTable(b []byte) int {
	switch {
	case len(b) < 1024:
		return 0
	case isHashNode(b, 0) && le32(b, 0) == 0:
		return 8
	case recordLength(b, 0, len(b)) == 12 && recordLength(b, 12, len(b)) == len(b)-12 && b[0x1d] == 8:
		return 0x20
	}
	return 0
}
