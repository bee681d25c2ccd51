package client

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tutela/internal/timestamp"
	"tutela/internal/timestamp/authority"
)

const opensslConfig = `
[tsa]
default_tsa = it
[it]
serial = serial
default_policy = 1.2.3.4.1
digests = sha256
signer_digest = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
[ext]
extendedKeyUsage = critical,timeStamping
`

// opensslAuthority serves the time-stamps of openssl, and returns its root.
func opensslAuthority(t *testing.T) (url string, roots *x509.CertPool) {
	t.Helper()
	dir := t.TempDir()
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command("openssl", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{"cnf": opensslConfig, "serial": "01\n"} {
		if err := os.WriteFile(file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, who := range []string{"root", "tsa"} {
		run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", who+".key")
	}
	run("req", "-x509", "-new", "-key", "root.key", "-subj", "/CN=Test Root", "-days", "30", "-out", "root.pem")
	run("req", "-new", "-key", "tsa.key", "-subj", "/CN=Test TSA", "-out", "tsa.csr")
	run("x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-extfile", "cnf", "-extensions", "ext", "-days", "20", "-out", "tsa.pem")
	text, err := os.ReadFile(file("root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if roots, err = timestamp.ParseRoots(text); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(Handler(func(request []byte) []byte {
		if err := os.WriteFile(file("q.tsq"), request, 0o600); err != nil {
			t.Error(err)
		}
		run("ts", "-reply", "-config", "cnf", "-section", "it", "-queryfile", "q.tsq", "-signer", "tsa.pem", "-inkey", "tsa.key", "-chain", "root.pem", "-out", "r.tsr")
		response, err := os.ReadFile(file("r.tsr"))
		if err != nil {
			t.Error(err)
		}
		return response
	}))
	t.Cleanup(s.Close)
	return s.URL, roots
}

// A stamp of openssl, over HTTP, is verified and bounds the local clock.
func TestStampOfOpenSSL(t *testing.T) {
	url, roots := opensslAuthority(t)
	answer, err := (&Authority{URL: url, Roots: roots}).Stamp(t.Context(), message)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := timestamp.Verify(answer.Response, message, roots); err != nil || s != answer.Stamp || !answer.Verified {
		t.Errorf("%+v, %v", s, err)
	}
	if !answer.Clock.Within(2*time.Second) || answer.Clock.Low > answer.Clock.High {
		t.Errorf("the clock of one machine is off against itself: %+v", answer.Clock)
	}
	if unverified, err := (&Authority{URL: url}).Stamp(t.Context(), message); err != nil || unverified.Verified {
		t.Errorf("without roots: %+v, %v", unverified, err)
	}
	if _, err := (&Authority{URL: url, Roots: x509.NewCertPool()}).Stamp(t.Context(), message); !errors.Is(err, timestamp.ErrStamp) {
		t.Errorf("under other roots: %v", err)
	}
}

func throwAway(t *testing.T, now func() time.Time) *authority.Authority {
	t.Helper()
	a, err := authority.New(now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func serve(t *testing.T, answer func([]byte) []byte) string {
	t.Helper()
	s := httptest.NewServer(Handler(answer))
	t.Cleanup(s.Close)
	return s.URL
}

// An answer to another question is refused, though the authority signed it.
func TestAnswerToAnotherQuestion(t *testing.T) {
	a := throwAway(t, time.Now)
	ask := func(r *timestamp.Request) []byte {
		q, err := r.Encode()
		if err != nil {
			t.Error(err)
		}
		return a.Answer(q)
	}
	for want, answer := range map[string]func([]byte) []byte{
		"nonce":       func([]byte) []byte { return ask(timestamp.NewRequest(message)) },
		"other bytes": func([]byte) []byte { return ask(timestamp.NewRequest([]byte("another head\n"))) },
		"to another question": func(b []byte) []byte {
			q, err := timestamp.ParseRequest(b)
			if err != nil {
				t.Error(err)
			}
			q.Nonce = nil
			return ask(q)
		},
	} {
		if _, err := Stamp(t.Context(), serve(t, answer), message); !errors.Is(err, timestamp.ErrStamp) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, which does not say %q", err, want)
		}
	}
}

// The clock is bounded by what the authority says, not by what is hoped.
func TestClockThatIsOff(t *testing.T) {
	url := serve(t, throwAway(t, func() time.Time { return time.Now().Add(-time.Hour) }).Answer)
	answer, err := (&Authority{URL: url}).Stamp(t.Context(), message)
	if err != nil || answer.Clock.Low < 59*time.Minute || answer.Clock.High > 61*time.Minute {
		t.Errorf("an hour ahead: %+v, %v", answer.Clock, err)
	}
}

// An authority that never ends costs no more than the time it is given, and the
// others answer.
func TestOneThatHangsStopsNobody(t *testing.T) {
	a := throwAway(t, time.Now)
	good := serve(t, a.Answer)
	asked, gone := make(chan struct{}, 2), make(chan struct{})
	hang := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-gone
	}))
	drip := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", typeReply)
		io.WriteString(w, "0")
		w.(http.Flusher).Flush()
		asked <- struct{}{}
		<-gone
	}))
	t.Cleanup(func() { close(gone); hang.Close(); drip.Close() })
	var followed atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
	t.Cleanup(elsewhere.Close)
	redirect := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(redirect.Close)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; <-asked; cancel() }()
	outcomes := StampAll(ctx, []Authority{{URL: hang.URL}, {URL: drip.URL}, {URL: redirect.URL}}, message)
	for i, o := range outcomes {
		if o.Err == nil || !strings.Contains(o.Err.Error(), o.URL) || i < 2 && !errors.Is(o.Err, context.Canceled) {
			t.Errorf("%d: %v", i, o.Err)
		}
	}
	if followed.Load() {
		t.Error("a redirection was followed")
	}
	outcomes = StampAll(t.Context(), []Authority{{URL: "http://127.0.0.1:1/"}, {URL: good}}, message)
	if outcomes[0].Err == nil || outcomes[1].Err != nil || outcomes[1].Response == nil || outcomes[1].URL != good {
		t.Errorf("%+v", outcomes)
	}
}
