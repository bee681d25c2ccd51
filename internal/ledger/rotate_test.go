package ledger

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"tutela"
	"tutela/internal/ledger/check"
)

// keptLog is a closed log of three events in dir/log, its keys in dir/keys.
func keptLog(t *testing.T, kind logKind) (logDir, keyDir string) {
	t.Helper()
	dir, keys := t.TempDir(), testKeys(t)
	logDir, keyDir = filepath.Join(dir, "log"), filepath.Join(dir, "keys")
	if err := (Safe{}).SaveKeys(keyDir, keys); err != nil {
		t.Fatal(err)
	}
	l, err := kind.create(t.Context(), logDir, keys)
	if err != nil {
		t.Fatal(err)
	}
	appendEvents(t, l, 0, 3)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return logDir, keyDir
}

func appendRotation(t *testing.T, r *Rotation) {
	t.Helper()
	l, err := OpenLog(t.Context(), r.logDir, r.old)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Append(t.Context(), r.Event(tutela.Event{Actor: "officer"})); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), testEvent(9)); !errors.Is(err, ErrRetired) {
		t.Fatalf("an event after the rotation: %v", err)
	}
}

// wantRotated opens the log with the keys that lie there, holds its head against
// the keys before and after, and goes on.
func wantRotated(t *testing.T, r *Rotation) {
	t.Helper()
	now, err := (Safe{}).LoadKeys(r.keyDir)
	if err != nil {
		t.Fatal(err)
	}
	if now.Fingerprint() != r.next.Fingerprint() {
		t.Fatal("the old keys are still there")
	}
	for _, k := range []*Keys{r.old, r.next} {
		log, err := ReadLog(r.logDir, k)
		if err != nil {
			t.Fatal(err)
		}
		if h, err := log.Head(t.Context()); err != nil || h.Size != 4 {
			t.Fatalf("head: %d entries, %v", h.Size, err)
		}
	}
	l, err := OpenLog(t.Context(), r.logDir, now)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if i, err := l.Append(t.Context(), testEvent(9)); err != nil || i != 4 {
		t.Fatalf("append: %d, %v", i, err)
	}
	if _, err := ReadLog(r.logDir, r.old); !errors.Is(err, ErrWrongKey) {
		t.Errorf("the old keys open a head that the new ones signed: %v", err)
	}
	if found, err := l.Verify(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("verify: %v, %v", found, err)
	}
	wantOnlyKeyFile(t, r.keyDir)
}

func wantOnlyKeyFile(t *testing.T, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 || files[0].Name() != keysName {
		t.Errorf("beside the keys lie %v, %v", files, err)
	}
}

func TestRotateKeys(t *testing.T) { onBothKinds(t, testRotateKeys) }

func testRotateKeys(t *testing.T, kind logKind) {
	logDir, keyDir := keptLog(t, kind)
	r, err := (Safe{}).BeginRotation(logDir, keyDir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Safe{}).BeginRotation(logDir, keyDir); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second rotation was begun: %v", err)
	}
	if _, err := r.Finish(t.Context()); err == nil {
		t.Error("keys were changed that no event announced")
	}
	appendRotation(t, r)
	if _, err := r.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantRotated(t, r)
}

// TestRotationCrashes stops after each step and opens as a lab does.
func TestRotationCrashes(t *testing.T) { onBothKinds(t, testRotationCrashes) }

func testRotationCrashes(t *testing.T, kind logKind) {
	stop := errors.New("stop")
	for _, step := range []string{"announced", "signed", "alone", "held", "renamed", "gone"} {
		t.Run(step, func(t *testing.T) {
			logDir, keyDir := keptLog(t, kind)
			r, err := (Safe{}).BeginRotation(logDir, keyDir)
			if err != nil {
				t.Fatal(err)
			}
			appendRotation(t, r)
			if step != "announced" {
				err := r.finish(t.Context(), func(reached string) error {
					if reached == step {
						return stop
					}
					return nil
				})
				if err != stop {
					t.Fatal(err)
				}
			}
			for range 2 {
				if err := (Safe{}).ResumeRotation(t.Context(), logDir, keyDir); err != nil {
					t.Fatal(err)
				}
			}
			wantRotated(t, r)
		})
	}
}

// Before its event a rotation has not happened.
func TestRotationThatWasNotAnnouncedIsUndone(t *testing.T) {
	onBothKinds(t, testRotationThatWasNotAnnouncedIsUndone)
}

func testRotationThatWasNotAnnouncedIsUndone(t *testing.T, kind logKind) {
	logDir, keyDir := keptLog(t, kind)
	r, err := (Safe{}).BeginRotation(logDir, keyDir)
	if err != nil {
		t.Fatal(err)
	}
	if err := (Safe{}).ResumeRotation(t.Context(), logDir, keyDir); err != nil {
		t.Fatal(err)
	}
	wantOnlyKeyFile(t, keyDir)
	l, err := OpenLog(t.Context(), logDir, r.old)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if i, err := l.Append(t.Context(), testEvent(3)); err != nil || i != 3 {
		t.Errorf("append: %d, %v", i, err)
	}
}

// The event says whose signatures a verifier must demand of which head.
func TestRotationEventNamesBothPairs(t *testing.T) {
	logDir, keyDir := keptLog(t, plainKind)
	r, err := (Safe{}).BeginRotation(logDir, keyDir)
	if err != nil {
		t.Fatal(err)
	}
	ev := r.Event(tutela.Event{})
	for name, keys := range map[string]*Keys{tutela.FactLogKey: r.next, tutela.FactRetiredLogKey: r.old} {
		public, err := check.ParseLogKeys(keysOf(&ev, name)...)
		if err != nil || public.Origin() != "lab.example/log" || len(keysOf(&ev, name)) != 2 {
			t.Errorf("%s: %v", name, err)
		}
		if keys.VerifierKeys()[0] != ev.Text(name) {
			t.Errorf("%s is another key", name)
		}
	}
}
