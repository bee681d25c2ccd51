// Package confine runs readers of hostile bytes in processes of their own:
// copies of this program that can neither open a file, nor reach a network, nor
// start a program, nor take more than 512 MB of memory. They have two pipes to
// their parent, which serves them the bytes of the evidence and takes back
// entries and contents.
//
// A program that uses it calls [Child] first thing in main, and [New] where it
// begins to read evidence. The [Host] opens volumes ([Host.Volume]), looks
// through free space ([Host.Carve]), expands archives ([Host.Expand]) and hashes
// pictures ([Host.Look]) and videos ([Host.Video]), each as the packages do that
// are named there, and with the same results.
//
// Promised: a reader that crashes, takes too much memory, or makes no progress
// for 30 seconds costs its own process. It is tried once more, from behind the
// last entry that was taken; if it ends again without having come further, it is
// left, with a [*Death] that says how it ended. What lies in the source as it is
// (see Entry.Runs) is read by the parent itself, so that plain files cost no
// crossing. Not promised: confinement by the operating system where it has none
// that we use. On Linux it is a seccomp filter and resource limits, on Windows a
// job object, elsewhere a memory limit that the child keeps by itself.
package confine

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"tutela"
)

// Options say how children are run. The zero value is what a lab uses.
type Options struct {
	Program  string        // the program to start; default this one
	Patience time.Duration // without progress before a child is ended; default 30 s
	// FFmpeg is the program that decodes videos, HEIC and AVIF: a path or a name,
	// "none" for none; default the ffmpeg that is found where programs are, if there
	// is one. It is used on Linux only, where it can be confined.
	FFmpeg string
}

// A child's garbage collector is told to stay below collectBelow bytes, well
// below childMemory. pictureMemory is for a picture file
// and what decoding takes by the estimate of package picture.
const (
	collectBelow  = 320 << 20
	pictureMemory = 360 << 20
)

// Host starts children and hands them work. It is safe for concurrent use.
type Host struct {
	program  string
	patience time.Duration
	ffmpeg   ffmpeg

	mu   sync.Mutex
	idle []*process // children that wait for archives and pictures
	all  map[*process]bool
	shut bool
}

// New makes a Host. It starts no child until there is work for one.
func New(o Options) (*Host, error) {
	h := &Host{program: o.Program, patience: o.Patience, all: map[*process]bool{}}
	if h.patience == 0 {
		h.patience = 30 * time.Second
	}
	decoder, err := findFFmpeg(o.FFmpeg)
	if err != nil {
		return nil, err
	}
	h.ffmpeg.path = decoder
	if h.program != "" {
		return h, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program, to start copies of it: %w", err)
	}
	h.program = self
	return h, nil
}

// Close ends every child. What they had open cannot be read afterwards.
func (h *Host) Close() error {
	h.mu.Lock()
	all := h.all
	h.all, h.idle, h.shut = map[*process]bool{}, nil, true
	h.mu.Unlock()
	for p := range all {
		p.kill("")
		<-p.ended
	}
	return nil
}

// Death is the error for work whose child ended twice without having come
// further. Code is the finding that tells it.
type Death struct {
	Code  string // tutela.FindingCrashed or tutela.FindingStalled
	Cause string // for people: "fatal error: out of memory"
}

func (d *Death) Error() string { return d.Cause }

// died is the Death for a call that failed, nil if the child lives.
func (p *process) died(err error) *Death {
	if !errors.Is(err, errGone) && !errors.Is(err, errGarbled) {
		return nil
	}
	if errors.Is(err, errGarbled) {
		p.kill("it sent garbage")
	}
	<-p.ended
	return p.death
}

// start makes a new child.
func (h *Host) start() (*process, error) {
	p, err := startProcess(h.program, h.patience)
	if err != nil {
		return nil, fmt.Errorf("start a confined reader: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.shut {
		p.kill("")
		return nil, errors.New("the readers were closed")
	}
	h.all[p] = true
	return p, nil
}

// borrow hands out a child that has nothing else to do.
func (h *Host) borrow() (*process, error) {
	h.mu.Lock()
	if last := len(h.idle) - 1; last >= 0 {
		p := h.idle[last]
		h.idle = h.idle[:last]
		h.mu.Unlock()
		return p, nil
	}
	h.mu.Unlock()
	return h.start()
}

// giveBack takes a child that was borrowed. It is used again unless it ended.
func (h *Host) giveBack(p *process) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.isGone() || h.shut {
		delete(h.all, p)
		return
	}
	h.idle = append(h.idle, p)
}

// retire ends a child that is not needed any more.
func (h *Host) retire(p *process) {
	h.mu.Lock()
	delete(h.all, p)
	h.mu.Unlock()
	p.kill("")
}

// tries counts how often the same piece of work ended a child.
type tries struct {
	at    int64 // how far it had come the last time
	times int
}

// again reports whether a piece of work that had come so far may be tried once
// more.
func (t *tries) again(at int64) bool {
	if at > t.at || t.times == 0 {
		t.at, t.times = at, 1
		return true
	}
	t.times++
	return t.times < 2
}

var _ error = (*Death)(nil)

// Finding is what a record says of it.
func (d *Death) Finding() tutela.Finding { return tutela.Finding{Code: d.Code, Detail: d.Cause} }
