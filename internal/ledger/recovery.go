package ledger

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
	"tutela"
	"tutela/internal/ledger/check"
)

// Recovery is an Ed25519 key that may give a log new keys when its own are lost or
// stolen. It must be registered while the log's keys are still good, by the event
// of [Recovery.Register], and its file kept away from the lab: it holds the seed of
// the bodies too, without which nobody could read the log, so whoever has it can
// read all events.
type Recovery struct {
	origin  string
	ed25519 [32]byte
	bodies  Seed
	logKeys []string // that signed when it was made
}

// NewRecovery makes a recovery key for the log that has these keys.
func NewRecovery(keys *Keys) *Recovery {
	r := &Recovery{origin: keys.origin, bodies: keys.bodies, logKeys: keys.VerifierKeys()}
	rand.Read(r.ed25519[:]) // never fails: crypto/rand
	return r
}

func (r *Recovery) secret() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(r.ed25519[:]) }

// VerifierKey is the public half as a vkey of C2SP signed-note. Its name is the
// log's with "/recovery" behind it.
func (r *Recovery) VerifierKey() string {
	vkey, err := note.NewEd25519VerifierKey(r.origin+"/recovery", r.secret().Public().(ed25519.PublicKey))
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return vkey
}

// KeyID is that of C2SP signed-note, 8 hexadecimal digits.
func (r *Recovery) KeyID() string { return tutela.KeyID(r.VerifierKey()) }

// Sign signs as an actor's key does: see [EventMessage].
func (r *Recovery) Sign(message []byte) ([]byte, error) {
	return ed25519.Sign(r.secret(), message), nil
}

// Register fills in what makes ev the event that registers this key.
func (r *Recovery) Register(ev tutela.Event) tutela.Event {
	ev.Kind, ev.Key = tutela.EventRecoveryKey, "recovery-key "+r.KeyID()
	ev.Facts = []tutela.Fact{{Name: tutela.FactRecoveryKey, Value: []byte(r.VerifierKey())}}
	return ev
}

// Save writes the key to a new file, durably, for its owner only.
func (r *Recovery) Save(name string) error {
	text := keyLines{
		{"tutela-recovery-key", keyVersion},
		{"protection", unprotected},
		{"origin", r.origin},
		{"ed25519", encodeSecret(r.ed25519)},
		{"bodies", encodeSecret(r.bodies)},
		{"bodies-fingerprint", r.bodies.fingerprintText()},
		{"log-ed25519", r.logKeys[0]},
		{"log-ml-dsa-44", r.logKeys[1]},
		{"recovery-key", r.VerifierKey()},
	}
	if err := (Safe{}).write(name, text.String()); err != nil {
		return fmt.Errorf("save recovery key: %w", err)
	}
	return nil
}

// LoadRecovery reads what [Recovery.Save] wrote and nothing else.
func LoadRecovery(name string) (*Recovery, error) {
	r, err := loadSecret(Safe{}, name, parseRecovery)
	if err != nil {
		return nil, fmt.Errorf("load recovery key %s: %w", name, err)
	}
	return r, nil
}

func parseRecovery(text string) (*Recovery, error) {
	v, err := parseKeyLines(text, "tutela-recovery-key", "protection", "origin", "ed25519", "bodies", "bodies-fingerprint", "log-ed25519", "log-ml-dsa-44", "recovery-key")
	if err != nil {
		return nil, err
	}
	if err := checkVersion(v[0], v[1]); err != nil {
		return nil, err
	}
	r := &Recovery{origin: v[2], logKeys: v[6:8]}
	for i, secret := range []*[32]byte{&r.ed25519, (*[32]byte)(&r.bodies)} {
		if *secret, err = parseSecret(v[3+i]); err != nil {
			return nil, err
		}
	}
	public, err := check.ParseLogKeys(r.logKeys...)
	if err != nil {
		return nil, err
	}
	if public.Origin() != r.origin || r.bodies.fingerprintText() != v[5] || r.VerifierKey() != v[8] {
		return nil, errors.New("the public halves are not those of the secrets: the file has changed")
	}
	return r, nil
}

// signedByRecovery reports whether a registered recovery key has signed an event.
func signedByRecovery(ev *tutela.Event, vkey string) bool {
	v, err := note.NewVerifier(vkey)
	return err == nil && ev.Signer == tutela.KeyID(vkey) && v.Verify(EventMessage(ev), ev.Signature)
}

// recoveredKeysName is where a recovery keeps the keys that it makes, apart from
// those of a rotation: whoever stole the keys of a log may know those too.
const recoveredKeysName = keysName + ".recovered"

// Recover gives the log in logDir new keys, though its own are lost or stolen:
//
//  1. the new keys are written to log.key.recovered in keyDir, and sign the head too
//  2. a key-rotate event that the recovery key signed is appended under them, and
//     one that registers the recovery key again: the commit point. Two, since a
//     head that ended with the first would have to be signed by the old keys
//  3. a rotation that was begun before is thrown away; log.key.recovered becomes
//     log.key, and the old file is written over
//
// ev says who, when and why. After a crash it is called again; [Safe.ResumeRotation]
// carries on too, once the commit point is reached. It returns [ErrWrongKey] if
// the log knows another recovery key or none. The lab must be closed: nobody else
// may write.
//
// What a thief signed with the old keys elsewhere is not undone: that the log
// stands as it does is for witnesses to say.
func (s Safe) Recover(ctx context.Context, logDir, keyDir string, recovery *Recovery, ev tutela.Event) (*Keys, error) {
	keys, err := s.recoverKeys(ctx, logDir, keyDir, recovery, ev, func(string) error { return nil })
	if err != nil {
		return nil, fmt.Errorf("recover the keys of the log: %w", err)
	}
	return keys, nil
}

