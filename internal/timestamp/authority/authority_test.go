package authority

import (
	"bytes"
	"crypto"
	"crypto/sha512"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tutela/internal/timestamp"
	"tutela/internal/timestamp/client"
)

var message = []byte("tutela/example-police\n17\nqINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=\n")

func newAuthority(t *testing.T, now func() time.Time) *Authority {
	t.Helper()
	a, err := New(now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// openssl makes the request and judges the answer; only its word counts here.
func openssl(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func write(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpenSSLHoldsItsStamps(t *testing.T) {
	a := newAuthority(t, time.Now)
	for _, hash := range []string{"-sha256", "-sha384", "-sha512"} {
		dir := t.TempDir()
		write(t, dir, "message", message)
		if out, err := openssl(t, dir, "ts", "-query", "-data", "message", hash, "-cert", "-out", "q.tsq"); err != nil {
			t.Fatal(out)
		}
		q, err := os.ReadFile(filepath.Join(dir, "q.tsq"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, "r.tsr", a.Answer(q))
		write(t, dir, "root.pem", a.Roots())
		if out, err := openssl(t, dir, "ts", "-verify", "-queryfile", "q.tsq", "-in", "r.tsr", "-CAfile", "root.pem"); err != nil || !strings.Contains(out, "Verification: OK") {
			t.Errorf("%s: %v\n%s", hash, err, out)
		}
		write(t, dir, "other.pem", newAuthority(t, time.Now).Roots())
		if out, err := openssl(t, dir, "ts", "-verify", "-queryfile", "q.tsq", "-in", "r.tsr", "-CAfile", "other.pem"); err == nil {
			t.Errorf("%s: openssl believed it under another root\n%s", hash, out)
		}
	}
}

// The time of a stamp is that of the clock it is given, to the millisecond, also
// where the fraction ends in zeroes.
func TestTellsItsClock(t *testing.T) {
	for _, at := range []time.Time{
		time.Date(2026, 11, 26, 6, 50, 1, 123e6, time.UTC), time.Date(2026, 11, 26, 6, 50, 1, 120e6, time.UTC), time.Date(2031, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600)),
	} {
		a := newAuthority(t, func() time.Time { return at })
		r := timestamp.NewRequest(message)
		q, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		response := a.Answer(q)
		if err := r.Check(response); err != nil {
			t.Fatal(err)
		}
		roots, err := timestamp.ParseRoots(a.Roots())
		if err != nil {
			t.Fatal(err)
		}
		s, err := timestamp.Verify(response, message, roots)
		if err != nil || !s.Time.Equal(at) || s.Accuracy != time.Second || s.Policy != Policy || s.Authority != "CN=Throw-away Time-Stamping Authority" {
			t.Errorf("%+v, %v", s, err)
		}
		if bare, err := timestamp.Bare(response); err != nil || !bytes.Equal(bare, response) {
			t.Errorf("it is not as bare as it could be: %v", err)
		}
	}
}

func TestRefuses(t *testing.T) {
	a := newAuthority(t, time.Now)
	other := timestamp.NewRequest(message)
	other.Policy = "1.2.3"
	q, err := other.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for want, request := range map[string][]byte{"wrong format": []byte("garbage"), "policy": q, "format": nil} {
		if _, err := timestamp.Inspect(a.Answer(request)); !errors.Is(err, timestamp.ErrRejected) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, which does not say %q", err, want)
		}
	}
}

// Serial numbers differ, whoever asks at once.
func TestServesManyAtOnce(t *testing.T) {
	a := newAuthority(t, time.Now)
	roots, err := timestamp.ParseRoots(a.Roots())
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(client.Handler(a.Answer))
	defer s.Close()
	var mu sync.Mutex
	var all sync.WaitGroup
	serials := map[string]bool{}
	for range 8 {
		all.Go(func() {
			answer, err := (&client.Authority{URL: s.URL, Roots: roots}).Stamp(t.Context(), message)
			if err != nil || !answer.Verified {
				t.Errorf("%+v, %v", answer, err)
			}
			mu.Lock()
			defer mu.Unlock()
			serials[answer.Stamp.Serial] = true
		})
	}
	all.Wait()
	if len(serials) != 8 {
		t.Errorf("%d serial numbers for 8 stamps", len(serials))
	}
}

func FuzzAnswer(f *testing.F) {
	a, err := New(time.Now)
	if err != nil {
		f.Fatal(err)
	}
	sum := sha512.Sum512(message)
	q, err := (&timestamp.Request{Hash: crypto.SHA512, Imprint: sum[:], Chain: true}).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(q)
	f.Fuzz(func(t *testing.T, request []byte) {
		response := a.Answer(request)
		if _, err := timestamp.Inspect(response); err != nil && !errors.Is(err, timestamp.ErrRejected) {
			t.Errorf("%x is answered with neither a stamp nor a refusal: %v", request, err)
		}
	})
}

// A stamp outlives its certificates: they are judged as of the time in it. One made
// after they expired is refused. openssl says the same when it is told to look back.
func TestExpiredCertificates(t *testing.T) {
	at := time.Date(2012, 2, 29, 12, 0, 0, 0, time.UTC)
	a := newAuthority(t, func() time.Time { return at })
	roots, err := timestamp.ParseRoots(a.Roots())
	if err != nil {
		t.Fatal(err)
	}
	r := timestamp.NewRequest(message)
	q, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "root.pem", a.Roots())
	write(t, dir, "q.tsq", q)
	write(t, dir, "r.tsr", a.Answer(q))
	verify := func(options ...string) error {
		_, err := openssl(t, dir, append([]string{"ts", "-verify", "-queryfile", "q.tsq", "-in", "r.tsr", "-CAfile", "root.pem"}, options...)...)
		return err
	}
	if verify() == nil || verify("-attime", strconv.FormatInt(at.Unix(), 10)) != nil {
		t.Error("openssl does not see that the certificates were good then and are no more")
	}
	if s, err := timestamp.Verify(a.Answer(q), message, roots); err != nil || !s.Time.Equal(at) {
		t.Errorf("while they were good: %+v, %v", s, err)
	}
	for _, days := range []int{-3, 400} {
		at = at.AddDate(0, 0, days)
		if _, err := timestamp.Verify(a.Answer(q), message, roots); !errors.Is(err, timestamp.ErrStamp) || !strings.Contains(err.Error(), "expired") {
			t.Errorf("%d days off: %v", days, err)
		}
	}
}
