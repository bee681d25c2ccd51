package actor_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"tutela/internal/actor"
)

// TestFromSeed: test 1 of RFC 8032, section 7.1, which signs the empty message.
func TestFromSeed(t *testing.T) {
	seed, public := raw(t, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"), raw(t, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
	s, err := actor.FromSeed([32]byte(seed), person)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.SplitN(s.VerifierKey(), "+", 3)
	if key, err := base64.StdEncoding.DecodeString(parts[2]); err != nil || !bytes.Equal(key, append([]byte{1}, public...)) {
		t.Errorf("%s: %v", s.VerifierKey(), err)
	}
	want := raw(t, "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b")
	if sig, err := s.Sign(nil); err != nil || !bytes.Equal(sig, want) {
		t.Errorf("%x, %v", sig, err)
	}
	if _, err := actor.FromSeed([32]byte(seed), "…"); err == nil {
		t.Error("a person without a name has a key")
	}
}

func raw(t *testing.T, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
