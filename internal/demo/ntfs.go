package demo

import (
	"fmt"
	"io"
	"path"
)

// Sizes of the volume that is written, in bytes. Section names below are those
// of the Linux-NTFS project's documentation.
const (
	clusterSize    = 4096
	recordSize     = 1024
	indexBlockSize = 4096
)

// ntfsGeometry is where the volume lies, in sectors.
type ntfsGeometry struct {
	hidden  int64 // before it on the disk
	sectors int64
	label   string
}

// clusters leaves out the last sector, which holds a copy of the boot sector.
func (g ntfsGeometry) clusters() int64 { return (g.sectors - 1) * sectorSize / clusterSize }

// run is a stretch of clusters; first is -1 where there are none (a sparse run).
type run struct{ first, count int64 }

// ntfsVolume is a volume in the making. Clusters are given out in order and
// never taken back, so the content of a deleted file stays whole.
type ntfsVolume struct {
	w        io.WriterAt
	geometry ntfsGeometry
	bitmap   []byte // of clusters
	next     int64  // the first cluster not given out yet
	nodes    []*ntfsNode
	folders  map[string]*ntfsNode
}

// writeNTFS writes an NTFS 3.1 volume with the given files. Content is written
// at once; what describes it (MFT, indexes, bitmaps) when all of it is known.
func writeNTFS(w io.WriterAt, g ntfsGeometry, files []file) error {
	v := &ntfsVolume{w: w, geometry: g, folders: map[string]*ntfsNode{}}
	v.bitmap = make([]byte, roundUp(g.clusters(), 64)/8)
	for c := g.clusters(); c < int64(len(v.bitmap))*8; c++ {
		v.mark(c) // bits behind the end are set
	}
	if err := v.addSystem(); err != nil {
		return fmt.Errorf("system files: %w", err)
	}
	for i := range files {
		if err := v.add(&files[i]); err != nil {
			return fmt.Errorf("%s: %w", files[i].path, err)
		}
	}
	return v.finish()
}

func (v *ntfsVolume) mark(cluster int64) { v.bitmap[cluster/8] |= 1 << (cluster % 8) }

// take gives out clusters for size bytes and marks them as used.
func (v *ntfsVolume) take(size int64) (run, error) {
	r, err := v.reserve(size)
	for c := r.first; c < r.first+r.count; c++ {
		v.mark(c)
	}
	return r, err
}

// reserve is take without the mark: for files that are deleted.
func (v *ntfsVolume) reserve(size int64) (run, error) {
	r := run{v.next, roundUp(size, clusterSize) / clusterSize}
	if r.first+r.count > v.geometry.clusters() {
		return run{}, fmt.Errorf("no room for %d bytes", size)
	}
	v.next += r.count
	return r, nil
}

// store writes content into clusters of its own.
func (v *ntfsVolume) store(content []byte) (run, error) {
	r, err := v.take(int64(len(content)))
	if err != nil {
		return run{}, err
	}
	return r, v.put(r, content)
}

func (v *ntfsVolume) put(r run, content []byte) error {
	_, err := v.w.WriteAt(content, r.first*clusterSize)
	return err
}

// residentLimit is how long a content may be to lie in its MFT record beside
// the names and an alternate stream.
const residentLimit = 320

// add writes one file, or one more stream of a file that was added before.
func (v *ntfsVolume) add(f *file) error {
	data, err := v.data(f)
	if err != nil {
		return err
	}
	if f.stream != "" {
		owner := v.find(f.path)
		if owner == nil {
			return fmt.Errorf("a stream before its file")
		}
		owner.attributes = append(owner.attributes, data)
		return nil
	}
	n := v.newNode(path.Base(f.path), v.folder(path.Dir(f.path)))
	n.deleted = f.deleted
	n.attributes = append(n.attributes, data)
	return nil
}

func (v *ntfsVolume) data(f *file) (attribute, error) {
	a := attribute{kind: attrData, name: f.stream, size: int64(len(f.content))}
	if len(f.content) <= residentLimit {
		a.value = f.content
		return a, nil
	}
	var err error
	switch {
	case f.deleted:
		a.runs, err = v.storeDeleted(f.content)
	case f.fragmented:
		a.runs, err = v.storeSplit(f.content)
	default:
		var r run
		r, err = v.store(f.content)
		a.runs = []run{r}
	}
	return a, err
}

func (v *ntfsVolume) storeDeleted(content []byte) ([]run, error) {
	r, err := v.reserve(int64(len(content)))
	if err != nil {
		return nil, err
	}
	return []run{r}, v.put(r, content)
}

// storeSplit puts the second half before the first.
func (v *ntfsVolume) storeSplit(content []byte) ([]run, error) {
	half := roundUp(len(content)/2, clusterSize)
	second, err := v.store(content[half:])
	if err != nil {
		return nil, err
	}
	first, err := v.store(content[:half])
	return []run{first, second}, err
}

// folder finds a directory and makes it, and those above it, where it is
// missing.
func (v *ntfsVolume) folder(name string) *ntfsNode {
	if n := v.folders[name]; n != nil {
		return n
	}
	n := v.newNode(path.Base(name), v.folder(path.Dir(name)))
	n.dir = true
	v.folders[name] = n
	return n
}

func (v *ntfsVolume) find(name string) *ntfsNode {
	parent := v.folders[path.Dir(name)]
	for _, n := range v.nodes {
		if n.parent == parent && n.name == path.Base(name) {
			return n
		}
	}
	return nil
}
