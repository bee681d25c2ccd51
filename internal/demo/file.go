package demo

import "tutela"

// file is one thing to plant: where it goes, what it holds, and what a scan
// must say about it and about what is inside.
type file struct {
	path       string // '/' first; raw name bytes
	stream     string // an alternate data stream of path; "" for the file itself
	content    []byte
	link       string // the target, if it is a symbolic link
	hostile    bool   // a name the host may refuse: left out if it does
	deleted    bool   // NTFS only
	fragmented bool   // NTFS only: two runs, the second before the first
	expect     Expectation
	why        string
	inside     []member
}

// member is something inside a planted file.
type member struct {
	path   string // without the leading "!/"
	expect Expectation
	why    string
}

// showPath is the file's path as a scan shows it.
func (f *file) showPath() string {
	path := f.path
	if f.stream != "" {
		path += ":" + f.stream
	}
	return tutela.DisplayPath([]byte(path))
}

func (f *file) state() tutela.State {
	if f.deleted {
		return tutela.Deleted
	}
	return tutela.Allocated
}

// plant writes down what a scan must find of f.
func (p *Plan) plant(source Source, volume string, f *file) {
	show := f.showPath()
	p.Planted = append(p.Planted, Planted{source, volume, show, f.state(), f.expect, f.why})
	for _, m := range f.inside {
		p.Planted = append(p.Planted, Planted{source, volume, show + "!/" + m.path, tutela.Embedded, m.expect, m.why})
	}
}
