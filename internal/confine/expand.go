package confine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
)

// Expand expands an archive in a child, as [archive.Expander.Expand] does. What
// a reader that crashed twice leaves unsaid is said by an entry at the end.
func (h *Host) Expand(ctx context.Context, o archive.Options, parent *evidence.Entry, content io.ReaderAt, size int64, visit func(*evidence.Entry) error) error {
	x := &remoteExpansion{host: h, options: o, parent: parent, content: content, size: size, visit: visit}
	var t tries
	for {
		err := x.try(ctx)
		var death *Death
		if !errors.As(err, &death) {
			return err
		}
		if !t.again(x.visited) {
			return visit(x.left(death))
		}
	}
}

type remoteExpansion struct {
	host    *Host
	options archive.Options
	parent  *evidence.Entry
	content io.ReaderAt
	size    int64
	visit   func(*evidence.Entry) error
	visited int64
	tried   bool // and ended a child
}

// try expands in one child, from behind the last member that was visited.
func (x *remoteExpansion) try(ctx context.Context) error {
	r, err := x.begin(x.visited)
	if err != nil {
		return err
	}
	defer r.end()
	var stop error
	err = r.child.pull(ctx, r.session, func(d *decoder) error {
		s := d.sent()
		if d.bad {
			return errGarbled
		}
		member := &memberContent{x: x, number: s.number, running: r}
		defer member.close()
		if stop = x.visit(member.entry(s)); stop != nil {
			return errStopped
		}
		x.visited = s.number
		return member.lost
	})
	if stop != nil {
		return stop
	}
	return r.death(err)
}

// running is an expansion in a child.
type running struct {
	x       *remoteExpansion
	child   *process
	source  int64
	session int64
	lent    []lent // beside the archive; child.mu guards it
}

// begin starts to expand behind so many members.
func (x *remoteExpansion) begin(skip int64) (*running, error) {
	child, err := x.host.borrow()
	if err != nil {
		return nil, err
	}
	r := &running{x: x, child: child}
	child.works(r)
	id, source := child.lend(x.content, x.size)
	r.source = id
	call := appendInt(appendKeys(appendLimits(nil, x.options.Limits), x.options.Keys), skip)
	call = appendInt(call, flag(x.tried))
	x.tried = true
	call = appendSent(append(call, source...), &sent{entry: *x.parent})
	if r.session, err = child.begin(opExpand, call); err != nil {
		defer r.end()
		return nil, r.death(err)
	}
	return r, nil
}

// death is err, or how the child ended if that is what it is about.
func (r *running) death(err error) error {
	if death := r.child.died(err); death != nil {
		return death
	}
	return err
}

func (r *running) end() {
	r.child.works(nil)
	r.child.takeBack(r.source)
	for _, l := range r.lent {
		r.child.takeBack(l.id)
		l.done() // it was only read
	}
	r.x.host.giveBack(r.child)
}

// left is the entry that says that the rest of the archive was left.
func (x *remoteExpansion) left(death *Death) *evidence.Entry {
	return &evidence.Entry{
		Volume: x.parent.Volume, Path: append(bytes.Clone(x.parent.Path), "!/"...), Chain: slices.Clone(x.parent.Chain),
		Kind: tutela.Directory, State: tutela.Embedded, Findings: []tutela.Finding{death.Finding()},
	}
}

// memberContent is the content of the member at which an expansion stands. If
// the child ends while it is read, another comes to the same place and goes on.
type memberContent struct {
	x       *remoteExpansion
	number  int64
	running *running
	second  *running // after the first child ended
	opened  []int64  // handles in the child that is there
	lost    error    // the first child ended: the expansion must begin anew behind this member
}

func (m *memberContent) entry(s *sent) *evidence.Entry {
	e := &s.entry
	switch s.how {
	case contentInline:
		e.Open = openInline(s)
	case contentRemote:
		e.Open = m.open
	}
	return e
}

func (m *memberContent) open() (evidence.Content, error) {
	r := &memberReader{member: m}
	if err := r.open(); err != nil {
		return nil, r.again(err)
	}
	return r, nil
}

func (m *memberContent) now() *running {
	if m.second != nil {
		return m.second
	}
	return m.running
}

// replace brings another child to the member after the first has ended with
// err. It is the second and the last.
func (m *memberContent) replace(err error) error {
	death := m.now().child.died(err)
	if death == nil {
		return err
	}
	m.opened = nil
	if m.lost == nil {
		m.lost = errGone
	}
	if m.second != nil {
		return death
	}
	second, err := m.x.begin(m.number - 1)
	if err != nil {
		return err
	}
	m.second = second
	_, err = second.child.batch(second.session, func(d *decoder) error {
		d.sent()
		return nil
	})
	return second.death(err)
}

