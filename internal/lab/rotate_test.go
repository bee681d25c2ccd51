package lab

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"tutela"
	"tutela/internal/ledger"
)

func newTestLab(t *testing.T) (*Lab, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "lab")
	if err := Init(t.Context(), dir, Config{Agency: "Example Police", Country: "BE"}, "erika"); err != nil {
		t.Fatal(err)
	}
	return openLab(t, dir, Write), dir
}

// TestReadersOutliveAChangeOfKeys: who opened the lab before goes on reading, also
// when only the new keys have signed.
func TestReadersOutliveAChangeOfKeys(t *testing.T) {
	t.Parallel()
	l, dir := newTestLab(t)
	reader := openLab(t, dir, Read)
	before := reader.LogKeys()
	for n := range 2 {
		if err := l.RotateKeys(t.Context(), "drill"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			log, err := reader.ReadLog()
			if err != nil {
				t.Fatalf("rotation %d: %v", n, err)
			}
			if _, err := log.Head(t.Context()); err != nil {
				t.Error(err)
			}
			mustRecord(t, l, tutela.Event{Kind: tutela.EventClockCheck})
		}
	}
	if l.LogKeys()[0] == before[0] {
		t.Error("the keys were not changed")
	}
	if found := problemsOf(t, l); len(found) > 0 {
		t.Error(found)
	}
}

// TestRotationCutShort leaves new keys that no event announces, as a crash does,
// and opens: who looks changes nothing, who writes throws them away.
func TestRotationCutShort(t *testing.T) {
	t.Parallel()
	l, dir := newTestLab(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := (ledger.Safe{}).BeginRotation(l.agencyDir(), l.keysDir()); err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(dir, "keys", "log.key.next")
	openLab(t, dir, Read)
	if _, err := os.Stat(next); err != nil {
		t.Error("looking has thrown them away")
	}
	l = openLab(t, dir, Write)
	if _, err := os.Stat(next); err == nil {
		t.Error("they are still there")
	}
	if err := l.RotateKeys(t.Context(), "again"); err != nil {
		t.Error(err)
	}
}

// TestRecoveryKeyThatIsNotRegistered leaves no file behind that helps nobody.
func TestRecoveryKeyThatIsNotRegistered(t *testing.T) {
	t.Parallel()
	l, _ := newTestLab(t)
	file := filepath.Join(t.TempDir(), "recovery.key")
	demand, err := tutela.EncodeDetail(Policy{Signatures: true})
	if err != nil {
		t.Fatal(err)
	}
	mustRecord(t, l, tutela.Event{Kind: tutela.EventPolicyChange, Detail: demand})
	if _, err := l.NewRecoveryKey(t.Context(), file); !errors.Is(err, ErrUnsigned) {
		t.Errorf("unsigned: %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the file is there")
	}
}
