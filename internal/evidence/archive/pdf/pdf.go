// Package pdf finds the streams in a PDF file that a person may want to look
// at: its pictures and the files embedded in it.
//
// Call [Open], go through [File.Streams], and read one with [File.Picture] or
// [File.Content]. The document is ISO 32000-1:2008, whose section numbers stand
// in the comments; encryption of revision 6 is that of ISO 32000-2.
//
// Objects are found by looking for "N G obj" through the whole file and not by
// the cross-reference table, so that what a later revision of the file has
// replaced or deleted is there too (see Stream.Older), and a damaged table
// costs nothing. A stream whose length holds is passed over, so that nothing
// inside it is taken for an object.
//
// Promised: the time grows with the file, memory with the number of objects;
// nothing is allocated by a number that the file claims; every stage of a chain
// of filters is counted (see Options.Spend). Not promised: that a picture is on
// any page. Not read: pictures written into the content of a page (BI … EI),
// and public-key encryption. Not decoded: JBIG2 and CCITT, which come as
// they are.
package pdf

import (
	"errors"
	"io"
	"slices"
)

// Magic begins a PDF file, or follows a little that came before it.
const Magic = "%PDF-"

const (
	// MaxObjects bounds the objects that are looked at. More are left, and
	// File.Cut says so.
	MaxObjects = 1 << 20
	// objectBytes is how much of an object is read to understand it, in bytes;
	// the data of a stream is not counted.
	objectBytes = 64 << 10
	// packedBytes bounds one object stream, decoded, in bytes.
	packedBytes = 16 << 20
)

// ErrEncrypted means that no passphrase opens the file, or that it is encrypted
// in a way that is not read; the text says which.
var ErrEncrypted = errors.New("encrypted")

// Options say how a file is read.
type Options struct {
	// Spend is told of every byte that comes out of a filter which is not the
	// last of a stream, and what is looked through beside. An error from it
	// ends the reading. It must not be nil.
	Spend func(n int64) error
	// Passphrases are tried after the empty one, which opens a file that only
	// its owner's passphrase protects.
	Passphrases []string
}

// Kind says what a stream is.
type Kind uint8

// The kinds of streams that are given out.
const (
	other Kind = iota
	packed
	Picture
	Embedded
)

// Stream is one stream of the file.
type Stream struct {
	Number, Generation int64
	Kind               Kind
	At                 int64 // of the object, bytes from the beginning
	Data, Length       int64 // of what is stored, bytes
	Open               bool  // no end of the stream was found: it is cut off
	Older              bool  // an object of the same number follows

	length int64 // number of the object that tells the length, 0 if none
}

// File is an opened PDF file. It is not safe for concurrent use.
type File struct {
	// Cut says why not all objects are listed, nil if they are.
	Cut error
	// Encrypted files were opened with the passphrase of the number Unlocked,
	// counted from 0; -1 is the empty one.
	Encrypted bool
	Unlocked  int

	content io.ReaderAt
	size    int64
	options Options
	streams []Stream
	at      map[int64]int64  // where the last object of a number begins
	inside  map[int64]inside // objects in object streams
	owners  map[int64]int64  // which object names an embedded file, by its stream
	trailer Dict             // what tells of encryption
	lock    *lock
	unended bool // there is no "endstream" from here on

	packs []pack // object streams that were decoded last
}

// inside is where an object lies in a decoded object stream.
type inside struct {
	stream int // index of the stream
	at     int
}

type pack struct {
	stream int
	plain  []byte
	cut    error // why not all of it is there, nil if it is
}

// Open finds all objects. An error that wraps ErrEncrypted means that they are
// there and cannot be read; any other is of reading or of Options.Spend.
func Open(content io.ReaderAt, size int64, o Options) (*File, error) {
	f := &File{content: content, size: size, options: o, at: map[int64]int64{}, inside: map[int64]inside{}, owners: map[int64]int64{}}
	if err := f.scan(); err != nil {
		return nil, err
	}
	if err := f.unlock(); err != nil {
		return nil, err
	}
	for i := range f.streams {
		s := &f.streams[i]
		s.Older = f.at[s.Number] != s.At
		if err := f.settle(s); err != nil {
			return nil, err
		}
	}
	if err := f.unpack(); err != nil {
		return nil, err
	}
	for i := range f.streams {
		if s := &f.streams[i]; s.Kind == other && !s.Older && f.owners[s.Number] != 0 {
			s.Kind = Embedded
		}
	}
	return f, nil
}

// Streams are the pictures and embedded files, in the order of the file.
func (f *File) Streams() []Stream {
	return slices.DeleteFunc(slices.Clone(f.streams), func(s Stream) bool { return s.Kind < Picture })
}

// Objects is how many objects there are.
func (f *File) Objects() int { return len(f.at) + len(f.inside) }

// read is up to n bytes at a place.
func (f *File) read(at int64, n int) ([]byte, error) {
	if at < 0 || at >= f.size {
		return nil, nil
	}
	b := make([]byte, min(int64(n), f.size-at))
	got, err := f.content.ReadAt(b, at)
	if got == len(b) || err == io.EOF {
		err = nil
	}
	return b[:got], err
}
