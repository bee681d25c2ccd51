package actor

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// agentSigner asks an agent for each signature.
type agentSigner struct {
	identity
	ctx   context.Context
	agent *conversation
	key   ssh.PublicKey
}

var _ Signer = (*agentSigner)(nil)

// FromAgent finds a key in an ssh-agent (draft-ietf-sshm-ssh-agent) behind rw,
// which the caller dialled, for the person named actor. wanted is the key's
// comment, its fingerprint (SHA256:…) or a line of authorized_keys; it must fit
// exactly one key. "" stands for the only Ed25519 key there is.
//
// ctx bounds this call and all signatures to come; give it a deadline, since an
// agent may ask a person, or hang. When it ends, rw is closed if it can be.
// Errors are a [Refusal] that wraps [ErrKind], [ErrNoKey] or [ErrAgent].
func FromAgent(ctx context.Context, rw io.ReadWriter, actor, wanted string) (Signer, error) {
	c := &conversation{rw: rw, agent: agent.NewClient(rw)}
	keys, err := ask(ctx, c, "list keys", c.agent.List)
	if err != nil {
		return nil, err
	}
	key, err := choose(keys, wanted)
	if err != nil {
		return nil, err
	}
	public, err := ed25519Of(key)
	if err != nil {
		return nil, err
	}
	id, err := newIdentity(actor, public)
	if err != nil {
		return nil, err
	}
	return &agentSigner{id, ctx, c, key}, nil
}

// Sign asks the agent, and believes it only what the public key confirms.
func (s *agentSigner) Sign(msg []byte) ([]byte, error) {
	sig, err := ask(s.ctx, s.agent, "sign", func() (*ssh.Signature, error) { return s.agent.agent.Sign(s.key, msg) })
	if err != nil {
		return nil, err
	}
	if sig.Format != ssh.KeyAlgoED25519 || !ed25519.Verify(s.public, msg, sig.Blob) {
		return nil, refuse(agentHint, "sign by agent: %w: its signature does not hold", ErrAgent)
	}
	return sig.Blob, nil
}

const (
	agentHint = "ssh-add -l shows what the agent holds; ssh-add -X unlocks it; SSH_AUTH_SOCK says where it is"
	noKeyHint = "ssh-add FILE hands a key to the agent; if it is locked, ssh-add -X unlocks it"
)

// conversation is the way to one agent.
type conversation struct {
	rw    io.ReadWriter
	agent agent.Agent
}

// ask puts one question and waits no longer than ctx allows. A question that
// was given up may still be on its way, so the conversation ends with it.
func ask[T any](ctx context.Context, c *conversation, what string, question func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	got := make(chan answer, 1)
	go func() {
		value, err := question()
		got <- answer{value, err}
	}()
	var none T
	select {
	case a := <-got:
		if a.err != nil {
			return none, refuse(agentHint, "%s by agent: %w: %w", what, ErrAgent, a.err)
		}
		return a.value, nil
	case <-ctx.Done():
		if closer, ok := c.rw.(io.Closer); ok {
			closer.Close()
		}
		return none, refuse(agentHint, "%s by agent: %w: %w", what, ErrAgent, context.Cause(ctx))
	}
}

// choose is the one key that is meant.
func choose(keys []*agent.Key, wanted string) (*agent.Key, error) {
	var found []*agent.Key
	for _, k := range keys {
		if fits(k, wanted) {
			found = append(found, k)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, refuse(noKeyHint, "%w: none of its %d keys is %q", ErrNoKey, len(keys), wanted)
	default:
		return nil, refuse("name it by its fingerprint: ssh-add -l", "%w: %d of its keys are %q", ErrNoKey, len(found), wanted)
	}
}

func fits(k *agent.Key, wanted string) bool {
	if wanted == "" {
		return k.Format == ssh.KeyAlgoED25519
	}
	if line, _, _, _, err := ssh.ParseAuthorizedKey([]byte(wanted)); err == nil {
		return string(line.Marshal()) == string(k.Blob)
	}
	return wanted == k.Comment || strings.HasPrefix(wanted, "SHA256:") && wanted == ssh.FingerprintSHA256(k)
}

// ed25519Of is the key's 32 bytes. A key of a security token or a certificate
// has Ed25519 in its name, and signs something else.
func ed25519Of(k *agent.Key) (ed25519.PublicKey, error) {
	parsed, err := ssh.ParsePublicKey(k.Blob)
	if err != nil {
		return nil, refuse(agentHint, "%w: key %q: %w", ErrAgent, k.Comment, err)
	}
	if crypto, ok := parsed.(ssh.CryptoPublicKey); ok && parsed.Type() == ssh.KeyAlgoED25519 {
		if public, ok := crypto.CryptoPublicKey().(ed25519.PublicKey); ok && len(public) == ed25519.PublicKeySize {
			return public, nil
		}
	}
	return nil, refuse(kindHint, "key %q: %w but %s", k.Comment, ErrKind, fmt.Sprintf("%.60q", parsed.Type()))
}
