package actor_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/mod/sumdb/note"

	"tutela"
	"tutela/internal/actor"
)

const person = "Erika Mustermann"

// run runs a program that must succeed.
func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// keygen makes a key with OpenSSH and returns its path.
func keygen(t *testing.T, passphrase string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "id")
	run(t, "ssh-keygen", append([]string{"-q", "-f", path, "-N", passphrase, "-C", "erika@lab"}, args...)...)
	return path
}

// opensslVerifies asks openssl about a signature by the key in path.pub.
func opensslVerifies(t *testing.T, path string, msg, sig []byte) bool {
	t.Helper()
	line, err := os.ReadFile(path + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(line)
	if err != nil {
		t.Fatal(err)
	}
	blob := public.Marshal()
	prefix, _ := hex.DecodeString("302a300506032b6570032100") // SubjectPublicKeyInfo of Ed25519, RFC 8410
	dir := t.TempDir()
	for name, data := range map[string][]byte{"key": append(prefix, blob[len(blob)-32:]...), "msg": msg, "sig": sig} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", dir+"/key",
		"-rawin", "-in", dir+"/msg", "-sigfile", dir+"/sig").CombinedOutput()
	if !strings.Contains(string(out), "Verified") && !strings.Contains(string(out), "Failure") {
		t.Fatalf("openssl: %v: %s", err, out)
	}
	return err == nil
}

