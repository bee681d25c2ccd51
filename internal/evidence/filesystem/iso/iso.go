// Package iso reads ISO 9660 volumes (ECMA-119), with Rock Ridge and Joliet
// names: CDs, DVDs and the images of them.
//
// Start with [Open], then [FileSystem.Walk]. Both are read-only and safe for
// concurrent use as far as the source is.
//
// Names are taken from Rock Ridge where the volume has it, else from Joliet,
// else from the ISO 9660 identifiers (without ";1"). A volume can carry several
// trees over the same sectors, and a disc several sessions; the preferred tree
// of the first descriptor set is listed, and then every file of the others whose
// sectors were not named before, so that hiding a file from one tree, or leaving
// it out of a later session, does not hide it from the lab.
//
// Promised: every directory sector is read at most once per tree, nothing is
// allocated by a size the volume claims, and what does not fit the image is a
// finding. Not read: UDF, zisofs content, interleaved files (these three are
// reported), boot images of El Torito, raw 2352-byte sectors, and sessions whose
// descriptors were overwritten. Path tables are ignored.
package iso

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"tutela"
	"tutela/internal/evidence"
)

const (
	sectorSize       = 2048 // ECMA-119 6.1.2
	firstDescriptor  = 16   // sector; ECMA-119 6.2.1: 0 to 15 are the system area
	maxDescriptors   = 64   // a set in the wild has three or four
	maxSessions      = 99   // a CD has at most that many tracks
	typePrimary      = 1    // ECMA-119 8.1.1
	typeSupplement   = 2
	typeTerminator   = 255
	rootRecordOffset = 156 // ECMA-119 8.4.18
)

// FileSystem is one ISO 9660 volume.
type FileSystem struct {
	src      evidence.Source
	trees    []tree // in order of preference, never empty
	findings []tutela.Finding
}

var _ evidence.FileSystem = (*FileSystem)(nil)

// tree is one directory hierarchy over the volume's sectors.
type tree struct {
	layer     string // of the locator: "iso9660", "rockridge", "joliet"
	session   int64  // sector of its descriptor set
	names     naming
	blockSize int64 // bytes; 512, 1024 or 2048
	skip      int   // bytes before each system use field (SUSP 5.3, LEN_SKP)
	root      record
}

// naming says how the identifiers of a tree become names.
type naming int

const (
	plainNames naming = iota
	rockRidgeNames
	jolietNames
)

// Open reads the volume descriptors. It returns an error wrapping
// [evidence.ErrNotThis] where sector 16 holds no "CD001", and any other error
// where a descriptor is there but leads to no directory tree.
func Open(src evidence.Source) (*FileSystem, error) {
	fs := &FileSystem{src: src}
	set, err := fs.readDescriptors(firstDescriptor)
	if err != nil {
		return nil, err
	}
	fs.addTrees(set, firstDescriptor)
	if len(fs.trees) == 0 {
		return nil, errors.New("open iso 9660: no descriptor leads to a directory")
	}
	fs.prefer()
	fs.addOtherSessions(set)
	return fs, nil
}

type descriptor [sectorSize]byte

// readDescriptors reads a volume descriptor set up to its terminator
// (ECMA-119 6.7.1).
func (fs *FileSystem) readDescriptors(start int64) (set []descriptor, err error) {
	for sector := start; sector < start+maxDescriptors; sector++ {
		var d descriptor
		if _, err := fs.src.ReadAt(d[:], sector*sectorSize); err != nil {
			return set, fs.descriptorsEnd(len(set), err)
		}
		if standard := string(d[1:6]); standard != "CD001" {
			fs.seeOther(sector, standard)
			return set, fs.descriptorsEnd(len(set), nil)
		}
		if d[0] == typeTerminator {
			fs.seeOther(sector+1, fs.standardAt(sector+1))
			return set, nil
		}
		set = append(set, d)
	}
	return set, nil
}

// descriptorsEnd judges a descriptor set that ended without a terminator: at
// the first sector it is none, later it is damage that can be lived with.
func (fs *FileSystem) descriptorsEnd(seen int, err error) error {
	if seen > 0 {
		fs.find(tutela.FindingDamaged, "the volume descriptor set has no terminator")
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Errorf("open iso 9660: no CD001 where a descriptor belongs: %w", evidence.ErrNotThis)
	}
	return fmt.Errorf("open iso 9660: read volume descriptor: %w", err)
}

func (fs *FileSystem) standardAt(sector int64) string {
	var head [6]byte
	if _, err := fs.src.ReadAt(head[:], sector*sectorSize); err != nil {
		return ""
	}
	return string(head[1:])
}

// Bridged is the file system for somebody who reads the UDF volume beside it
// too: that it is there is no finding then.
func (fs *FileSystem) Bridged() *FileSystem {
	bridged := *fs
	bridged.findings = slices.DeleteFunc(slices.Clone(fs.findings), func(f tutela.Finding) bool { return strings.HasPrefix(f.Detail, otherUDF) })
	return &bridged
}

// otherUDF begins what is said of a UDF volume beside this one.
const otherUDF = "udf: a second file system"

