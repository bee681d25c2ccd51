//go:build unix

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
func registered(t *testing.T) (logDir, keyDir string, recovery *Recovery) {
	t.Helper()
	logDir, keyDir = keptLog(t)
	keys, err := LoadKeys(keyDir)
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
	keys, err := LoadKeys(keyDir)
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

func TestRecoverLostKeys(t *testing.T) {
	logDir, keyDir, recovery := registered(t)
	if err := os.Remove(filepath.Join(keyDir, keysName)); err != nil {
		t.Fatal(err)
	}
	if _, err := Recover(t.Context(), logDir, keyDir, recovery, tutela.Event{Actor: "chief"}); err != nil {
		t.Fatal(err)
	}
	wantRecovered(t, logDir, keyDir, recovery)
}

// TestRecoverStolenKeys shuts the thief out: the keys that were stolen open the
// log no more.
func TestRecoverStolenKeys(t *testing.T) {
	logDir, keyDir, recovery := registered(t)
	stolen, err := LoadKeys(keyDir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Recover(t.Context(), logDir, keyDir, recovery, tutela.Event{Actor: "chief"}); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLog(t.Context(), logDir, stolen); !errors.Is(err, ErrWrongKey) {
		t.Errorf("the thief: %v", err)
	}
	wantRecovered(t, logDir, keyDir, recovery)
}

// TestRecoveryCrashes stops behind the commit point, and calls again or opens as a
// lab does.
func TestRecoveryCrashes(t *testing.T) {
	for name, again := range map[string]func(logDir, keyDir string, r *Recovery) error{
		"recover": func(logDir, keyDir string, r *Recovery) error {
			_, err := Recover(t.Context(), logDir, keyDir, r, tutela.Event{Actor: "chief"})
			return err
		},
		"open": func(logDir, keyDir string, _ *Recovery) error {
			return ResumeRotation(t.Context(), logDir, keyDir)
		},
	} {
		t.Run(name, func(t *testing.T) {
			logDir, keyDir, recovery := registered(t)
			old, err := os.ReadFile(filepath.Join(keyDir, keysName))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Recover(t.Context(), logDir, keyDir, recovery, tutela.Event{Actor: "chief"}); err != nil {
				t.Fatal(err)
			}
			// as if the last step had not come: the log is recovered, the files are not
			if err := os.Rename(filepath.Join(keyDir, keysName), filepath.Join(keyDir, nextKeysName)); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(keyDir, keysName), old, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := again(logDir, keyDir, recovery); err != nil {
				t.Fatal(err)
			}
			wantRecovered(t, logDir, keyDir, recovery)
		})
	}
}

func TestRecoveryThatIsNotRegistered(t *testing.T) {
	logDir, keyDir := keptLog(t)
	keys, err := LoadKeys(keyDir)
	if err != nil {
		t.Fatal(err)
	}
	other := NewRecovery(keys)
	if _, err := Recover(t.Context(), logDir, keyDir, other, tutela.Event{}); !errors.Is(err, ErrWrongKey) {
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
	_, _, recovery := registered(t)
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
