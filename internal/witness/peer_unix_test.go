//go:build !windows

package witness

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	formats "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"

	"tutela/internal/ledger/check"
)

// tesseraLog is a log of another program, whose own client asks the witness.
type tesseraLog struct {
	t      *testing.T
	dir    string
	signer note.Signer
	vkey   string
	asks   tessera.WitnessGroup
}

func newTesseraLog(t *testing.T, asks tessera.WitnessGroup) *tesseraLog {
	t.Helper()
	seed := bytes.Repeat([]byte{3}, 32)
	vkey, err := note.NewEd25519VerifierKey("peer.example/log", ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	id := strings.Split(vkey, "+")[1]
	signer, err := note.NewSigner("PRIVATE+KEY+peer.example/log+" + id + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, seed...)))
	if err != nil {
		t.Fatal(err)
	}
	return &tesseraLog{t, t.TempDir(), signer, vkey, asks}
}

// run opens the log, appends entries until published is content, and returns the
// checkpoint that was published last.
func (l *tesseraLog) run(entry string, published func() bool) []byte {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	driver, err := posix.New(ctx, posix.Config{Path: l.dir})
	if err != nil {
		l.t.Fatal(err)
	}
	o := tessera.NewAppendOptions().WithCheckpointSigner(l.signer).WithBatching(1, 10*time.Millisecond).
		WithCheckpointInterval(100*time.Millisecond).WithWitnesses(l.asks, nil)
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, o)
	if err != nil {
		l.t.Fatal(err)
	}
	index, err := appender.Add(ctx, tessera.NewEntry([]byte(entry)))()
	if err != nil {
		l.t.Fatal(err)
	}
	for {
		checkpoint, _ := reader.ReadCheckpoint(ctx)
		var size uint64
		fmt.Sscanf(string(checkpoint), "peer.example/log\n%d\n", &size)
		if published != nil && published() || published == nil && size > index.Index {
			cancel()
			shutdown(ctx) // waits for nothing: of another history nothing will ever be published
			return checkpoint
		}
		if ctx.Err() != nil {
			l.t.Fatalf("nothing was published: %.80q", checkpoint)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Tessera has its heads cosigned, from the empty log on and after it has forgotten what
// the witness knows; a log of the same keys with another history gets nothing.
func TestTesseraAsPeer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "witness")
	if err := Create(dir, "witness.example/w1"); err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(nil)
	defer front.Close()
	address, err := url.Parse("http://" + front.Listener.Addr().String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	v, err := Look(dir)
	if err != nil {
		t.Fatal(err)
	}
	asked, err := tessera.NewWitness(v.VKeys[0], address)
	if err != nil {
		t.Fatal(err)
	}
	group := tessera.NewWitnessGroup(1, asked)
	l := newTesseraLog(t, group)
	if _, err := AddLogs(dir, logLines(l.vkey), KnownRefused); err != nil {
		t.Fatal(err)
	}
	told := new(alarms)
	front.Config.Handler = open(t, dir, Options{Alarm: told.raise})
	front.Start()

	theirs, err := formats.NewVerifierForCosignatureV1(v.VKeys[0])
	if err != nil {
		t.Fatal(err)
	}
	ours, err := check.ParseVerifierKey(v.VKeys[1])
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		checkpoint := l.run(fmt.Sprint("entry ", i), nil)
		n, err := note.Open(checkpoint, note.VerifierList(theirs))
		if err != nil || len(n.Sigs) != 1 {
			t.Fatalf("published without a cosignature: %v\n%s", err, checkpoint)
		}
		newest, err := Look(dir)
		if err != nil || newest.Logs[0].Newest.Text() != n.Text {
			t.Fatalf("the witness remembers %+v, %v", newest.Logs[0].Newest, err)
		}
		if n, err := note.Open([]byte(rememberedOf(t, dir, "peer.example/log")), note.VerifierList(theirs, ours)); err != nil || len(n.Sigs) != 2 {
			t.Errorf("remembered: %v", err)
		}
	}
	other := newTesseraLog(t, group)
	heard := func() bool {
		told.mu.Lock()
		defer told.mu.Unlock()
		return len(told.lines) > 0
	}
	for i := range 3 {
		other.asks = tessera.NewWitnessGroup(0)
		other.run(fmt.Sprint("another ", i), nil)
	}
	other.asks = group
	if last := other.run("another", heard); bytes.Contains(last, []byte("witness.example")) {
		t.Errorf("another history was cosigned: %s", last)
	}
}
