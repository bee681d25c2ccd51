package timestamp

import (
	"bytes"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// opensslTSA is an authority made of openssl, the independent truth of these
// tests: a root, and a key for time-stamps alone.
type opensslTSA struct {
	t   *testing.T
	dir string
}

const opensslConfig = `
[tsa]
default_tsa = it
[it]
serial = serial
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
signer_digest = sha256
accuracy = secs:1, millisecs:500
clock_precision_digits = 3
ordering = yes
tsa_name = yes
ess_cert_id_alg = ALG
[ext]
extendedKeyUsage = critical,timeStamping
keyUsage = critical,digitalSignature
basicConstraints = CA:FALSE
[two]
extendedKeyUsage = critical,timeStamping,codeSigning
`

// newOpenSSL makes one: algorithm and options are those of `openssl genpkey`.
func newOpenSSL(t *testing.T, ess string, genpkey ...string) *opensslTSA {
	t.Helper()
	a := &opensslTSA{t, t.TempDir()}
	a.write("cnf", []byte(strings.ReplaceAll(opensslConfig, "ALG", ess)))
	a.write("serial", []byte("0A\n"))
	for _, who := range []string{"root", "tsa"} {
		a.run(append(append([]string{"genpkey"}, genpkey...), "-out", who+".key")...)
	}
	a.run("req", "-x509", "-new", "-key", "root.key", "-subj", "/CN=Test Root", "-days", "30", "-out", "root.pem")
	a.issue("ext", "tsa.pem")
	return a
}

// issue has the root certify the key tsa.key with extensions of a section.
func (a *opensslTSA) issue(section, out string) {
	a.run("req", "-new", "-key", "tsa.key", "-subj", "/O=Example/CN=Test TSA", "-out", "tsa.csr")
	a.run("x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial",
		"-extfile", "cnf", "-extensions", section, "-days", "20", "-out", out)
}

func (a *opensslTSA) write(name string, b []byte) {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, name), b, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *opensslTSA) run(args ...string) string {
	a.t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir = a.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		a.t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (a *opensslTSA) answer(request []byte) []byte {
	a.t.Helper()
	a.write("q.tsq", request)
	a.run("ts", "-reply", "-config", "cnf", "-section", "it", "-queryfile", "q.tsq", "-signer", "tsa.pem", "-inkey", "tsa.key", "-out", "r.tsr")
	b, err := os.ReadFile(filepath.Join(a.dir, "r.tsr"))
	if err != nil {
		a.t.Fatal(err)
	}
	return b
}

// stamp is a response over the message in the form that is stored.
func (a *opensslTSA) stamp(message []byte) []byte {
	a.t.Helper()
	r := NewRequest(message)
	q, err := r.Encode()
	if err != nil {
		a.t.Fatal(err)
	}
	response := a.answer(q)
	stored, err := Bare(response)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := r.Check(stored); err != nil {
		a.t.Fatal(err)
	}
	return stored
}

func (a *opensslTSA) roots() *x509.CertPool {
	a.t.Helper()
	b, err := os.ReadFile(filepath.Join(a.dir, "root.pem"))
	if err != nil {
		a.t.Fatal(err)
	}
	pool, err := ParseRoots(b)
	if err != nil {
		a.t.Fatal(err)
	}
	return pool
}

var message = []byte("tutela/example-police\n17\nqINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=\n")

var (
	rsaKey   = []string{"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"}
	ecdsaKey = []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}
)

