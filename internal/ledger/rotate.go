package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/mod/sumdb/note"
	"tutela"
)

// The keys of a log are changed in five steps, and a crash leaves after each:
//
//  1. the new keys are written to log.key.next, durably. Nothing has happened
//     yet; the next opening throws them away
//  2. a key-rotate event is appended under the old keys, which sign the head that
//     it is the last entry of. This is the commit point: from then on the log takes
//     no more under the old keys, and opening carries on
//  3. the new keys sign that head too, so that there is one head which both vouch for
//  4. log.key.next becomes log.key
//  5. the old file is written over and removed
//
// So verifiers know: the keys for a head of N entries are those that the first
// key-rotate event with index N-1 or more retires, or if there is none, today's.

const (
	nextKeysName   = keysName + ".next"
	rotationPrefix = "key-rotate "
)

// Rotation is a change of a log's keys that has begun.
type Rotation struct {
	safe           Safe // that the keys lie in
	logDir, keyDir string
	old, next      *Keys
	nextName       string // of the file that next lie in
}

// BeginRotation makes new signing keys for the log in logDir, whose keys lie in
// keyDir, and writes them beside the old ones: step 1. The seed of the bodies
// stays. Then append [Rotation.Event] to the log, close the log, and call
// [Rotation.Finish]. It returns fs.ErrExist if a rotation was begun already: see
// [Safe.ResumeRotation].
func (s Safe) BeginRotation(logDir, keyDir string) (*Rotation, error) {
	old, err := s.LoadKeys(keyDir)
	if err != nil {
		return nil, fmt.Errorf("rotate keys: %w", err)
	}
	r := &Rotation{safe: s, logDir: logDir, keyDir: keyDir, old: old, nextName: nextKeysName}
	if r.next, err = r.writeNext(successor(old.origin, old.bodies)); err != nil {
		return nil, fmt.Errorf("rotate keys: %w", err)
	}
	return r, nil
}

// writeNext keeps new keys beside the old ones.
func (r *Rotation) writeNext(next *Keys) (*Keys, error) {
	return next, r.safe.write(filepath.Join(r.keyDir, r.nextName), next.text())
}

// Event fills in what makes ev the event of this rotation: its kind, facts and
// key. It must be appended under the old keys.
func (r *Rotation) Event(ev tutela.Event) tutela.Event {
	return rotationEvent(ev, r.old.VerifierKeys(), r.next)
}

func rotationEvent(ev tutela.Event, retired []string, next *Keys) tutela.Event {
	ev.Kind, ev.Key, ev.Facts = tutela.EventKeyRotate, rotationPrefix+next.Fingerprint(), nil
	for _, vkey := range next.VerifierKeys() {
		ev.Facts = append(ev.Facts, tutela.Fact{Name: tutela.FactLogKey, Value: []byte(vkey)})
	}
	for _, vkey := range retired {
		ev.Facts = append(ev.Facts, tutela.Fact{Name: tutela.FactRetiredLogKey, Value: []byte(vkey)})
	}
	return ev
}

// keysOf are the values of all facts of a name.
func keysOf(ev *tutela.Event, name string) (vkeys []string) {
	for _, f := range ev.Facts {
		if f.Name == name {
			vkeys = append(vkeys, string(f.Value))
		}
	}
	return vkeys
}

// retires reports whether from this event on the keys sign no more.
func retires(ev *tutela.Event, k *Keys) bool {
	return ev.Kind == tutela.EventKeyRotate && slices.Equal(keysOf(ev, tutela.FactRetiredLogKey), k.VerifierKeys())
}

// Finish carries out steps 3 to 5 and returns the keys that sign from now on. The
// log must be closed. It may be repeated.
func (r *Rotation) Finish(ctx context.Context) (*Keys, error) {
	if err := r.finish(ctx, func(string) error { return nil }); err != nil {
		return nil, fmt.Errorf("rotate keys: %w", err)
	}
	return r.next, nil
}

