package actor

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"testing"

	"golang.org/x/crypto/ssh"
)

// drawn is a signer of a fixed key and its line of authorized_keys.
func drawn(t *testing.T, fill byte) (Signer, []byte) {
	t.Helper()
	secret := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{fill}, 32))
	public, err := ssh.NewPublicKey(secret.Public())
	if err != nil {
		t.Fatal(err)
	}
	id, err := newIdentity("erika", secret.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return &fileSigner{id, secret}, ssh.MarshalAuthorizedKey(public)
}

var wrappedSecret = bytes.Repeat([]byte{0x5a}, 32)

func TestWrapForPeople(t *testing.T) {
	erika, erikaLine := drawn(t, 1)
	max, maxLine := drawn(t, 2)
	other, _ := drawn(t, 3)
	wrapped, err := WrapFor(wrappedSecret, erikaLine, maxLine)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []Signer{erika, max} {
		if got, err := Unwrap(wrapped, s, nil); err != nil || !bytes.Equal(got, wrappedSecret) {
			t.Errorf("%s: %x, %v", s.KeyID(), got, err)
		}
	}
	for what, s := range map[string]Signer{"another key": other, "no key": nil} {
		var r *Refusal
		if _, err := Unwrap(wrapped, s, nil); !errors.Is(err, ErrNotFor) || !errors.As(err, &r) || r.Hint == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := WrapFor(wrappedSecret, []byte("ssh-rsa AAAA")); !errors.Is(err, ErrKind) {
		t.Errorf("a key of another kind: %v", err)
	}
}

func TestWrapUnderAPassphrase(t *testing.T) {
	said := func(s string) func() ([]byte, error) { return func() ([]byte, error) { return []byte(s), nil } }
	wrapped, err := wrapUnder(wrappedSecret, []byte("drawn by dice, five words"), 4)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Unwrap(wrapped, nil, said("drawn by dice, five words")); err != nil || !bytes.Equal(got, wrappedSecret) {
		t.Errorf("%x, %v", got, err)
	}
	for what, ask := range map[string]func() ([]byte, error){"wrong": said("drawn by dice, four words"), "empty": said(""), "none": nil} {
		if _, err := Unwrap(wrapped, nil, ask); !errors.Is(err, ErrPassphrase) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := WrapUnder(wrappedSecret, []byte("too short")); err == nil {
		t.Error("a short passphrase was taken")
	}
	costly := bytes.Replace(wrapped, []byte(" 4\n"), []byte(" 30\n"), 1)
	if _, err := Unwrap(costly, nil, said("x")); err == nil || errors.Is(err, ErrPassphrase) {
		t.Errorf("opening that would take a terabyte: %v", err)
	}
}

func TestEveryChangeOfWrappedIsSeen(t *testing.T) {
	erika, line := drawn(t, 1)
	wrapped, err := WrapFor(wrappedSecret, line)
	if err != nil {
		t.Fatal(err)
	}
	for i := range wrapped {
		changed := bytes.Clone(wrapped)
		changed[i] ^= 1
		if got, err := Unwrap(changed, erika, nil); err == nil {
			t.Errorf("byte %d was changed, and it opened as %x", i, got)
		}
	}
}

// FuzzUnwrap: no bytes end in anything but an error.
func FuzzUnwrap(f *testing.F) {
	seed, err := os.ReadFile("wrap.go")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte("age-encryption.org/v1\n-> scrypt AAAA 1\n"))
	f.Add([]byte("age-encryption.org/v1\n-> ssh-ed25519 AAAA BBBB\nCCCC\n--- DDDD\n"))
	secret := ed25519.NewKeyFromSeed(make([]byte, 32))
	id, err := newIdentity("erika", secret.Public().(ed25519.PublicKey))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if UnderPassphrase(b) {
			return // would take its time
		}
		if got, err := Unwrap(b, &fileSigner{id, secret}, nil); err == nil {
			t.Errorf("opened as %x", got)
		}
	})
}

// FuzzPublic: no bytes of a public key's file end in anything but a key of a
// person or an error.
func FuzzPublic(f *testing.F) {
	secret := ed25519.NewKeyFromSeed(make([]byte, 32))
	public, err := ssh.NewPublicKey(secret.Public())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ssh.MarshalAuthorizedKey(public))
	f.Add([]byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== erika@lab\n"))
	f.Add([]byte("# none\n\ncommand=\"x\" ssh-rsa AAAA\n"))
	f.Fuzz(func(t *testing.T, line []byte) {
		p, err := ParsePublic(line, "Erika")
		if err == nil && (p.VKey[:6] != "erika+" || p.Fingerprint[:7] != "SHA256:") {
			t.Errorf("%q is %+v", line, p)
		}
	})
}
