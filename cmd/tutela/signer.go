package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"tutela/internal/actor"
	"tutela/internal/lab"
	"tutela/internal/term"
)

// agentPatience is how long an ssh-agent may take for an answer: it may have to
// ask a person.
const agentPatience = 2 * time.Minute

// maxPassphrase is the longest passphrase that a file may hold, in bytes.
const maxPassphrase = 4096

// signer is the key of whoever acts, asked for once; nil if none was named.
func (a *app) signer() (actor.Signer, error) {
	if a.signs != nil || a.key == "" && !a.agent {
		return a.signs, nil
	}
	var err error
	switch {
	case strings.HasSuffix(a.key, ".pub"):
		a.signs, err = a.agentKeyOf(a.key)
	case a.key != "" && a.agent:
		return nil, misuse("--agent: then --key names the public half, which ends with .pub")
	case a.key != "":
		a.signs, err = actor.LoadKey(a.key, a.actor, passphrase("TUTELA_KEY_PASSPHRASE_FILE", "Passphrase of "+a.key+":"))
	default:
		a.signs, err = findAgentKey(a.ctx, a.actor, "")
	}
	return a.signs, err
}

func (a *app) agentKeyOf(file string) (actor.Signer, error) {
	line, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	if _, err := actor.ParsePublic(line, a.actor); err != nil {
		return nil, err
	}
	return findAgentKey(a.ctx, a.actor, strings.TrimSpace(string(line)))
}

// agentKey is a key in an ssh-agent, which is called anew for every signature: a
// scan takes days, and agents are started again meanwhile.
type agentKey struct {
	actor.Signer // as it was found
	ctx          context.Context
	person       string
	wanted       string
}

var _ actor.Signer = (*agentKey)(nil)

// findAgentKey makes sure that the agent holds the key.
func findAgentKey(ctx context.Context, person, wanted string) (actor.Signer, error) {
	k := &agentKey{ctx: ctx, person: person, wanted: wanted}
	err := k.call(func(s actor.Signer) error { k.Signer = s; return nil })
	if err != nil {
		return nil, err
	}
	return k, nil
}

func (k *agentKey) Sign(msg []byte) (signature []byte, err error) {
	err = k.call(func(s actor.Signer) error {
		if s.VerifierKey() != k.VerifierKey() {
			return errors.New("the agent holds another key than before")
		}
		signature, err = s.Sign(msg)
		return err
	})
	return signature, err
}

// call has the agent answer once.
func (k *agentKey) call(do func(actor.Signer) error) error {
	ctx, cancel := context.WithTimeout(k.ctx, agentPatience)
	defer cancel()
	conn, err := dialAgent(ctx)
	if err != nil {
		return hint(fmt.Errorf("call the ssh-agent: %w", err), `start one with eval "$(ssh-agent)" and ssh-add FILE; SSH_AUTH_SOCK says where it is`)
	}
	defer conn.Close()
	s, err := actor.FromAgent(ctx, conn, k.person, k.wanted)
	if err != nil {
		return err
	}
	return do(s)
}

// passphrase is how a passphrase is come by: from the file that an environment
// variable names, else at the terminal; nil if there is neither.
func passphrase(variable, question string) func() ([]byte, error) {
	if file := os.Getenv(variable); file != "" {
		return func() ([]byte, error) { return readPassphrase(file) }
	}
	if !term.IsTerminal(os.Stdin) {
		return nil
	}
	return func() ([]byte, error) { return term.AskSecret(question) }
}

// readPassphrase is the first line of a file.
func readPassphrase(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 || len(line) > maxPassphrase {
		return nil, fmt.Errorf("%s: its first line is no passphrase of 1 to %d bytes", file, maxPassphrase)
	}
	return line, nil
}

// signWith has what a lab records signed by whoever acts. Where signatures are
// demanded and no key was named it refuses before anything is done.
func (a *app) signWith(l *lab.Lab, s actor.Signer) error {
	if s != nil {
		return l.SignWith(a.ctx, s)
	}
	standing, err := l.Standing(a.ctx)
	if err != nil {
		return err
	}
	if standing.Policy.Signatures {
		return lab.ErrUnsigned
	}
	return nil
}