// finish calls reached after each step; a test crashes there.
func (r *Rotation) finish(ctx context.Context, reached func(step string) error) error {
	steps := []struct {
		what string
		do   func() error
	}{
		{"signed", func() error { return r.countersign(ctx) }},
		{"alone", r.dropOther},
		{"held", func() error { return holdOld(filepath.Join(r.keyDir, keysName)) }},
		{"renamed", r.rename},
		{"gone", func() error { return finishReplacing(filepath.Join(r.keyDir, keysName)) }},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return err
		}
		if err := reached(step.what); err != nil {
			return err
		}
	}
	return nil
}

// countersign has the new keys sign the head whose last entry is the rotation's.
func (r *Rotation) countersign(ctx context.Context) error {
	if _, err := ReadLog(r.logDir, r.next); err == nil {
		return nil
	}
	log, err := newLogReader(r.logDir, r.old)
	if err != nil {
		return err
	}
	h, err := log.Head(ctx)
	if err != nil {
		return err
	}
	if done, err := r.announced(ctx, log); err != nil || !done {
		return errors.Join(err, errors.New("the last event of the log is not the one that rotates these keys"))
	}
	return countersign(r.logDir, h.Signed, r.next)
}

// announced reports whether the last entry of the head announces the new keys.
func (r *Rotation) announced(ctx context.Context, log *LogReader) (bool, error) {
	h, err := log.Head(ctx)
	if err != nil || h.Size == 0 {
		return false, err
	}
	return r.announcedFrom(ctx, log, h.Size-1)
}

// announcedFrom reports whether an entry from index from on announces the new
// keys. That of a recovery counts when another follows it: see [Safe.Recover].
func (r *Rotation) announcedFrom(ctx context.Context, log *LogReader, from uint64) (bool, error) {
	announced := false
	for e, err := range log.Events(ctx, from) {
		if err != nil {
			return false, err
		}
		if announced {
			return true, nil
		}
		announced = e.Event.Kind == tutela.EventKeyRotate && slices.Equal(keysOf(&e.Event, tutela.FactLogKey), r.next.VerifierKeys())
	}
	return announced && r.nextName != recoveredKeysName, nil
}

// countersign puts the signatures of keys below a signed head, durably. One that
// they have signed already stays as it is.
func countersign(logDir string, signed []byte, keys *Keys) error {
	public, err := keys.public()
	if err != nil {
		return err
	}
	if _, err := public.Open(signed); err == nil {
		return nil
	}
	lines, err := keys.signatureLines(noteText(signed))
	if err != nil {
		return err
	}
	both := append(slices.Clone(signed), lines...)
	if _, err := public.Open(both); err != nil {
		return err
	}
	return replaceCheckpoint(logDir, both)
}

// signatureLines are the signatures of a note's text, a line for each key.
func (k *Keys) signatureLines(text []byte) ([]byte, error) {
	ed, ml, err := k.signers()
	if err != nil {
		return nil, err
	}
	signed, err := note.Sign(&note.Note{Text: string(text)}, ed, ml)
	if err != nil {
		return nil, err
	}
	return signed[len(text)+1:], nil
}

func replaceCheckpoint(logDir string, signed []byte) error {
	name := (&LogReader{dir: logDir}).checkpointPath()
	if err := writeDurably(name+".new", signed, 0o644); err != nil {
		return err
	}
	if err := renameOver(name+".new", name); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(name))
}

// dropOther throws away, after a recovery, the keys of a rotation that was begun
// before it.
func (r *Rotation) dropOther() error {
	if r.nextName == nextKeysName {
		return nil
	}
	return destroySecret(filepath.Join(r.keyDir, nextKeysName))
}

// holdOld gives the old file a second name, by which it can be written over when
// the first is the new one's.
func holdOld(name string) error {
	if err := finishReplacing(name); err != nil {
		return err
	}
	err := os.Link(name, name+".old")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the keys are lost
	}
	return err
}

