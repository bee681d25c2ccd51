package folder

import (
	"strings"

	"tutela"
	"tutela/internal/evidence"
)

// beside finds a file by its path from the directory n: names with slashes
// between. It leads downwards only, through directories and never through
// links, so nothing outside the folder is reached.
func (w *walker) beside(n *node) func(path string) *evidence.Entry {
	if w.alone {
		return nil
	}
	chain := w.chain
	return func(path string) *evidence.Entry {
		names := strings.Split(path, "/")
		at := n
		for i, name := range names {
			if name == "" || name == "." || name == ".." {
				return nil
			}
			if i < len(names)-1 {
				at = &node{parent: at, name: name}
			}
		}
		dir, err := at.use()
		if err != nil {
			return nil
		}
		defer at.release()
		name := names[len(names)-1]
		st, err := dir.lstat(name)
		if err != nil || st.kind != tutela.File {
			return nil
		}
		f := &file{node: at, name: name, listed: st}
		return &evidence.Entry{
			Path: []byte("/" + path), Chain: chain, Kind: tutela.File, State: tutela.Allocated,
			Size: st.size, Times: st.times, Open: f.open,
		}
	}
}