// seeOther reports the volume recognition sequence of UDF (ECMA-167 2/9.1),
// which follows the ISO descriptors on a bridge disc.
func (fs *FileSystem) seeOther(sector int64, standard string) {
	if standard == "BEA01" {
		fs.find(tutela.FindingUnsupported, fmt.Sprintf(otherUDF+" is declared at sector %d and not read", sector))
	}
}

// addTrees adds the trees of the descriptor set that begins at a sector.
func (fs *FileSystem) addTrees(set []descriptor, session int64) {
	primaries := 0
	for _, d := range set {
		if d[0] == typePrimary {
			primaries++
		}
		if d[0] == typePrimary || d[0] == typeSupplement {
			fs.addTree(d, session)
		}
	}
	if primaries > 1 {
		fs.find(tutela.FindingDamaged, fmt.Sprintf("%d primary volume descriptors at sector %d; the first one's tree is preferred", primaries, session))
	}
}

func (fs *FileSystem) addTree(d descriptor, session int64) {
	t := tree{session: session, blockSize: int64(binary.LittleEndian.Uint16(d[128:]))}
	t.layer, t.names = describeTree(d)
	if t.blockSize != 512 && t.blockSize != 1024 && t.blockSize != 2048 {
		fs.find(tutela.FindingDamaged, fmt.Sprintf("%s: logical block size %d, read as %d", t.layer, t.blockSize, sectorSize))
		t.blockSize = sectorSize
	}
	root, err := parseRecord(d[rootRecordOffset:], t.blockSize)
	if err != nil || !root.isDirectory() {
		fs.find(tutela.FindingDamaged, t.layer+": no root directory in the volume descriptor")
		return
	}
	t.root = root
	t.root.at = session*sectorSize + rootRecordOffset
	if d[0] == typePrimary {
		fs.detectRockRidge(&t)
	}
	fs.trees = append(fs.trees, t)
}

func describeTree(d descriptor) (layer string, names naming) {
	switch {
	case d[0] == typePrimary:
		return "iso9660", plainNames
	case isJoliet(d):
		return "joliet", jolietNames
	}
	return "iso9660-supplementary", plainNames
}

// isJoliet reports whether the escape sequences name UCS-2 level 1, 2 or 3
// (Joliet specification, "SVD Escape Sequences").
func isJoliet(d descriptor) bool {
	switch string(d[88:91]) {
	case "%/@", "%/C", "%/E":
		return true
	}
	return false
}

// prefer puts the tree with the best names first: Rock Ridge keeps POSIX names
// as they were, Joliet keeps Unicode, plain identifiers keep neither.
func (fs *FileSystem) prefer() {
	best := 0
	for i, t := range fs.trees {
		if rank(t.names) > rank(fs.trees[best].names) {
			best = i
		}
	}
	fs.trees[0], fs.trees[best] = fs.trees[best], fs.trees[0]
}

func rank(n naming) int {
	switch n {
	case rockRidgeNames:
		return 2
	case jolietNames:
		return 1
	}
	return 0
}

// sessionSearch is how many sectors behind a volume are searched for the next
// session: the lead-out and lead-in between the first two sessions of a CD are
// 11400 sectors long (ECMA-394, multisession), its pre-gap 150.
const sessionSearch = 12 << 10

// addOtherSessions looks for descriptor sets where writers put those of other
// sessions: at sector 32+16, where libisofs keeps the first session's when
// later ones overwrite sector 16, and behind the end of each volume found.
func (fs *FileSystem) addOtherSessions(set []descriptor) {
	if fs.isPrimary(48) {
		fs.addSession(48)
	}
	at := volumeEnd(set)
	for range maxSessions {
		sector, ok := fs.searchPrimary(at, sessionSearch)
		if !ok {
			return
		}
		at = max(fs.addSession(sector), sector+1)
	}
}

// addSession adds the trees of another session and says where its volume ends.
func (fs *FileSystem) addSession(sector int64) (end int64) {
	set, err := fs.readDescriptors(sector)
	if err != nil {
		return 0
	}
	fs.addTrees(set, sector)
	return volumeEnd(set)
}

// volumeEnd is the first sector behind the volume space (ECMA-119 8.4.8) of the
// first descriptor of a set.
func volumeEnd(set []descriptor) int64 {
	if len(set) == 0 {
		return firstDescriptor + 1
	}
	blocks, size := binary.LittleEndian.Uint32(set[0][80:]), binary.LittleEndian.Uint16(set[0][128:])
	return max(int64(blocks)*int64(size)/sectorSize, firstDescriptor+1)
}

func (fs *FileSystem) isPrimary(sector int64) bool {
	_, ok := fs.searchPrimary(sector, 1)
	return ok
}

func (fs *FileSystem) searchPrimary(from, count int64) (sector int64, found bool) {
	const batch = 32
	buf := make([]byte, batch*sectorSize)
	for at := from; at < from+count; at += batch {
		n, err := fs.src.ReadAt(buf[:min(batch, from+count-at)*sectorSize], at*sectorSize)
		for i := 0; i+sectorSize <= n; i += sectorSize {
			if string(buf[i:i+7]) == "\x01CD001\x01" {
				return at + int64(i)/sectorSize, true
			}
		}
		if err != nil {
			return 0, false
		}
	}
	return 0, false
}

func (fs *FileSystem) find(code, detail string) {
	fs.findings = append(fs.findings, tutela.Finding{Code: code, Detail: detail})
}
