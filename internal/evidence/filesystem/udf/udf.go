// Package udf reads UDF volumes, revisions 1.02 to 2.60: DVDs, Blu-ray discs,
// packet-written CDs and the memory cards and disks of cameras and recorders.
//
// Start with [Open], then [FileSystem.Walk]. The reader was written from
// ECMA-167, third edition ("ECMA" below), and the OSTA Universal Disk Format
// Specification ("UDF").
//
// # What becomes an entry
//
// Every file, symbolic link, device, pipe and socket that a directory leads to
// from the root, once under each of its names: first all of a directory, then
// what is below it; and each named stream, as "path:stream". Behind them come
// the deleted files.
//
// # Deleted files
//
// A name with the deleted mark keeps the place of its file entry where the
// writer did not clear it. Where that still holds a file entry that no name in
// use leads to, and that carries the number the name knows the file by, the file
// is Deleted under that name. Blocks that the space bitmap calls used since make
// a finding; where there is no bitmap (discs written once), nothing can have
// been overwritten. Whether blocks that are free today belonged to another file
// in between cannot be told.
//
// # Promised
//
// Both volume descriptor sequences and all anchors are tried, all kinds of
// partition map are followed (virtual, sparable, metadata), and checksums are
// held against what they cover; a wrong one is a finding. No byte is made up:
// zeros are given for what is allocated and not recorded, or not allocated,
// which is what the format defines. Memory grows with the number of directories
// and files, and with the tables of the partitions.
//
// # Not promised
//
// Volumes over several discs, earlier states of a disc with a virtual partition,
// sessions before the last, the extended attributes but for device numbers, and
// anchors in other places than blocks 256, 512, the last and the last but 256
// are not read.
package udf

import (
	"errors"
	"fmt"
	"io"

	"tutela"
	"tutela/internal/evidence"
)

const (
	layerName    = "udf"
	orphanFolder = "/$OrphanFiles"
)

// FileSystem is an opened volume. It is immutable, so it may be walked by
// several goroutines at once.
type FileSystem struct {
	src        evidence.Source
	blockBytes int64 // of the logical volume and of the disc's sectors as the tables count them
	revision   uint16
	partitions []partition // by their number in addresses
	spaces     []space     // the maps of free blocks
	root       longAD
	findings   []tutela.Finding // about the volume as a whole
}

var (
	_ evidence.FileSystem = (*FileSystem)(nil)
	_ evidence.FreeSpace  = (*FileSystem)(nil)
)

// Open reads the volume descriptors and the file set. The error wraps
// [evidence.ErrNotThis] where no anchor is found, [evidence.ErrUnsupported] for
// what is known and not read; any other error means that it is a UDF volume and
// leads nowhere.
func Open(src evidence.Source) (*FileSystem, error) {
	found, err := anchors(src)
	if err != nil {
		return nil, fmt.Errorf("open udf: %w", err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("open udf: %w", evidence.ErrNotThis)
	}
	var failures []error
	for n, a := range found {
		for _, sequence := range a.sequences {
			fs, err := mount(src, a.sector, sequence)
			if err != nil {
				failures = append(failures, err)
				continue
			}
			if n > 0 || sequence != a.sequences[0] {
				fs.find(tutela.FindingBackupTable, "the first volume descriptor sequence is bad: a later one was used")
			}
			return fs, nil
		}
	}
	return nil, fmt.Errorf("open udf: %w", errors.Join(failures...))
}

func mount(src evidence.Source, sector int64, sequence extentAD) (*FileSystem, error) {
	v, err := readSequence(src, sector, sequence)
	if err != nil {
		return nil, err
	}
	fs := &FileSystem{src: src, blockBytes: v.blockBytes, revision: v.revision}
	if err := fs.openPartitions(v); err != nil {
		return nil, err
	}
	fs.findings = append(fs.findings, v.findings...)
	if err := fs.openFileSet(v.fileSet); err != nil {
		return nil, err
	}
	root, err := fs.file(fs.root)
	if err != nil {
		return nil, fmt.Errorf("root directory: %w", err)
	}
	if !root.isDirectory() {
		return nil, errors.New("the root is not a directory")
	}
	return fs, nil
}

// openFileSet finds the root directory (ECMA 4/14.1). Of several descriptors in
// a row the last counts.
func (fs *FileSystem) openFileSet(at longAD) error {
	blocks := max(1, int64(at.bytes())/fs.blockBytes)
	var problem error
	found := false
	for n := range min(blocks, 64) {
		b, err := fs.block(at.partition, at.block+uint32(n))
		if err != nil {
			problem = err
			break
		}
		t, err := readTag(b)
		if err != nil || t.id != tagFileSet || !t.covers(b) {
			problem = fmt.Errorf("no file set descriptor in block %d", at.block+uint32(n))
			break
		}
		fs.root, found = parseLongAD(b[400:]), true
	}
	if !found {
		return fmt.Errorf("file set: %w", problem)
	}
	return nil
}

func (fs *FileSystem) find(code, detail string) {
	fs.findings = append(fs.findings, tutela.Finding{Code: code, Detail: detail})
}

// readFull fills b from off on. What it could not read is a *evidence.ReadError.
func readFull(src evidence.Source, b []byte, off int64) error {
	if off < 0 {
		return errors.New("a place before the volume")
	}
	n, err := src.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if _, told := errors.AsType[*evidence.ReadError](err); told {
		return err
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return &evidence.ReadError{Run: tutela.Run{Offset: off, Length: int64(len(b))}, Err: fmt.Errorf("read at %d: %w", off, err)}
}