func (m *memberContent) close() {
	for _, handle := range m.opened {
		m.now().child.call(opClose, appendInt(nil, handle))
	}
	if m.second != nil {
		m.second.child.call(opStop, appendInt(nil, m.second.session))
		m.second.end()
	}
}

type memberReader struct {
	member *memberContent
	handle int64
	at     int64
	err    error
}

func (r *memberReader) open() error {
	now := r.member.now()
	reply, err := now.child.call(opContent, appendInt(appendInt(appendInt(nil, now.session), 0), 0))
	if err != nil {
		return err
	}
	d := &decoder{b: reply}
	r.handle = d.int()
	d.int()
	r.member.opened = append(r.member.opened, r.handle)
	return d.end()
}

func (r *memberReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	b, err := r.ask(len(p))
	if err != nil {
		if r.err = r.again(err); r.err != nil {
			return 0, r.err
		}
		if b, err = r.ask(len(p)); err != nil {
			r.err = r.member.now().death(err)
			return 0, r.err
		}
	}
	n := copy(p, b)
	r.at += int64(n)
	if n > 0 {
		return n, nil
	}
	return n, r.err
}

// ask reads some bytes; what the content itself fails with goes into r.err.
func (r *memberReader) ask(n int) ([]byte, error) {
	reply, err := r.member.now().child.call(opRead, appendInt(appendInt(nil, r.handle), min(n, readMost)))
	if err != nil {
		return nil, err
	}
	b, failed := decodeRead(reply)
	r.err = failed
	return b, nil
}

// again comes to where the reading was in a second child, if err was the end of
// the first.
func (r *memberReader) again(err error) error {
	if err := r.member.replace(err); err != nil {
		return err
	}
	if err := r.open(); err != nil {
		return r.member.now().death(err)
	}
	for skipped := int64(0); skipped < r.at; {
		b, err := r.ask(int(min(r.at-skipped, readMost)))
		if err := errors.Join(err, r.err); err != nil {
			return r.member.now().death(err)
		}
		skipped += int64(len(b))
	}
	return nil
}

func (r *memberReader) Close() error { return nil }

// works says what the child works on from now on.
func (p *process) works(on *running) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = on
}

func (p *process) expansion() *running {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running
}

// serveBeside lends the child a file that lies near the archive.
func (p *process) serveBeside(name string) ([]byte, error) {
	run := p.expansion()
	if run == nil || run.x.parent.Beside == nil {
		return nil, nil
	}
	e := run.x.parent.Beside(name)
	if e == nil || e.Open == nil {
		return nil, nil
	}
	content, size, done, err := run.x.random(e)
	if err != nil {
		return nil, err
	}
	id, told := p.lend(content, size)
	run.borrowed(id, done)
	return told, nil
}

// closeBeside takes such a file back before the expansion ends.
func (p *process) closeBeside(d *decoder) ([]byte, error) {
	id := d.int()
	run := p.expansion()
	if err := d.end(); err != nil || run == nil {
		return nil, err
	}
	if done := run.returned(id); done != nil {
		p.takeBack(id)
		done() // it was only read
	}
	return nil, nil
}

// random gives random access to the content of an entry.
func (x *remoteExpansion) random(e *evidence.Entry) (at io.ReaderAt, size int64, done func() error, err error) {
	content, err := e.Open()
	if err != nil {
		return nil, 0, nil, err
	}
	if at, ok := content.(io.ReaderAt); ok && e.Size >= 0 {
		return at, e.Size, content.Close, nil
	}
	defer content.Close()
	spooled, err := x.options.Spool.Put(context.Background(), content, x.options.Limits.WithDefaults().MemberBytes)
	if err != nil {
		return nil, 0, nil, err
	}
	return spooled, spooled.Size(), spooled.Close, nil
}

// borrowed remembers what was lent beside the archive until the expansion ends.
func (r *running) borrowed(id int64, done func() error) {
	r.child.mu.Lock()
	defer r.child.mu.Unlock()
	r.lent = append(r.lent, lent{id, done})
}

// returned forgets what was lent; nil if it was not.
func (r *running) returned(id int64) (done func() error) {
	r.child.mu.Lock()
	defer r.child.mu.Unlock()
	at := slices.IndexFunc(r.lent, func(l lent) bool { return l.id == id })
	if at < 0 {
		return nil
	}
	done = r.lent[at].done
	r.lent = slices.Delete(r.lent, at, at+1)
	return done
}

type lent struct {
	id   int64
	done func() error
}

func appendKeys(b []byte, k evidence.Keys) []byte {
	for _, list := range [...][]string{k.Passphrases, k.RecoveryKeys} {
		b = appendInt(b, len(list))
		for _, key := range list {
			b = appendBytes(b, key)
		}
	}
	return b
}

func (d *decoder) keys() (k evidence.Keys) {
	for _, list := range [...]*[]string{&k.Passphrases, &k.RecoveryKeys} {
		for range d.count() {
			*list = append(*list, d.string())
		}
	}
	return k
}
