package confine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"tutela"
	"tutela/internal/evidence"
)

// process is a running child.
type process struct {
	cmd   *exec.Cmd
	peer  *peer
	said  *tail         // what it wrote to its standard error
	ended chan struct{} // closed when it is gone and death is set
	death *Death        // valid after ended

	patience time.Duration
	calls    atomic.Int64 // of ours that it has not answered
	read     atomic.Int64 // bytes of sources since it last gave something

	mu      sync.Mutex
	sources map[int64]io.ReaderAt
	spools  map[int64]*spooling
	running *running // the expansion it works on
	stills  *stills  // what decodes for the picture it works on
	last    int64
	killed  string // why we ended it
	largest int64  // of its sources, in bytes
}

func startProcess(program string, patience time.Duration) (*process, error) {
	cmd := exec.Command(program)
	cmd.Env = childEnvironment()
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p := &process{
		cmd: cmd, said: &tail{}, ended: make(chan struct{}), patience: patience,
		sources: map[int64]io.ReaderAt{}, spools: map[int64]*spooling{},
	}
	cmd.Stderr = p.said
	detach(cmd)
	widen(in)
	widen(out)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if err := confineFromOutside(cmd.Process); err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		return nil, err
	}
	p.peer = newPeer(in, p.answer)
	go p.watch(out)
	go p.guard()
	return p, nil
}

// childEnvironment tells the child nothing about this machine but how to behave.
// GODEBUG and the like of the parent are for the parent.
func childEnvironment() []string {
	env := []string{
		childVariable + "=1",
		fmt.Sprintf("GOMEMLIMIT=%d", collectBelow),
		"GOMAXPROCS=2",
		"GOTRACEBACK=single",
		"TZ=UTC",
	}
	for _, name := range []string{"SYSTEMROOT", "GOCOVERDIR"} { // Windows starts nothing without the first
		if v := os.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// watch reads from the child until it ends, and says how it ended.
func (p *process) watch(out io.Reader) {
	garbled := p.peer.run(out)
	if garbled != nil {
		p.kill("it sent garbage: " + garbled.Error())
	}
	err := p.cmd.Wait()
	p.closeSpools()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.death = p.autopsy(err)
	close(p.ended)
}

// autopsy says in the same words each time how the child ended.
func (p *process) autopsy(err error) *Death {
	switch last := p.said.reason(); {
	case p.killed == stalled:
		return &Death{tutela.FindingStalled, fmt.Sprintf("the reader made no progress for %s and was ended", p.patience)}
	case p.killed == insatiable:
		return &Death{tutela.FindingStalled, "the reader read the source over and over and was ended"}
	case p.killed != "":
		return &Death{tutela.FindingCrashed, "the reader was ended: " + p.killed}
	case last != "":
		return &Death{tutela.FindingCrashed, "the reader crashed: " + last}
	case err != nil:
		return &Death{tutela.FindingCrashed, "the reader crashed: " + err.Error()}
	}
	return &Death{tutela.FindingCrashed, "the reader ended"}
}

const (
	stalled    = "stalled"
	insatiable = "insatiable"
)

func (p *process) kill(why string) {
	p.mu.Lock()
	if p.killed == "" {
		p.killed = why
	}
	p.mu.Unlock()
	p.cmd.Process.Kill()
}

func (p *process) isGone() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// guard ends a child that owes an answer and makes no progress. Time that it
// spends waiting for us is ours.
func (p *process) guard() {
	tick := time.NewTicker(max(p.patience/30, 10*time.Millisecond))
	defer tick.Stop()
	seen, since := uint64(0), time.Now()
	for {
		select {
		case <-p.ended:
			return
		case <-tick.C:
		}
		frames := p.peer.frames.Load()
		if frames != seen || p.calls.Load() == 0 || p.peer.serving.Load() > 0 {
			seen, since = frames, time.Now()
		}
		if time.Since(since) > p.patience {
			p.kill(stalled)
		}
		if p.read.Load() > p.appetite() {
			p.kill(insatiable)
		}
	}
}

// appetite is how much of its sources a child may read before it gives
// anything back, in bytes: some passes over all of it.
func (p *process) appetite() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return min(p.largest, 1<<59)*8 + 1<<28
}

// call asks the child for something.
func (p *process) call(op byte, payload []byte) ([]byte, error) {
	p.calls.Add(1)
	defer p.calls.Add(-1)
	reply, err := p.peer.call(op, payload)
	p.read.Store(0)
	return reply, err
}

// begin starts a session in the child.
func (p *process) begin(op byte, payload []byte) (session int64, err error) {
	reply, err := p.call(op, payload)
	if err != nil {
		return 0, err
	}
	d := &decoder{b: reply}
	session = d.int()
	return session, d.end()
}

// pull takes the items of a session until it ends. It returns the first error
// of take unchanged, or what the session ended with.
func (p *process) pull(ctx context.Context, session int64, take func(*decoder) error) error {
	for {
		if err := ctx.Err(); err != nil {
			p.call(opStop, appendInt(nil, session))
			return err
		}
		done, err := p.batch(session, take)
		if err != nil && !done {
			p.call(opStop, appendInt(nil, session))
		}
		if done || err != nil {
			return err
		}
	}
}

// batch takes the items that are there, and waits for one at least. done says
// that the session ended, with err.
func (p *process) batch(session int64, take func(*decoder) error) (done bool, err error) {
	reply, err := p.call(opNext, appendInt(nil, session))
	if err != nil {
		return false, err
	}
	d := &decoder{b: reply}
	done, ended := d.int() != 0, d.bytes()
	for range d.count() {
		item := &decoder{b: d.bytes()}
		if err := take(item); err != nil {
			return false, err
		}
		if err := item.end(); err != nil {
			return false, err
		}
	}
	if err := d.end(); err != nil {
		return false, err
	}
	return done, decodeError(ended)
}

// lend gives the child a source, by the number and size that are returned to be
// part of a call.
func (p *process) lend(src io.ReaderAt, size int64) (id int64, told []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	p.sources[p.last] = src
	p.largest = max(p.largest, size)
	return p.last, appendInt(appendInt(nil, p.last), size)
}

func (p *process) takeBack(id int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sources, id)
}