// recoverKeys calls reached after each step; a test crashes there.
func (s Safe) recoverKeys(ctx context.Context, logDir, keyDir string, recovery *Recovery, ev tutela.Event, reached func(step string) error) (*Keys, error) {
	next, err := s.findRecovered(keyDir, recovery)
	if err != nil {
		return nil, err
	}
	history, signed, err := readHistory(logDir, recovery, next)
	if err != nil {
		return nil, err
	}
	if history.recovery != recovery.VerifierKey() {
		return nil, fmt.Errorf("%w: the log has registered the recovery key %.80q", ErrWrongKey, history.recovery)
	}
	r := &Rotation{safe: s, logDir: logDir, keyDir: keyDir, next: next, nextName: recoveredKeysName}
	if next == nil {
		if r.next, err = r.writeNext(successor(recovery.origin, recovery.bodies)); err != nil {
			return nil, err
		}
	}
	if err := reached("written"); err != nil {
		return nil, err
	}
	if err := countersign(logDir, signed, r.next); err != nil {
		return nil, err
	}
	if err := reached("signed"); err != nil {
		return nil, err
	}
	if err := appendTo(ctx, logDir, r.next, recovery.events(ev, history.signing, r.next)...); err != nil {
		return nil, err
	}
	if err := reached("recorded"); err != nil {
		return nil, err
	}
	return r.next, r.finish(ctx, reached)
}

// findRecovered are the keys of a recovery that a crash cut short; nil if there
// was none.
func (s Safe) findRecovered(keyDir string, recovery *Recovery) (*Keys, error) {
	name := filepath.Join(keyDir, recoveredKeysName)
	next, err := loadSecret(s, name, parseKeys)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && (next.origin != recovery.origin || next.bodies != recovery.bodies) {
		err = fmt.Errorf("%w: %s", ErrWrongKey, name)
	}
	return next, err
}

// events are the change of keys and the recovery key's registration for the next
// time, signed by the recovery key.
func (r *Recovery) events(ev tutela.Event, retired []string, next *Keys) []tutela.Event {
	rotation := rotationEvent(ev, retired, next)
	ev.Detail = nil
	again := r.Register(ev)
	again.Key += " after " + rotation.Key
	events := []tutela.Event{rotation, again}
	for i := range events {
		events[i].Signer = r.KeyID()
		events[i].Signature, _ = r.Sign(EventMessage(&events[i]))
	}
	return events
}

// keyHistory is what the events of a log say about keys.
type keyHistory struct {
	recovery string   // the vkey that may recover; "" if there is none
	signing  []string // the vkeys that sign the next event
}

// readHistory reads the log with what the recovery file holds, and makes sure that
// those keys signed its head which had to, or the keys of a recovery that a crash
// cut short. Of the events behind the head, whose checkpoint a crash prevented, it
// takes note too.
func readHistory(logDir string, recovery *Recovery, begun *Keys) (keyHistory, []byte, error) {
	h := keyHistory{signing: recovery.logKeys}
	r := &LogReader{dir: logDir, keys: &Keys{origin: recovery.origin, bodies: recovery.bodies}}
	signed, c, err := r.unjudgedHead()
	if err != nil {
		return h, nil, err
	}
	bodies, err := ReadTree(filepath.Join(logDir, bodiesName), recovery.bodies)
	if err != nil {
		return h, nil, missingIsDamage(err)
	}
	defer bodies.Close()
	atHead := h.signing
	index := uint64(0)
	for body, err := range bodies.Bodies(0) {
		if err != nil {
			return h, nil, err
		}
		ev, err := DecodeEvent(body)
		if err != nil {
			return h, nil, fmt.Errorf("event %d: %w", index, err)
		}
		if index++; index < c.Size {
			h.take(ev)
			atHead = h.signing
			continue
		}
		h.take(ev) // the last of the head, which the keys before it sign, and those behind
	}
	if index < c.Size {
		return h, nil, fmt.Errorf("%w: a head of %d entries and %d bodies", ErrDamaged, c.Size, index)
	}
	return h, signed, judge(signed, atHead, begun)
}

// unjudgedHead is the checkpoint in place, whoever signed it.
func (r *LogReader) unjudgedHead() ([]byte, check.Checkpoint, error) {
	signed, err := os.ReadFile(r.checkpointPath())
	if err != nil {
		return nil, check.Checkpoint{}, err
	}
	c, err := check.ParseCheckpoint(noteText(signed))
	if err == nil && c.Origin != r.keys.origin {
		err = fmt.Errorf("%w: the log is of %.80q", ErrWrongKey, c.Origin)
	}
	return signed, c, err
}

func (h *keyHistory) take(ev *tutela.Event) {
	switch ev.Kind {
	case tutela.EventRecoveryKey:
		h.recovery = ev.Text(tutela.FactRecoveryKey)
	case tutela.EventKeyRotate:
		h.signing = keysOf(ev, tutela.FactLogKey)
	}
}

// judge holds a head against the keys that must have signed it.
func judge(signed []byte, vkeys []string, begun *Keys) error {
	public, err := check.ParseLogKeys(vkeys...)
	if err != nil {
		return err
	}
	_, err = public.Open(signed)
	if err == nil || begun == nil {
		return err
	}
	own, err := begun.public()
	if err != nil {
		return err
	}
	_, err = own.Open(signed)
	return err
}

func appendTo(ctx context.Context, logDir string, keys *Keys, events ...tutela.Event) (err error) {
	log, err := OpenLog(ctx, logDir, keys)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	_, err = log.AppendAll(ctx, events...)
	return err
}
