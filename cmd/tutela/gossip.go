package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"tutela"
	"tutela/internal/lab"
	"tutela/internal/ledger/check"
	"tutela/internal/term"
	"tutela/verify"
)

// ledgerGossip takes heads of logs that others showed: whoever shows two agencies two
// histories is found out when these talk.
type ledgerGossip struct {
	Shown   []string `arg:"" optional:"" name:"bundle|head" help:"What another agency gave: a bundle, or a signed head of a log (*.checkpoint). Default: list what is kept."`
	NewKeys bool     `help:"The log of a bundle may have other keys than before: you have asked that agency."`
}

// maxShownHead is the largest signed head that is read, in bytes.
const maxShownHead = 64 << 10

func (c *ledgerGossip) Run(a *app) error {
	if len(c.Shown) == 0 {
		return listGossip(a)
	}
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	var refused []error
	alarming := false
	for _, path := range c.Shown {
		heard, err := c.take(a, l, path)
		if err != nil {
			refused = append(refused, err)
		}
		alarming = alarming || slices.ContainsFunc(heard, lab.Heard.Alarming)
		if err := printHeard(a, heard); err != nil {
			return err
		}
	}
	switch {
	case alarming: // which outweighs what else there is to say
		return hint(errors.Join(append([]error{errIntegrity}, refused...)...), "keep what you were given, and ask the agency in question; if it is this lab's log, stop, and find out who changed it")
	case len(refused) == 1:
		return refused[0]
	}
	return errors.Join(refused...)
}

// take takes a head, or all heads of a bundle. With an error there may be heads that
// were heard.
func (c *ledgerGossip) take(a *app, l *lab.Lab, path string) ([]lab.Heard, error) {
	if strings.HasSuffix(path, ".checkpoint") {
		signed, err := readHead(path)
		if err != nil {
			return nil, err
		}
		heard, err := l.Hear(a.ctx, signed)
		if errors.Is(err, check.ErrCheckpoint) {
			return nil, misuse("%s: %v", path, err)
		}
		return heard, err
	}
	v, err := verify.PathContext(a.ctx, path, verify.Options{})
	if err != nil {
		return nil, err
	}
	if !v.OK {
		return nil, &hinted{fmt.Errorf("%s does not hold: %s", path, v.Problems[0]), "tutela verify " + tutela.ShellWord(path), exitIntegrity}
	}
	return c.takeBundle(a, l, v)
}

func readHead(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	signed, err := io.ReadAll(io.LimitReader(f, maxShownHead+1))
	if err == nil && len(signed) > maxShownHead {
		err = fmt.Errorf("%s has more than %d bytes: no signed head", path, maxShownHead)
	}
	return signed, err
}

// takeBundle makes the log of a bundle that holds known, and hears what it says of
// others. Gossip that is no signed head is passed over: nobody judges it.
func (c *ledgerGossip) takeBundle(a *app, l *lab.Lab, v *verify.Verdict) (heard []lab.Heard, err error) {
	policy, err := check.ParsePolicy(v.Policy)
	if err != nil {
		return nil, err
	}
	var refused error // which keeps nobody from hearing of others
	shown := v.Gossip
	if keys := policy.LogKeys(); originOf(keys) == originOf(l.LogKeys()) {
		shown = append(shown, v.Heads...)
	} else {
		heard, refused = c.meet(a, l, keys, v)
	}
	for _, signed := range shown {
		more, err := l.Hear(a.ctx, signed)
		if errors.Is(err, check.ErrCheckpoint) {
			a.alarm("the bundle hands on something that is no signed head")
			continue
		}
		if err != nil {
			return nil, err
		}
		heard = append(heard, more...)
	}
	return heard, refused
}

func originOf(vkeys []string) string {
	origin, _, _ := strings.Cut(vkeys[0], "+")
	return origin
}

func (c *ledgerGossip) meet(a *app, l *lab.Lab, keys []string, v *verify.Verdict) ([]lab.Heard, error) {
	change := lab.KeysAsBefore
	if c.NewKeys {
		change = lab.KeysMayChange
	}
	heard, fresh, err := l.Meet(keys, change, v.Heads...)
	if errors.Is(err, lab.ErrOtherKeys) {
		return nil, &hinted{err, "ask that agency by another way; if it changed its keys: --new-keys", exitIntegrity}
	}
	if err == nil && fresh {
		a.say("The log %s is new here. Compare by another way that these keys are its: policy %s", tutela.DisplayPath([]byte(originOf(keys))), v.PolicySHA256)
	}
	return heard, err
}

func listGossip(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	heard, err := l.Overheard()
	if err != nil {
		return err
	}
	if len(heard) == 0 && !a.json {
		a.say("No heads of other logs are kept. Take them from what other agencies disclose: tutela ledger gossip BUNDLE")
		return nil
	}
	return printHeard(a, heard)
}

// heardWords are what a state means for people.
var heardWords = map[lab.HeardState]string{
	lab.HeardOurs: "ours, and our log continues it", lab.HeardKept: "kept", lab.HeardKnown: "known", lab.HeardUnjudged: "not judged",
	lab.HeardForked: "FORKED", lab.HeardCutBack: "CUT BACK",
}

func printHeard(a *app, all []lab.Heard) error {
	var rows [][]string
	for _, h := range all {
		line := struct {
			Type   string `json:"message_type"`
			Origin string `json:"origin"`
			Size   uint64 `json:"size"`
			Root   string `json:"root"`
			State  string `json:"state"`
			Why    string `json:"why"`
		}{"gossip", tutela.DisplayPath([]byte(h.Origin)), h.Size, h.Root.String(), string(h.State), tutela.DisplayPath([]byte(h.Why))}
		state := heardWords[h.State]
		if h.Why != "" {
			state += ": " + line.Why
		}
		rows = append(rows, []string{line.Origin, term.Count(h.Size), short(line.Root), state})
		if err := a.print(line, func(io.Writer) {}); err != nil {
			return err
		}
	}
	if !a.json && len(rows) > 0 {
		table(a.out, "LOG|ENTRIES|ROOT|STATE", rows)
	}
	return nil
}
