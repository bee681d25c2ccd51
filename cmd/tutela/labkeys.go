package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"tutela/internal/actor"
	"tutela/internal/lab"
	"tutela/internal/term"
)

// labKeyCommands are the actions of tutela lab on how its keys lie on disk.
type labKeyCommands struct {
	EncryptKeys labEncryptKeys `cmd:"" help:"Encrypt the lab's keys under a passphrase, or to people's keys; every opening asks from then on."`
	DecryptKeys labDecryptKeys `cmd:"" help:"Have the lab's keys lie as they are."`
}

// passphraseFile is the variable that names a file with the passphrase of the
// lab's keys.
const passphraseFile = "TUTELA_PASSPHRASE_FILE"

// unlock is what the lab's keys are encrypted under; nil if they are not. It asks
// once, however often the lab is opened.
func (a *app) unlock(dir string) (*[32]byte, error) {
	if a.opens != nil {
		return a.opens, nil
	}
	key, err := a.unwrap(dir, passphrase(passphraseFile, "Passphrase of the lab's keys:"))
	a.opens = key
	return key, err
}

// unwrap decrypts what the keys of a lab are encrypted under; nil if they are not.
func (a *app) unwrap(dir string, ask func() ([]byte, error)) (*[32]byte, error) {
	wrapped, err := lab.Wrapped(dir)
	if wrapped == nil || err != nil {
		return nil, err
	}
	var s actor.Signer
	if !actor.UnderPassphrase(wrapped) {
		if s, err = a.signer(); err != nil {
			return nil, err
		}
	}
	secret, err := actor.Unwrap(wrapped, s, ask)
	if err != nil {
		return nil, fmt.Errorf("open the lab's keys: %w", err)
	}
	if len(secret) != 32 {
		return nil, fmt.Errorf("open the lab's keys: lab.age holds %d bytes, not 32", len(secret))
	}
	key := [32]byte(secret)
	return &key, nil
}

type labEncryptKeys struct {
	To             []string `sep:"none" help:"A person's public key as OpenSSH writes it; may be repeated. Any of them opens the lab with --key." placeholder:"FILE.pub" xor:"how"`
	PassphraseFile string   `help:"Its first line is the new passphrase. Default, without --to: asked at the terminal." placeholder:"FILE" type:"existingfile" xor:"how"`
}

// Run records nothing: nobody need sign.
func (c *labEncryptKeys) Run(a *app) error {
	l, err := a.open(lab.Write)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.EncryptKeys(c.wrap); err != nil {
		return err
	}
	line := struct {
		Type string   `json:"message_type"`
		To   []string `json:"to"`
	}{"encrypted", append([]string{}, c.To...)}
	return a.print(line, func(w io.Writer) {
		if len(c.To) == 0 {
			fmt.Fprintln(w, "The lab's keys are encrypted. Without the passphrase nobody can open the lab.")
		} else {
			fmt.Fprintf(w, "The lab's keys are encrypted to %s. Each opens the lab with --key.\n", count(len(c.To), "key"))
		}
		fmt.Fprintln(w, "Copies that were made before lie open: destroy them.")
	})
}

func (c *labEncryptKeys) wrap(key []byte) ([]byte, error) {
	if len(c.To) == 0 {
		chosen, err := newPassphrase(c.PassphraseFile)
		if err != nil {
			return nil, err
		}
		defer clear(chosen)
		return actor.WrapUnder(key, chosen)
	}
	var lines [][]byte
	for _, name := range c.To {
		line, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return actor.WrapFor(key, lines...)
}

// newPassphrase reads a file, or asks twice.
func newPassphrase(file string) ([]byte, error) {
	if file != "" {
		return readPassphrase(file)
	}
	first, err := term.AskSecret("New passphrase of the lab's keys:")
	if errors.Is(err, term.ErrNobody) {
		return nil, hint(err, "run this at a terminal, or name --passphrase-file FILE, or people's keys: --to FILE.pub")
	}
	if err != nil {
		return nil, err
	}
	again, err := term.AskSecret("The same again:")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, again) {
		return nil, hint(errors.New("the two passphrases differ"), "nothing was changed; try again")
	}
	return first, nil
}

type labDecryptKeys struct{}

// Run records nothing: nobody need sign.
func (c *labDecryptKeys) Run(a *app) error {
	l, err := a.open(lab.Write)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.DecryptKeys(); err != nil {
		return err
	}
	return a.print(map[string]string{"message_type": "decrypted"}, func(w io.Writer) {
		fmt.Fprintln(w, "The lab's keys lie as they are, for whoever can read the files.")
	})
}
