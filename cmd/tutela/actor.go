package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"tutela"
	"tutela/internal/actor"
	"tutela/internal/lab"
)

type actorCommand struct {
	Enrol    actorEnrol    `cmd:"" help:"Enrol a person's key: what it signs from then on is theirs."`
	List     actorList     `cmd:"" help:"List whose keys were enrolled."`
	Show     actorShow     `cmd:"" help:"Show one person's keys."`
	Withdraw actorWithdraw `cmd:"" help:"Withdraw a key; it signs no more from then on."`
}

type actorEnrol struct {
	Name    string `arg:"" help:"Whose key it is, as --actor names them."`
	KeyFile string `required:"" help:"The public half as OpenSSH writes it; Ed25519." placeholder:"FILE.pub"`
}

// Run enrols. Where nobody must sign yet, the key that was named may be the one
// that is enrolled.
func (c *actorEnrol) Run(a *app) error {
	line, err := os.ReadFile(c.KeyFile)
	if err != nil {
		return err
	}
	if err := newName("name", c.Name); err != nil {
		return err
	}
	public, err := actor.ParsePublic(line, c.Name)
	if err != nil {
		return err
	}
	l, err := c.open(a)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.EnrolKey(a.ctx, c.Name, public.VKey); err != nil {
		return hintEnrolled(err)
	}
	return c.tell(a, l, public)
}

func (c *actorEnrol) open(a *app) (*lab.Lab, error) {
	s, err := a.signer()
	if err != nil {
		return nil, err
	}
	l, err := a.open(lab.Write)
	if err != nil {
		return nil, err
	}
	err = a.signWith(l, s)
	if errors.Is(err, lab.ErrNotEnrolled) {
		err = a.signWith(l, nil)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func hintEnrolled(err error) error {
	if errors.Is(err, lab.ErrKeyKnown) {
		return hint(err, "make another: ssh-keygen -t ed25519; whose keys there are: tutela actor list")
	}
	return err
}

func (c *actorEnrol) tell(a *app, l *lab.Lab, public actor.Public) error {
	keys, err := l.KeysOfPeople(a.ctx)
	if err != nil {
		return err
	}
	return a.print(personKeyLine(keys[len(keys)-1]), func(w io.Writer) {
		fmt.Fprintf(w, "Key %s (%s) is %s's from now on.\n", tutela.KeyID(public.VKey), public.Fingerprint, c.Name)
	})
}

type actorList struct{}

func (c *actorList) Run(a *app) error {
	return printKeys(a, func(lab.PersonKey) bool { return true }, "No key of a person was enrolled. Enrol one: tutela actor enrol NAME --key-file FILE.pub")
}

type actorShow struct {
	Name string `arg:""`
}

func (c *actorShow) Run(a *app) error {
	return printKeys(a, func(k lab.PersonKey) bool { return k.Actor == c.Name }, "")
}

// printKeys prints the keys that are meant. Without a sentence for none, none is
// an error.
func printKeys(a *app, meant func(lab.PersonKey) bool, none string) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	keys, err := l.KeysOfPeople(a.ctx)
	if err != nil {
		return err
	}
	keys = slices.DeleteFunc(keys, func(k lab.PersonKey) bool { return !meant(k) })
	if len(keys) == 0 && none == "" {
		return hint(errors.New("no key of that person was enrolled"), "tutela actor list")
	}
	if a.json {
		return printEach(a, keys, personKeyLine)
	}
	if len(keys) == 0 {
		a.say("%s", none)
		return nil
	}
	listKeys(a.out, keys)
	return nil
}

func listKeys(w io.Writer, keys []lab.PersonKey) {
	var rows [][]string
	for _, k := range keys {
		state := "stands"
		if !k.Withdrawn.IsZero() {
			state = "withdrawn " + moment(k.Withdrawn) + ": " + k.Reason
		}
		rows = append(rows, []string{k.Actor, tutela.KeyID(k.VKey), moment(k.At), k.By, state})
	}
	table(w, "ACTOR|KEY|ENROLLED|BY|STANDING", rows)
}

func personKeyLine(k lab.PersonKey) any {
	return struct {
		Type      string  `json:"message_type"`
		Actor     string  `json:"actor"`
		KeyID     string  `json:"key_id"`
		Key       string  `json:"key"`
		Index     uint64  `json:"index"`
		Enrolled  *string `json:"enrolled"`
		By        string  `json:"enrolled_by"`
		Withdrawn *string `json:"withdrawn"`
		Reason    string  `json:"reason"`
	}{"actor-key", k.Actor, tutela.KeyID(k.VKey), k.VKey, k.Index, stamp(k.At), k.By, stamp(k.Withdrawn), k.Reason}
}

type actorWithdraw struct {
	Which  string `arg:"" help:"The person, if they have one key, or the key's ID." placeholder:"NAME|KEYID"`
	Reason string `required:"" help:"Why."`
}

func (c *actorWithdraw) Run(a *app) error {
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	key, err := c.find(a, l)
	if err != nil {
		return err
	}
	err = l.WithdrawKey(a.ctx, key.VKey, c.Reason)
	if errors.Is(err, lab.ErrLastKey) {
		return hint(err, "enrol another key first, or: tutela lab policy --no-signatures")
	}
	if err != nil {
		return err
	}
	line := struct {
		Type   string `json:"message_type"`
		Actor  string `json:"actor"`
		KeyID  string `json:"key_id"`
		Reason string `json:"reason"`
	}{"withdrawn", key.Actor, tutela.KeyID(key.VKey), c.Reason}
	return a.print(line, func(w io.Writer) {
		fmt.Fprintf(w, "Key %s of %s is withdrawn: %s.\n", line.KeyID, key.Actor, c.Reason)
	})
}

// find is the one key that stands and is meant.
func (c *actorWithdraw) find(a *app, l *lab.Lab) (lab.Enrolled, error) {
	standing, err := l.Standing(a.ctx)
	if err != nil {
		return lab.Enrolled{}, err
	}
	if key, ok := standing.Keys[c.Which]; ok {
		return key, nil
	}
	var found []lab.Enrolled
	for _, key := range standing.Keys {
		if key.Actor == c.Which {
			found = append(found, key)
		}
	}
	switch len(found) {
	case 0:
		return lab.Enrolled{}, hint(fmt.Errorf("no key of %s stands", c.Which), "tutela actor list")
	case 1:
		return found[0], nil
	}
	return lab.Enrolled{}, hint(fmt.Errorf("%s has %d keys", c.Which, len(found)), "name one by its ID: tutela actor show %s", tutela.ShellWord(c.Which))
}
