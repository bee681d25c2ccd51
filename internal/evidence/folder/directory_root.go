package folder

import (
	"os"

	"tutela"
)

// rootDirectory is a directory by way of os.Root, which every operating system
// has. It is what Windows uses. os.Root follows a link that stays inside one
// directory, so a name is looked at right before and right after it is opened.
type rootDirectory struct{ root *os.Root }

var _ directory = rootDirectory{}

func openRootDirectory(path string) (directory, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return rootDirectory{root}, nil
}

func (d rootDirectory) names() ([]string, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

func (d rootDirectory) lstat(name string) (stat, error) {
	info, err := d.root.Lstat(name)
	if err != nil {
		return stat{}, err
	}
	return statOf(info), nil
}

func (d rootDirectory) readlink(name string) (string, error) { return d.root.Readlink(name) }

func (d rootDirectory) directory(name string) (directory, error) {
	before, err := d.lstat(name)
	if err != nil {
		return nil, err
	}
	root, err := d.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	below := rootDirectory{root}
	now, err := below.self()
	if err == nil && !now.same(before) {
		err = ErrChanged
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return below, nil
}

// file refuses what is no file before it opens it. Between the two a pipe could
// still be put in its place; on Unix the other implementation rules that out.
func (d rootDirectory) file(name string) (openFile, error) {
	before, err := d.lstat(name)
	if err != nil {
		return nil, err
	}
	if before.kind != tutela.File {
		return nil, ErrChanged
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	return rootFile{f}, nil
}

// rootFile is a file that a rootDirectory opened.
type rootFile struct{ *os.File }

var _ openFile = rootFile{}

func (f rootFile) stat() (stat, error) {
	info, err := f.Stat()
	if err != nil {
		return stat{}, err
	}
	return statOf(info), nil
}

func (d rootDirectory) self() (stat, error) { return d.lstat(".") }

func (d rootDirectory) close() error { return d.root.Close() }

func statOf(info os.FileInfo) stat {
	return stat{
		kind:  kindOf(info.Mode()),
		size:  info.Size(),
		times: tutela.Times{Modified: info.ModTime().UTC()},
		links: 1,
		info:  info,
	}
}

func kindOf(mode os.FileMode) tutela.EntryKind {
	switch {
	case mode.IsRegular():
		return tutela.File
	case mode.IsDir():
		return tutela.Directory
	case mode&os.ModeNamedPipe != 0:
		return tutela.Pipe
	case mode&os.ModeSocket != 0:
		return tutela.Socket
	case mode&(os.ModeSymlink|os.ModeIrregular) != 0: // Windows junctions are irregular
		return tutela.Symlink
	}
	return tutela.Device
}
