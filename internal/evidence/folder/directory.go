package folder

import (
	"io"
	"io/fs"
	"os"
	"sync"

	"tutela"
)

// directory is an open directory. Names are single path elements, and none of
// its steps follows a link.
type directory interface {
	// names lists the directory in any order. With an error it returns what
	// it could list before.
	names() ([]string, error)
	lstat(name string) (stat, error)
	readlink(name string) (string, error)
	// directory opens a directory below, and only a directory.
	directory(name string) (directory, error)
	// file opens a file. It must not block if the name has become a pipe.
	file(name string) (openFile, error)
	// self is the stat of the directory itself.
	self() (stat, error)
	close() error
}

// openFile is a file open for reading. It belongs to one goroutine at a time.
type openFile interface {
	io.Reader
	io.ReaderAt
	io.Closer
	stat() (stat, error)
}

// stat is what is asked about a name.
type stat struct {
	kind  tutela.EntryKind
	size  int64 // bytes
	times tutela.Times
	links uint64 // names the file has; 1 where it cannot be told

	device, inode uint64      // identity
	info          os.FileInfo // identity instead, where there are no inodes
}

func (s stat) same(t stat) bool {
	if s.info != nil && t.info != nil {
		return os.SameFile(s.info, t.info)
	}
	return s.device == t.device && s.inode == t.inode
}

// node is a directory of the tree that can be closed and opened again, so that
// neither a deep tree nor a retained Open needs open files. It opens itself
// through its parent, element by element, and notices if it was replaced.
type node struct {
	parent *node // nil for the top
	name   string

	mu    sync.Mutex // guards what follows; a child's is taken before its parent's
	dir   directory  // nil while closed
	users int
	seen  bool // id is set
	id    stat
}

// use returns the open directory. Every use needs one release.
func (n *node) use() (directory, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dir == nil {
		if err := n.open(); err != nil {
			return nil, err
		}
	}
	n.users++
	return n.dir, nil
}

func (n *node) open() error {
	if n.parent == nil {
		return os.ErrClosed
	}
	above, err := n.parent.use()
	if err != nil {
		return err
	}
	defer n.parent.release()
	dir, err := above.directory(n.name)
	if err != nil {
		return err
	}
	id, err := dir.self()
	if err == nil && n.seen && !id.same(n.id) {
		err = &fs.PathError{Op: "open", Path: n.name, Err: ErrChanged}
	}
	if err != nil {
		dir.close()
		return err
	}
	n.dir, n.id, n.seen = dir, id, true
	return nil
}

func (n *node) release() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.users--
	if n.users == 0 && n.dir != nil {
		n.dir.close() // opened for reading: there is nothing to lose
		n.dir = nil
	}
}

// end gives up the folder's own use of the top.
func (n *node) end() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dir == nil {
		return nil
	}
	err := n.dir.close()
	n.dir = nil
	return err
}
