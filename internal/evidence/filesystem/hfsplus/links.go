package hfsplus

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
)

// The folders that hold what hard links lead to: TN1150 "Hard Links", and their
// like for directories. Both lie in the root.
const (
	privateFiles   = "\x00\x00\x00\x00HFS+ Private Data"
	privateFolders = ".HFS+ Private Directory Data\r"
)

// links is what is known of hard links after the survey.
type links struct {
	files, folders uint32 // IDs of the private folders; 0 where there is none

	inodes map[uint32]inode     // "iNode…" files by their number
	linked map[uint32]struct{}  // numbers that a link leads to
	dirs   map[uint32]inode     // "dir_…" folders by their number
	firsts map[uint32]firstLink // of directories, by number
}

// inode is a target of links.
type inode struct {
	parent, cnid uint32
	location
}

// firstLink is the link to a directory that its files are listed under.
type firstLink struct {
	cnid uint32 // of the link
	directory
}

func newLinks() links {
	return links{
		inodes: map[uint32]inode{}, linked: map[uint32]struct{}{},
		dirs: map[uint32]inode{}, firsts: map[uint32]firstLink{},
	}
}

// number is the decimal number that follows prefix.
func number(name, prefix []byte) (uint32, bool) {
	digits, ok := bytes.CutPrefix(name, prefix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(string(digits), 10, 32)
	return uint32(n), err == nil
}

// learnFolder looks whether a folder is one of the private ones or lies in one.
func (l *links) learnFolder(parent, cnid uint32, name []byte) {
	switch {
	case parent == cnidRoot && string(name) == privateFiles && l.files == 0:
		l.files = cnid
	case parent == cnidRoot && string(name) == privateFolders && l.folders == 0:
		l.folders = cnid
	}
	if n, ok := number(name, []byte("dir_")); ok {
		if _, known := l.dirs[n]; !known {
			l.dirs[n] = inode{parent: parent, cnid: cnid}
		}
	}
}

// learnFile looks whether a file is a link or what links lead to.
func (l *links) learnFile(key catalogKey, name []byte, f *file, at location) {
	switch {
	case f.isLink():
		l.linked[f.special] = struct{}{}
	case f.isFolderLink():
		if _, known := l.firsts[f.special]; !known {
			l.firsts[f.special] = firstLink{f.cnid, directory{key.parent, string(name)}}
		}
	default:
		n, ok := number(name, []byte("iNode"))
		if _, known := l.inodes[n]; ok && !known {
			l.inodes[n] = inode{key.parent, f.cnid, at}
		}
	}
}

// target is where the file lies that links with a number lead to.
func (l *links) target(n uint32) (inode, bool) {
	in, ok := l.inodes[n]
	return in, ok && l.files != 0 && in.parent == l.files
}

// folder is the ID of the directory that links with a number lead to.
func (l *links) folder(n uint32) (uint32, bool) {
	in, ok := l.dirs[n]
	return in.cnid, ok && l.folders != 0 && in.parent == l.folders
}

// isLinked reports whether a file in the private folder is listed under its links.
func (l *links) isLinked(parent uint32, name []byte) bool {
	if parent != l.files || l.files == 0 {
		return false
	}
	n, ok := number(name, []byte("iNode"))
	if !ok {
		return false
	}
	_, ok = l.linked[n]
	return ok
}

// place puts directories with links where the first of these is.
func (l *links) place(f *folders) {
	for _, n := range slices.Sorted(maps.Keys(l.firsts)) {
		if cnid, ok := l.folder(n); ok {
			f.live[cnid] = l.firsts[n].directory
		}
	}
}
