package evidence

import "io"

// Storage is the place where the files of an image lie side by side: a folder
// of the machine, or a prefix of an object store. What an image says of its
// other parts are names in the same storage and never paths of the host.
type Storage interface {
	// Open opens the file called name for reading. The error wraps
	// fs.ErrNotExist where there is none. A name with a separator in it is
	// refused.
	Open(name string) (File, error)
	// Names lists the files, in no order that means anything.
	Names() ([]string, error)
}

// File is one file of a Storage. Its size is that at the time it was opened; a
// stretch that cannot be read is a [*ReadError], as with every Source.
type File interface {
	Source
	io.Closer
}
