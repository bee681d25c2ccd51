package lab

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"tutela/internal/ledger/check"
)

// strangerLog is a log of nobody's: its heads are whatever a test wants.
type strangerLog struct {
	vkey   string
	signer note.Signer
}

func newStranger(t *testing.T, origin string, fill byte) strangerLog {
	t.Helper()
	seed := slices.Repeat([]byte{fill}, ed25519.SeedSize)
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	vkey, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		t.Fatal(err)
	}
	id := strings.Split(vkey, "+")[1]
	signer, err := note.NewSigner("PRIVATE+KEY+" + origin + "+" + id + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, seed...)))
	if err != nil {
		t.Fatal(err)
	}
	return strangerLog{vkey, signer}
}

func (s strangerLog) head(t *testing.T, size uint64, fill byte) []byte {
	t.Helper()
	root := check.Hash(slices.Repeat([]byte{fill}, 32))
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", s.signer.Name(), size, base64.StdEncoding.EncodeToString(root[:]))}, s.signer)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// Whoever can write to the folder of another agency's bundle cannot fill this lab's
// disk, and what shows two histories is never let go.
func TestGossipIsBounded(t *testing.T) {
	l, _ := newTestLab(t)
	other := newStranger(t, "example.org/other", 1)
	if _, fresh, err := l.Meet([]string{other.vkey}, KeysAsBefore, other.head(t, 5, 1)); err != nil || !fresh {
		t.Fatal(fresh, err)
	}
	for fill := range byte(20) { // twenty histories
		heard, err := l.Hear(t.Context(), other.head(t, 5, 1+fill))
		if err != nil {
			t.Fatal(err)
		}
		if fill > 0 && heard[0].State != HeardForked || fill == 0 && heard[0].State != HeardKnown {
			t.Fatalf("head %d of one size: %s", fill, heard[0].State)
		}
	}
	for size := range uint64(200) {
		if _, err := l.Hear(t.Context(), other.head(t, 100+size, 1)); err != nil {
			t.Fatal(err)
		}
	}
	all, err := l.Overheard()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != maxGossipForks+maxGossipHeads {
		t.Errorf("%d heads are kept, want %d", len(all), maxGossipForks+maxGossipHeads)
	}
	if last := all[len(all)-1]; last.Size != 299 {
		t.Errorf("the last one kept has %d entries, want 299", last.Size)
	}
	passed, err := l.Passed()
	if err != nil || len(passed) != maxGossipForks+1 {
		t.Errorf("%d heads are passed on, want %d (%v)", len(passed), maxGossipForks+1, err)
	}
}

// Nobody can raise an alarm about a log without its keys.
func TestForgedGossipIsNotJudged(t *testing.T) {
	l, _ := newTestLab(t)
	forged := newStranger(t, l.keys.Origin(), 2)
	unknown := newStranger(t, "example.org/unknown", 3)
	heard, err := l.Hear(t.Context(), forged.head(t, 1<<60, 1), forged.head(t, 1, 1), unknown.head(t, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range heard {
		if h.State != HeardUnjudged || h.Why == "" {
			t.Errorf("%s, %d entries: %s (%s)", h.Origin, h.Size, h.State, h.Why)
		}
	}
	if all, err := l.Overheard(); err != nil || len(all) > 0 {
		t.Errorf("kept: %v, %v", all, err)
	}
}

// A log that comes with other keys stays what it was, until somebody asked.
func TestGossipOfOtherKeys(t *testing.T) {
	l, _ := newTestLab(t)
	before, after := newStranger(t, "example.org/other", 1), newStranger(t, "example.org/other", 2)
	if _, _, err := l.Meet([]string{before.vkey}, KeysAsBefore); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.Meet([]string{after.vkey}, KeysAsBefore, after.head(t, 9, 9)); !errors.Is(err, ErrOtherKeys) {
		t.Fatalf("other keys: %v", err)
	}
	if heard, err := l.Hear(t.Context(), after.head(t, 9, 9)); err != nil || heard[0].State != HeardUnjudged {
		t.Fatal(heard, err)
	}
	if _, _, err := l.Meet([]string{after.vkey}, KeysMayChange, after.head(t, 9, 9)); err != nil {
		t.Fatal(err)
	}
	if heard, err := l.Hear(t.Context(), after.head(t, 9, 9)); err != nil || heard[0].State != HeardKnown {
		t.Fatal(heard, err)
	}
}
