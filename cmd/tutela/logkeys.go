package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"tutela/internal/lab"
)

// ledgerKeyCommands are the actions of tutela ledger that are about its keys.
type ledgerKeyCommands struct {
	Keys        ledgerKeys        `cmd:"" help:"Print the log's verifier keys, for its witnesses and for whoever checks it."`
	RotateKeys  ledgerRotateKeys  `cmd:"" help:"Give the log new signing keys; the old ones announce them."`
	RecoveryKey ledgerRecoveryKey `cmd:"" help:"Make the key that can give the log new keys when its own are lost or stolen."`
	Recover     ledgerRecover     `cmd:"" help:"Give the log new keys by the recovery key."`
}

type ledgerKeys struct{}

// Run prints the log lines of C2SP tlog-policy and nothing else.
func (c *ledgerKeys) Run(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	line := struct {
		Type        string   `json:"message_type"`
		LogKeys     []string `json:"log_keys"`
		Fingerprint string   `json:"fingerprint"`
	}{"log-keys", l.LogKeys(), l.KeyFingerprint()}
	return a.print(line, func(w io.Writer) {
		for _, vkey := range line.LogKeys {
			fmt.Fprintf(w, "log %s\n", vkey)
		}
	})
}

type ledgerRotateKeys struct {
	Reason string `required:"" help:"Why."`
}

func (c *ledgerRotateKeys) Run(a *app) error {
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.RotateKeys(a.ctx, c.Reason); err != nil {
		return err
	}
	return printLogKeys(a, l, "rotated", "The log has new keys; the old ones signed that, and are destroyed.")
}

// printLogKeys prints the keys that sign from now on.
func printLogKeys(a *app, l *lab.Lab, kind, sentence string) error {
	vkeys, fingerprint := l.LogKeys(), l.KeyFingerprint()
	line := struct {
		Type        string   `json:"message_type"`
		LogKeys     []string `json:"log_keys"`
		Fingerprint string   `json:"fingerprint"`
	}{kind, vkeys, fingerprint}
	return a.print(line, func(w io.Writer) {
		fmt.Fprintln(w, sentence)
		facts(w, "Fingerprint", fingerprint, "Ed25519", vkeys[0], "ML-DSA-44", shortKey(vkeys[1]))
		fmt.Fprintln(w, "Tell it to whoever checks this log, and keep a new copy of the lab's keys.")
	})
}

// shortKey is the name and ID of a vkey that fills a screen.
func shortKey(vkey string) string {
	if len(vkey) > 100 {
		return vkey[:100] + "…"
	}
	return vkey
}

type ledgerRecoveryKey struct {
	Out string `short:"o" required:"" help:"The new file, outside the lab: on a medium that is kept elsewhere." placeholder:"FILE" type:"path"`
}

func (c *ledgerRecoveryKey) Run(a *app) error {
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	id, err := l.NewRecoveryKey(a.ctx, c.Out)
	if errors.Is(err, lab.ErrInside) {
		return hint(err, "name a file on a medium that is kept elsewhere: whoever takes the lab must not get it")
	}
	if err != nil {
		return err
	}
	line := struct {
		Type string `json:"message_type"`
		File string `json:"file"`
		Key  string `json:"key_id"`
	}{"recovery-key", c.Out, id}
	return a.print(line, func(w io.Writer) {
		fmt.Fprintf(w, "Recovery key %s is in %s; one that was made before is none any more.\n", id, c.Out)
		fmt.Fprintln(w, "Keep it offline, away from the lab: whoever has it can read the log and change its keys.")
	})
}

// ledgerRecover opens no lab before it has keys: without them none can be opened.
type ledgerRecover struct {
	RecoveryKey string `required:"" help:"The file that tutela ledger recovery-key made." placeholder:"FILE" type:"existingfile"`
	Reason      string `required:"" help:"Why."`
}

func (c *ledgerRecover) Run(a *app) error {
	dir, err := lab.Locate(a.folder)
	if err != nil {
		return err
	}
	key, err := a.unlock(dir)
	if err != nil {
		return err
	}
	if err := lab.RecoverKeys(a.ctx, dir, a.actor, c.RecoveryKey, c.Reason, key); err != nil {
		return err
	}
	l, err := a.open(lab.Write) // which brings the catalogue up to the log
	if err != nil {
		return hint(err, "the keys are recovered; try again: tutela --lab %s ledger verify", filepath.Clean(dir))
	}
	defer l.Close()
	return printLogKeys(a, l, "recovered", "The log has new keys, by its recovery key; the old ones sign no more.")
}