func (r *Rotation) rename() error {
	if err := os.Rename(filepath.Join(r.keyDir, r.nextName), filepath.Join(r.keyDir, keysName)); err != nil {
		return err
	}
	return syncFolder(r.keyDir)
}

// ResumeRotation brings a rotation to its end that a crash cut short, or undoes
// one that had not reached its commit point. Call it before [OpenLog], by the one
// process that may write. Where nothing was begun it does nothing.
func (s Safe) ResumeRotation(ctx context.Context, logDir, keyDir string) error {
	if err := s.resumeRotation(ctx, logDir, keyDir); err != nil {
		return fmt.Errorf("resume the rotation of keys: %w", err)
	}
	return nil
}

func (s Safe) resumeRotation(ctx context.Context, logDir, keyDir string) error {
	if isThere(filepath.Join(keyDir, keysName)) {
		if err := finishReplacing(filepath.Join(keyDir, keysName)); err != nil {
			return err
		}
	}
	for _, name := range []string{recoveredKeysName, nextKeysName} {
		if !isThere(filepath.Join(keyDir, name)) {
			continue
		}
		if err := resumeWith(ctx, &Rotation{safe: s, logDir: logDir, keyDir: keyDir, nextName: name}); err != nil {
			return err
		}
	}
	return nil
}

// resumeWith goes on with the keys in one file. What was not announced is undone,
// but for a recovery, which may have nothing to go back to.
func resumeWith(ctx context.Context, r *Rotation) (err error) {
	if r.next, err = loadSecret(r.safe, filepath.Join(r.keyDir, r.nextName), parseKeys); err != nil {
		return err
	}
	r.old, err = r.safe.LoadKeys(r.keyDir)
	if err != nil && (r.nextName == nextKeysName || !errors.Is(err, fs.ErrNotExist)) {
		return err
	}
	announced, err := r.settle(ctx)
	switch {
	case err != nil:
		return err
	case announced:
		return r.finish(ctx, func(string) error { return nil })
	case r.nextName == recoveredKeysName:
		return ErrUnrecovered
	}
	return r.abandon()
}

// settle opens the log, so that all its events are under a head, and reports
// whether one of them announces the new keys. Step 2 may have been cut short. If
// the new keys have signed already, they may be alone in that: see [Safe.Recover].
func (r *Rotation) settle(ctx context.Context) (announced bool, err error) {
	keys := r.old
	if _, err := ReadLog(r.logDir, r.next); err == nil {
		keys = r.next
	}
	if keys == nil {
		return false, nil
	}
	log, err := OpenLog(ctx, r.logDir, keys)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	return r.announcedFrom(ctx, &log.LogReader, 0)
}

func (r *Rotation) abandon() error { return destroySecret(filepath.Join(r.keyDir, r.nextName)) }

// FindKeys loads the keys that open the log as it is now, for whoever only reads:
// while they are changed, that may be those to come. Where none fits it is the
// log's own, which tell what is wrong. It never writes.
func (s Safe) FindKeys(logDir, keyDir string) (*Keys, error) {
	own, err := s.LoadKeys(keyDir)
	if err != nil || opens(logDir, own) {
		return own, err
	}
	for _, name := range []string{recoveredKeysName, nextKeysName, keysName} { // renamed meanwhile, perhaps
		if k, err := loadSecret(s, filepath.Join(keyDir, name), parseKeys); err == nil && opens(logDir, k) {
			return k, nil
		}
	}
	return own, nil
}

// opens reports whether the log is not one of other keys.
func opens(logDir string, k *Keys) bool {
	_, err := ReadLog(logDir, k)
	return !errors.Is(err, ErrWrongKey)
}

func isThere(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// noteText is the part of a note that is signed: up to the last blank line.
func noteText(signed []byte) []byte {
	return signed[:bytes.LastIndex(signed, []byte("\n\n"))+1]
}
