package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/mod/sumdb/note"

	"tutela/internal/ledger/check"
	"tutela/internal/witness"
)

// startWitness is `witness NAME HOW`: a witness whose line of a policy goes into
// NAME.line. It is credulous (signs everything), claims (to have a larger head),
// differs (says that the log does not continue what it has), ahead (its clock), or
// dead.
func startWitness(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: witness NAME HOW")
	}
	name, how := args[0], args[1]
	now := time.Now
	if how == "ahead" {
		now = func() time.Time { return time.Now().Add(time.Hour) }
	}
	seed := bytes.Repeat([]byte(name), 32)[:32]
	signer, err := check.NewCosigner(name+".example", seed, now)
	ts.Check(err)
	vkey, err := check.CosignerKey(name+".example", seed)
	ts.Check(err)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answerAs(how, signer, w, r) }))
	ts.Defer(s.Close)
	if how == "dead" {
		s.Close()
	}
	ts.Check(os.WriteFile(ts.MkAbs(name+".line"), fmt.Appendf(nil, "witness %s %s %s\n", name, vkey, s.URL), 0o600))
}

func answerAs(how string, signer note.Signer, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	request, err2 := witness.ParseRequest(body)
	switch {
	case err != nil || err2 != nil:
		w.WriteHeader(http.StatusNotFound)
	case how == "claims":
		w.Header().Set("Content-Type", witness.SizeType)
		w.WriteHeader(http.StatusConflict)
		w.Write(witness.SizeBody(1 << 40))
	case how == "differs":
		w.WriteHeader(http.StatusUnprocessableEntity)
	default:
		text, _, _ := bytes.Cut(request.Checkpoint, []byte("\n\n"))
		signed, err := note.Sign(&note.Note{Text: string(text) + "\n"}, signer)
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Write(signed[len(text)+2:])
	}
}

// The head is cosigned as it moves, every half minute at most; the alarm comes after
// a minute without a quorum, once, and so does the word that all is well.
func TestHeadWatch(t *testing.T) {
	var size uint64
	var dead bool
	var asked []int
	var said []string
	second := 0
	say := func(kind string) func(string, ...any) {
		return func(format string, args ...any) {
			said = append(said, fmt.Sprintf("%d %s: ", second, kind)+fmt.Sprintf(format, args...))
		}
	}
	h := &headWatch{
		size: func() (uint64, error) { return size, nil },
		anchor: func() (*witness.Gathered, error) {
			asked = append(asked, second)
			g := &witness.Gathered{Checkpoint: check.Checkpoint{Size: size}, Quorum: !dead}
			if dead {
				g.Outcomes = []witness.Outcome{{Names: []string{"court"}, Address: "http://court.example", Err: witness.ErrUnanswered}}
			}
			return g, nil
		},
		alarm: say("alarm"), note: say("note"),
	}
	start := time.Now()
	moves := map[int]uint64{0: 5, 10: 6, 40: 7, 200: 8, 300: 9}
	for ; second <= 400; second += 10 {
		if n, ok := moves[second]; ok {
			size = n
		}
		dead = second >= 200 && second < 350
		h.tick(start.Add(time.Duration(second) * time.Second))
	}
	if want := []int{0, 30, 60, 200, 230, 260, 290, 320, 350}; !slices.Equal(asked, want) {
		t.Errorf("asked at %v, not %v", asked, want)
	}
	want := []string{
		"260 alarm: no quorum of witnesses has cosigned the head for 1m 00s",
		"260 alarm: witness court at http://court.example: it has not answered",
		"350 note: a quorum of witnesses has cosigned the head again, of 9 entries",
	}
	if !slices.EqualFunc(said, want, strings.HasPrefix) {
		t.Errorf("said %q", said)
	}
}

// Another history of the log is told at once, and once.
func TestHeadWatchOfADivergence(t *testing.T) {
	var said []string
	h := &headWatch{
		size:   func() (uint64, error) { return 5, nil },
		anchor: func() (*witness.Gathered, error) { return nil, &witness.Divergence{Kind: witness.ErrForked} },
		alarm:  func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) },
	}
	start := time.Now()
	h.tick(start)
	h.tick(start.Add(anchorEvery))
	if len(said) != 1 || !strings.HasPrefix(said[0], witness.ErrForked.Error()) {
		t.Errorf("said %q", said)
	}
	h.size = func() (uint64, error) { return 0, errors.New("gone") }
	h.tick(start.Add(2 * anchorEvery))
	if len(said) != 2 {
		t.Errorf("said %q", said)
	}
	(*headWatch)(nil).tick(start) // of a lab without witnesses
}
