package scan

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"tutela"
	"tutela/internal/authority"
	"tutela/internal/evidence"
)

// wantedOf is the record of a file with this content.
func wantedOf(path, content string) *tutela.Record {
	return &tutela.Record{Path: []byte(path), Kind: tutela.File, State: tutela.Allocated, Size: int64(len(content)), Hashed: true,
		Digests: tutela.Digests{SHA256: sha256.Sum256([]byte(content))}}
}

// TestContents: what is handed over is what was recorded, also where two files lie
// at one place, one record is asked for twice, and another cannot be read.
func TestContents(t *testing.T) {
	b := newBench(t)
	b.allow("W", time.Hour)
	ev := listed{
		fileOf("/a", 1, bytesOf([]byte("other"))), fileOf("/b", 1, bytesOf([]byte("b"))), fileOf("/a", 1, bytesOf([]byte("a"))),
		fileOf("/c", 1, func() (evidence.Content, error) { return nil, errors.New("bad sector") }),
	}
	wanted := []*tutela.Record{wantedOf("/b", "b"), wantedOf("/a", "a"), wantedOf("/a", "a")}
	got := map[int]string{}
	take := func(i int, r io.Reader) error {
		all, err := io.ReadAll(r)
		got[i] = string(all)
		return err
	}
	grant := b.grant(tutela.ActionDisclose, "")
	check(t, Contents(t.Context(), grant, ev, evidence.Limits{}, wanted, take))
	if fmt.Sprint(got) != "map[0:b 1:a 2:a]" {
		t.Errorf("%v", got)
	}
	embedded, unread := wantedOf("/a", "a"), wantedOf("/a", "a")
	embedded.State, unread.Hashed = tutela.Embedded, false
	for name, r := range map[string]*tutela.Record{
		"changed": wantedOf("/b", "c"), "not there": wantedOf("/d", "a"), "not readable": wantedOf("/c", "c"), "embedded": embedded, "unread": unread,
	} {
		if err := Contents(t.Context(), grant, ev, evidence.Limits{}, []*tutela.Record{r}, take); !errors.Is(err, ErrNoContent) {
			t.Errorf("%s: %v", name, err)
		}
	}
	full := errors.New("disk full")
	if err := Contents(t.Context(), grant, ev, evidence.Limits{}, wanted, func(int, io.Reader) error { return full }); !errors.Is(err, full) {
		t.Errorf("a full disk: %v", err)
	}
	var refusal *authority.Refusal
	if err := Contents(t.Context(), b.grant(tutela.ActionScan, ""), ev, evidence.Limits{}, wanted, take); !errors.As(err, &refusal) {
		t.Errorf("under a grant to scan: %v", err)
	}
}