// checkSigner holds a signer against openssl and x/mod's notes.
func checkSigner(t *testing.T, s actor.Signer, path string) {
	t.Helper()
	msg := []byte("tutela-event@v2\n00\n")
	signature, err := s.Sign(msg)
	if err != nil {
		t.Fatal(err)
	}
	if !opensslVerifies(t, path, msg, signature) {
		t.Error("openssl does not believe the signature")
	}
	if opensslVerifies(t, path, append(msg, 0), signature) {
		t.Error("openssl believes any signature")
	}
	if id := s.KeyID(); id != tutela.KeyID(s.VerifierKey()) || len(id) != 8 {
		t.Errorf("key ID %q of %q", id, s.VerifierKey())
	}
	text := []byte("tutela-bundle@v1\ncase 1\n")
	line, err := actor.NoteLine(s, text)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(s.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(bytes.Join([][]byte{text, line}, []byte("\n")), note.VerifierList(v))
	if err != nil || n.Text != string(text) || n.Sigs[0].Name != "erika-mustermann" {
		t.Errorf("note: %v", err)
	}
	if _, err := actor.NoteLine(s, []byte("no end")); err == nil {
		t.Error("a text without a line feed was signed")
	}
}

func TestKeyFileOfOpenSSH(t *testing.T) {
	path := keygen(t, "", "-t", "ed25519")
	s, err := actor.LoadKey(path, person, nil)
	if err != nil {
		t.Fatal(err)
	}
	checkSigner(t, s, path)
}

func TestEncryptedKeyFile(t *testing.T) {
	path := keygen(t, "drawn by code", "-t", "ed25519", "-a", "1")
	told := func(s string) func() ([]byte, error) { return func() ([]byte, error) { return []byte(s), nil } }
	s, err := actor.LoadKey(path, person, told("drawn by code"))
	if err != nil {
		t.Fatal(err)
	}
	checkSigner(t, s, path)
	gone := errors.New("nobody there")
	for name, c := range map[string]struct {
		ask  func() ([]byte, error)
		want error
	}{
		"wrong": {told("drawn by hand"), actor.ErrPassphrase},
		"none":  {nil, actor.ErrPassphrase},
		"gone":  {func() ([]byte, error) { return nil, gone }, gone},
	} {
		if _, err := actor.LoadKey(path, person, c.ask); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// wantRefusal demands an error of a kind that says what to do.
func wantRefusal(t *testing.T, what string, err, want error) {
	t.Helper()
	var r *actor.Refusal
	if !errors.Is(err, want) || !errors.As(err, &r) || r.Hint == "" {
		t.Errorf("%s: %v, want %v and a hint", what, err, want)
	}
}

func TestOtherKeysAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-t", "rsa", "-b", "2048"}, {"-t", "ecdsa"}, {"-t", "rsa", "-b", "2048", "-m", "PEM"}} {
		_, err := actor.LoadKey(keygen(t, "", args...), person, nil)
		wantRefusal(t, strings.Join(args, " "), err, actor.ErrKind)
	}
	path := keygen(t, "", "-t", "ed25519")
	_, err := actor.LoadKey(path+".pub", person, nil)
	wantRefusal(t, "public key, open mode", err, actor.ErrExposed)
	for what, data := range map[string][]byte{"garbage": []byte("garbage\n"), "empty": nil, "endless": make([]byte, 1<<20)} {
		at := filepath.Join(t.TempDir(), "id")
		if err := os.WriteFile(at, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := actor.LoadKey(at, person, nil)
		wantRefusal(t, what, err, actor.ErrKind)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := actor.LoadKey(path, person, nil)
		wantRefusal(t, mode.String(), err, actor.ErrExposed)
	}
	if _, err := actor.LoadKey(filepath.Join(t.TempDir(), "none"), person, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := actor.LoadKey(keygen(t, "", "-t", "ed25519"), "…", nil); err == nil {
		t.Error("a person without a name has a key")
	}
}

// realAgent starts an ssh-agent of OpenSSH and returns a way to dial it.
func realAgent(t *testing.T, keys ...string) func() net.Conn {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	cmd := exec.Command("ssh-agent", "-D", "-a", socket)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	dial := func() net.Conn {
		for range 500 {
			if conn, err := net.Dial("unix", socket); err == nil {
				t.Cleanup(func() { conn.Close() })
				return conn
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatal("ssh-agent does not listen")
		return nil
	}
	dial()
	for _, key := range keys {
		add := exec.Command("ssh-add", "-q", key)
		add.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
		if out, err := add.CombinedOutput(); err != nil {
			t.Fatalf("ssh-add: %v: %s", err, out)
		}
	}
	return dial
}

func TestRealAgent(t *testing.T) {
	path := keygen(t, "", "-t", "ed25519")
	rsa := keygen(t, "", "-t", "rsa", "-b", "2048")
	dial := realAgent(t, path, rsa)
	line, err := os.ReadFile(path + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	print := strings.Fields(string(run(t, "ssh-keygen", "-lf", path)))[1]
	file, err := actor.LoadKey(path, person, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, wanted := range []string{"", print, string(line)} {
		s, err := actor.FromAgent(t.Context(), dial(), person, wanted)
		if err != nil {
			t.Fatalf("%q: %v", wanted, err)
		}
		if s.VerifierKey() != file.VerifierKey() {
			t.Errorf("%q: another key than that of the file", wanted)
		}
		checkSigner(t, s, path)
	}
	// both keys bear this comment
	_, err = actor.FromAgent(t.Context(), dial(), person, "erika@lab")
	wantRefusal(t, "two keys of a comment", err, actor.ErrNoKey)
	_, err = actor.FromAgent(t.Context(), dial(), person, "max@lab")
	wantRefusal(t, "no such key", err, actor.ErrNoKey)
	rsaPrint := strings.Fields(string(run(t, "ssh-keygen", "-lf", rsa)))[1]
	_, err = actor.FromAgent(t.Context(), dial(), person, rsaPrint)
	wantRefusal(t, "RSA in the agent", err, actor.ErrKind)

	s, err := actor.FromAgent(t.Context(), dial(), person, print)
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.NewClient(dial()).Lock([]byte("x")); err != nil {
		t.Fatal(err)
	}
	_, err = s.Sign([]byte("x"))
	wantRefusal(t, "sign by a locked agent", err, actor.ErrAgent)
	_, err = actor.FromAgent(t.Context(), dial(), person, print)
	wantRefusal(t, "locked agent", err, actor.ErrNoKey)
}

// answering is an agent that reads a question and answers with these bytes.
func answering(t *testing.T, answer []byte) net.Conn {
	here, there := net.Pipe()
	t.Cleanup(func() { here.Close(); there.Close() })
	go func() {
		there.Read(make([]byte, 4096))
		there.Write(answer)
		there.Close()
	}()
	return here
}

func TestAgentThatLies(t *testing.T) {
	for what, answer := range map[string]string{
		"nothing":        "",
		"garbage":        "HTTP/1.1 400 Bad Request\r\n\r\n",
		"endless":        "\xff\xff\xff\xff",
		"empty":          "\x00\x00\x00\x00",
		"half":           "\x00\x00\x00\x05\x0c",
		"failure":        "\x00\x00\x00\x01\x05",
		"keys without":   "\x00\x00\x00\x05\x0c\x00\x00\x00\x09",
		"billions":       "\x00\x00\x00\x05\x0c\xff\xff\xff\xff",
		"key of nothing": "\x00\x00\x00\x0d\x0c\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00",
	} {
		if _, err := actor.FromAgent(t.Context(), answering(t, []byte(answer)), person, ""); err == nil {
			t.Errorf("%s: no error", what)
		} else if !errors.Is(err, actor.ErrAgent) && !errors.Is(err, actor.ErrNoKey) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// forger holds one key and signs with another.
type forger struct{ agent.Agent }

func (f forger) Sign(ssh.PublicKey, []byte) (*ssh.Signature, error) {
	return &ssh.Signature{Format: ssh.KeyAlgoED25519, Blob: make([]byte, 64)}, nil
}

func TestAgentThatForges(t *testing.T) {
	pem, err := os.ReadFile(keygen(t, "", "-t", "ed25519"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParseRawPrivateKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	here, there := net.Pipe()
	t.Cleanup(func() { here.Close(); there.Close() })
	go agent.ServeAgent(forger{ring}, there)
	s, err := actor.FromAgent(t.Context(), here, person, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Sign([]byte("x"))
	wantRefusal(t, "forged", err, actor.ErrAgent)
}

func TestAgentThatHangs(t *testing.T) {
	here, there := net.Pipe()
	t.Cleanup(func() { there.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := actor.FromAgent(ctx, here, person, "")
	wantRefusal(t, "hanging agent", err, actor.ErrAgent)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hanging agent: %v", err)
	}
	if _, err := here.Write([]byte("x")); err == nil {
		t.Error("the conversation goes on")
	}
}

func TestKeyName(t *testing.T) {
	for in, want := range map[string]string{
		"Erika Mustermann": "erika-mustermann", " KHK’in  Müller-Lüdenscheidt+1 ": "khk-in-m-ller-l-denscheidt-1",
		"…": "", "": "", "+": "", strings.Repeat("a", 300): strings.Repeat("a", 100),
	} {
		if got := actor.KeyName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// FuzzKeyFile: no bytes of a key file end in anything but a signer or an error.
func FuzzKeyFile(f *testing.F) {
	f.Add([]byte("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"))
	f.Add([]byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, pem []byte) {
		path := filepath.Join(t.TempDir(), "id")
		if err := os.WriteFile(path, pem, 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := actor.LoadKey(path, person, nil); (s == nil) == (err == nil) {
			t.Errorf("signer %v, error %v", s, err)
		}
	})
}