func TestOpenSSLStamps(t *testing.T) {
	for _, c := range []struct {
		name, ess string
		key       []string
	}{{"rsa", "sha256", rsaKey}, {"rsa, certificate named by SHA-1", "sha1", rsaKey}, {"ecdsa", "sha512", ecdsaKey}} {
		t.Run(c.name, func(t *testing.T) {
			a := newOpenSSL(t, c.ess, c.key...)
			response := a.stamp(message)
			s, err := Verify(response, message, a.roots())
			if err != nil {
				t.Fatal(err)
			}
			if d := time.Since(s.Time).Abs(); d > time.Hour || s.Accuracy != 1500*time.Millisecond || !s.Ordered ||
				s.Policy != "1.2.3.4.1" || s.Authority != "CN=Test TSA,O=Example" || s.Serial == "" {
				t.Errorf("%+v", s)
			}
			// openssl holds what is stored for good, too.
			a.write("message", message)
			a.write("stored.tsr", response)
			if out := a.run("ts", "-verify", "-data", "message", "-in", "stored.tsr", "-CAfile", "root.pem"); !strings.Contains(out, "OK") {
				t.Error(out)
			}
			if _, err := Verify(response, append(message, 'x'), a.roots()); !errors.Is(err, ErrStamp) {
				t.Errorf("over other bytes: %v", err)
			}
			if _, err := Verify(response, message, x509.NewCertPool()); !errors.Is(err, ErrStamp) {
				t.Errorf("without its root: %v", err)
			}
			if _, err := Verify(response, message, nil); !errors.Is(err, ErrStamp) {
				t.Errorf("without any root: %v", err)
			}
			if err := NewRequest(message).Check(response); !errors.Is(err, ErrStamp) || !strings.Contains(err.Error(), "nonce") {
				t.Errorf("held against another question: %v", err)
			}
		})
	}
}

// Every flipped bit is refused, and so is every byte cut off or put behind.
func TestEveryBitCounts(t *testing.T) {
	for _, key := range [][]string{rsaKey, ecdsaKey} {
		a := newOpenSSL(t, "sha256", key...)
		response, roots := a.stamp(message), a.roots()
		for i := range response {
			for bit := range 8 {
				mutant := bytes.Clone(response)
				mutant[i] ^= 1 << bit
				if _, err := Verify(mutant, message, roots); err == nil {
					t.Errorf("bit %d of byte %d flipped, and it verifies", bit, i)
				}
			}
			if _, err := Verify(response[:i], message, roots); err == nil {
				t.Errorf("cut to %d bytes, and it verifies", i)
			}
		}
		if _, err := Verify(append(response, 0), message, roots); !errors.Is(err, ErrFormat) {
			t.Errorf("a byte behind: %v", err)
		}
	}
}

// openssl refuses what is no request: the answer is a refusal, and says so.
func TestRefusalIsTold(t *testing.T) {
	a := newOpenSSL(t, "sha256", ecdsaKey...)
	r := NewRequest(message)
	r.Policy = "1.2.3.9"
	q, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	_, err = Verify(a.answer(q), message, a.roots())
	if !errors.Is(err, ErrRejected) || !strings.Contains(err.Error(), "policy") {
		t.Errorf("%v", err)
	}
}

func TestGarbageIsAClearError(t *testing.T) {
	for _, b := range [][]byte{nil, []byte("<html>Bad Gateway</html>"), {0x30, 0x80}, {0x30, 0x84, 0xff, 0xff, 0xff, 0xff}, make([]byte, maxResponse+1)} {
		if _, err := Inspect(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%.20q: %v", b, err)
		}
	}
}

// A request is read by openssl as it was meant.
func TestRequestIsReadByOpenSSL(t *testing.T) {
	a := &opensslTSA{t, t.TempDir()}
	r := NewRequest(message)
	r.Policy = "1.2.3.77"
	q, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	a.write("q", q)
	out := strings.ToLower(a.run("ts", "-query", "-in", "q", "-text"))
	for _, want := range []string{"sha256", "1.2.3.77", "certificate required: yes", "nonce: 0x"} {
		if !strings.Contains(out, want) {
			t.Errorf("openssl does not see %q in\n%s", want, out)
		}
	}
	back, err := ParseRequest(q)
	if err != nil || !bytes.Equal(back.Imprint, r.Imprint) || back.Nonce.Cmp(r.Nonce) != 0 || !back.Chain || back.Policy != r.Policy {
		t.Errorf("%+v, %v", back, err)
	}
}

func FuzzInspect(f *testing.F) {
	f.Add([]byte{0x30, 0x03, 0x02, 0x01, 0x00})
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := Inspect(b); err == nil && len(c.Imprint) != c.Hash.Size() {
			t.Error("an imprint that does not fit its hash")
		}
		ParseRequest(b)
		Verify(b, message, x509.NewCertPool())
	})
}
