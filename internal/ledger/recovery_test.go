package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tutela"
)

// registered is a kept log that knows a recovery key.
func registered(t *testing.T, kind logKind) (logDir, keyDir string, recovery *Recovery) {
	t.Helper()
	logDir, keyDir = keptLog(t, kind)
	keys, err := (Safe{}).LoadKeys(keyDir)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "safe", "recovery.key")
	made := NewRecovery(keys)
	if err := made.Save(name); err != nil {
		t.Fatal(err)
	}
	if recovery, err = LoadRecovery(name); err != nil {
		t.Fatal(err)
	}
	if err := appendTo(t.Context(), logDir, keys, recovery.Register(tutela.Event{Actor: "officer"})); err != nil {
		t.Fatal(err)
	}
	return logDir, keyDir, recovery
}

func wantRecovered(t *testing.T, logDir, keyDir string, recovery *Recovery) {
	t.Helper()
	keys, err := (Safe{}).LoadKeys(keyDir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := OpenLog(t.Context(), logDir, keys)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var kinds []string
	for e, err := range l.Events(t.Context(), 3) {
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, string(e.Event.Kind))
		if e.Event.Kind == tutela.EventKeyRotate && !signedByRecovery(&e.Event, recovery.VerifierKey()) {
			t.Error("the recovery key has not signed")
		}
	}
	if got := strings.Join(kinds, " "); got != "recovery-key key-rotate recovery-key" {
		t.Errorf("the log ends with %s", got)
	}
	if found, err := l.Verify(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("verify: %v, %v", found, err)
	}
	if _, err := l.Append(t.Context(), testEvent(3)); err != nil {
		t.Error(err)
	}
	wantOnlyKeyFile(t, keyDir)
}

func TestRecoverLostKeys(t *testing.T) { onBothKinds(t, testRecoverLostKeys) }

func testRecoverLostKeys(t *testing.T, kind logKind) {
	logDir, keyDir, recovery := registered(t, kind)
	if err := os.Remove(filepath.Join(keyDir, keysName)); err != nil {
		t.Fatal(err)
	}
	if _, err := (Safe{}).Recover(t.Context(), logDir, keyDir, recovery, tutela.Event{Actor: "chief"}); err != nil {
		t.Fatal(err)
	}
	wantRecovered(t, logDir, keyDir, recovery)
}

// TestRecoverStolenKeys shuts the thief out: the keys that were stolen open the
// log no more.
func TestRecoverStolenKeys(t *testing.T) { onBothKinds(t, testRecoverStolenKeys) }

func testRecoverStolenKeys(t *testing.T, kind logKind) {
	logDir, keyDir, recovery := registered(t, kind)
	stolen, err := (Safe{}).LoadKeys(keyDir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Safe{}).Recover(t.Context(), logDir, keyDir, recovery, tutela.Event{Actor: "chief"}); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLog(t.Context(), logDir, stolen); !errors.Is(err, ErrWrongKey) {
		t.Errorf("the thief: %v", err)
	}
	wantRecovered(t, logDir, keyDir, recovery)
}

// TestRecoveryCrashes stops after each step, and calls again or opens as a lab
// does. Before the commit point opening says that it must be called again.
func TestRecoveryCrashes(t *testing.T) { onBothKinds(t, testRecoveryCrashes) }

func testRecoveryCrashes(t *testing.T, kind logKind) {
	recovers := func(logDir, keyDir string, r *Recovery) error {
		_, err := (Safe{}).Recover(t.Context(), logDir, keyDir, r, tutela.Event{Actor: "chief"})
		return err
	}
	opens := func(logDir, keyDir string, _ *Recovery) error {
		return (Safe{}).ResumeRotation(t.Context(), logDir, keyDir)
	}
	stop := errors.New("stop")
	for _, lost := range []string{"lost", "stolen"} {
		for _, step := range []string{"written", "signed", "recorded", "alone", "held", "renamed"} {
			t.Run(lost+" "+step, func(t *testing.T) {
				t.Parallel()
				logDir, keyDir, recovery := registered(t, kind)
				if lost == "lost" {
					if err := os.Remove(filepath.Join(keyDir, keysName)); err != nil {
						t.Fatal(err)
					}
				}
				_, err := (Safe{}).recoverKeys(t.Context(), logDir, keyDir, recovery, tutela.Event{Actor: "chief"}, func(reached string) error {
					if reached == step {
						return stop
					}
					return nil
				})
				if err != stop {
					t.Fatal(err)
				}
				early := step == "written" || step == "signed"
				if err := opens(logDir, keyDir, recovery); early != errors.Is(err, ErrUnrecovered) || !early && err != nil {
					t.Fatalf("open: %v", err)
				}
				if early {
					if err := recovers(logDir, keyDir, recovery); err != nil {
						t.Fatal(err)
					}
				}
				wantRecovered(t, logDir, keyDir, recovery)
			})
		}
	}
}

// TestRecoveryIsCalledAgain after each step, without an opening between.
func TestRecoveryIsCalledAgain(t *testing.T) { onBothKinds(t, testRecoveryIsCalledAgain) }

func testRecoveryIsCalledAgain(t *testing.T, kind logKind) {
	stop := errors.New("stop")
	logDir, keyDir, recovery := registered(t, kind)
	for _, step := range []string{"written", "signed", "recorded", "alone", "held"} {
		_, err := (Safe{}).recoverKeys(t.Context(), logDir, keyDir, recovery, tutela.Event{Actor: "chief"}, func(reached string) error {
			if reached == step {
				return stop
			}
			return nil
		})
		if err != stop {
			t.Fatalf("%s: %v", step, err)
		}
		if _, err := (Safe{}).FindKeys(logDir, keyDir); err != nil {
			t.Errorf("%s: a reader finds no keys: %v", step, err)
		}
	}
	if _, err := (Safe{}).Recover(t.Context(), logDir, keyDir, recovery, tutela.Event{Actor: "chief"}); err != nil {
		t.Fatal(err)
	}
	wantRecovered(t, logDir, keyDir, recovery)
}