// answer serves the child: bytes of its sources, and room for what it spools.
func (p *process) answer(op byte, payload []byte) ([]byte, error) {
	d := &decoder{b: payload}
	switch op {
	case opSource:
		return p.serveSource(d)
	case opSpool:
		return p.beginSpool(d)
	case opSpoolWrite:
		return p.writeSpool(d)
	case opSpoolEnd:
		return p.endSpool(d)
	case opSpoolClose:
		return p.closeSpool(d)
	case opBeside:
		return p.serveBeside(string(payload))
	case opBesideClose:
		return p.closeBeside(d)
	case opStill, opStillPiece, opStillPixels:
		return p.serveStill(op, d)
	}
	return nil, errGarbled
}

func (p *process) serveSource(d *decoder) ([]byte, error) {
	id, off, n := d.int(), d.int(), d.int()
	p.mu.Lock()
	src := p.sources[id]
	p.mu.Unlock()
	if src == nil || n < 0 || n > readMost || d.end() != nil {
		return nil, errGarbled
	}
	b := make([]byte, n, n+64)
	m, err := src.ReadAt(b, off)
	p.read.Add(int64(m))
	return appendRead(b[:m], err), nil
}

// tail keeps what a child says last.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.b) < 8<<10 { // the reason stands first
		t.b = append(t.b, p...)
	}
	return len(p), nil
}

// reason is why a Go program ended, by the first line that says so. Memory that
// runs out shows itself in several ways, by chance; they are one reason.
func (t *tail) reason() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, sign := range []string{"out of memory", "cannot allocate memory", "failed to create new OS thread", "failed to allocate"} {
		if bytes.Contains(t.b, []byte(sign)) {
			return "fatal error: out of memory"
		}
	}
	for line := range bytes.Lines(t.b) {
		text := bytes.TrimSpace(line)
		if bytes.HasPrefix(text, []byte("panic: ")) || bytes.HasPrefix(text, []byte("fatal error: ")) {
			return tutela.DisplayPath(text[:min(len(text), 200)])
		}
	}
	return ""
}

var _ evidence.Source = (*remoteSource)(nil)