// TestRecoveryBetweenItsTwoEvents: the change of keys was committed and the second
// event was not, so the head ends with an entry that the old keys should sign.
func TestRecoveryBetweenItsTwoEvents(t *testing.T) { onBothKinds(t, testRecoveryBetweenItsTwoEvents) }

func testRecoveryBetweenItsTwoEvents(t *testing.T, kind logKind) {
	stop := errors.New("stop")
	logDir, keyDir, recovery := registered(t, kind)
	ev := tutela.Event{Actor: "chief"}
	var next *Keys
	_, err := (Safe{}).recoverKeys(t.Context(), logDir, keyDir, recovery, ev, func(reached string) error {
		if reached == "signed" {
			return stop
		}
		return nil
	})
	if err != stop {
		t.Fatal(err)
	}
	if next, err = (Safe{}).findRecovered(keyDir, recovery); err != nil {
		t.Fatal(err)
	}
	old, err := (Safe{}).LoadKeys(keyDir)
	if err != nil {
		t.Fatal(err)
	}
	if err := appendTo(t.Context(), logDir, next, recovery.events(ev, old.VerifierKeys(), next)[0]); err != nil {
		t.Fatal(err)
	}
	if err := (Safe{}).ResumeRotation(t.Context(), logDir, keyDir); !errors.Is(err, ErrUnrecovered) {
		t.Errorf("open: %v", err)
	}
	if _, err := (Safe{}).Recover(t.Context(), logDir, keyDir, recovery, ev); err != nil {
		t.Fatal(err)
	}
	wantRecovered(t, logDir, keyDir, recovery)
}

// TestRecoveryThrowsAwayARotation that was begun before, announced or not: its keys
// may be a thief's.
func TestRecoveryThrowsAwayARotation(t *testing.T) { onBothKinds(t, testRecoveryThrowsAwayARotation) }

func testRecoveryThrowsAwayARotation(t *testing.T, kind logKind) {
	for _, announced := range []bool{false, true} {
		logDir, keyDir, recovery := registered(t, kind)
		r, err := (Safe{}).BeginRotation(logDir, keyDir)
		if err != nil {
			t.Fatal(err)
		}
		if announced {
			appendRotation(t, r)
		}
		keys, err := (Safe{}).Recover(t.Context(), logDir, keyDir, recovery, tutela.Event{Actor: "chief"})
		if err != nil {
			t.Fatal(err)
		}
		if keys.Fingerprint() == r.next.Fingerprint() {
			t.Error("the keys of the rotation were taken")
		}
		if _, err := OpenLog(t.Context(), logDir, r.next); !errors.Is(err, ErrWrongKey) {
			t.Errorf("the keys of the rotation open the log: %v", err)
		}
		if err := (Safe{}).ResumeRotation(t.Context(), logDir, keyDir); err != nil {
			t.Fatal(err)
		}
		now, err := (Safe{}).LoadKeys(keyDir)
		if err != nil || now.Fingerprint() != keys.Fingerprint() {
			t.Errorf("other keys lie there: %v", err)
		}
		wantOnlyKeyFile(t, keyDir)
		wantRetires(t, logDir, now, r, announced)
	}
}

// wantRetires holds whom the recovery's event retires against who would have
// signed next.
func wantRetires(t *testing.T, logDir string, now *Keys, r *Rotation, announced bool) {
	t.Helper()
	want := r.old
	if announced {
		want = r.next
	}
	log, err := ReadLog(logDir, now)
	if err != nil {
		t.Fatal(err)
	}
	var last tutela.Event
	for e, err := range log.Events(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Event.Kind == tutela.EventKeyRotate {
			last = e.Event
		}
	}
	if !retires(&last, want) {
		t.Errorf("announced %v: other keys were retired", announced)
	}
}

func TestRecoveryThatIsNotRegistered(t *testing.T) { onBothKinds(t, testRecoveryThatIsNotRegistered) }

func testRecoveryThatIsNotRegistered(t *testing.T, kind logKind) {
	logDir, keyDir := keptLog(t, kind)
	keys, err := (Safe{}).LoadKeys(keyDir)
	if err != nil {
		t.Fatal(err)
	}
	other := NewRecovery(keys)
	if _, err := (Safe{}).Recover(t.Context(), logDir, keyDir, other, tutela.Event{}); !errors.Is(err, ErrWrongKey) {
		t.Errorf("recovered by a key that nobody registered: %v", err)
	}
	forged := rotationEvent(tutela.Event{}, []string{"x"}, testKeys(t))
	forged.Signer = other.KeyID()
	forged.Signature, _ = other.Sign(EventMessage(&forged))
	if err := appendTo(t.Context(), logDir, keys, forged); !errors.Is(err, ErrWrongKey) {
		t.Errorf("the log took a change of keys that nobody may make: %v", err)
	}
}

func TestRecoveryFileThatHasChanged(t *testing.T) {
	_, _, recovery := registered(t, plainKind)
	name := filepath.Join(t.TempDir(), "recovery.key")
	if err := recovery.Save(name); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		changed := append([]byte(nil), text...)
		changed[i] ^= 1
		if _, err := parseRecovery(string(changed)); err == nil {
			t.Errorf("byte %d was changed, and the file read", i)
		}
	}
}
