package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"tutela/internal/durable"
	"tutela/internal/term"
	"tutela/internal/witness"
)

// witnessCommand is for who remembers the heads of other people's logs. It needs no
// lab: a witness on the machine of the lab witnesses nothing.
type witnessCommand struct {
	Init   witnessInit   `cmd:"" help:"Make a witness: a folder with keys of its own."`
	AddLog witnessAddLog `cmd:"" help:"Make logs known to a witness, by all their verifier keys."`
	Serve  witnessServe  `cmd:"" help:"Cosign the heads of the logs that it knows, until a signal stops it."`
	Show   witnessShow   `cmd:"" help:"Show what a witness remembers, and who told it two stories."`
}

type witnessInit struct {
	Dir  string `arg:"" help:"The new folder." type:"path"`
	Name string `required:"" help:"Its name, which stands before each of its signatures; best an address without a scheme, such as witness.example/w1."`
}

func (c *witnessInit) Run(a *app) error {
	if err := witness.Create(c.Dir, c.Name); err != nil {
		return hintWitness(err)
	}
	v, err := witness.Look(c.Dir)
	if err != nil {
		return hintWitness(err)
	}
	return a.print(lineOfWitness(v), func(w io.Writer) {
		printWitness(w, v)
		fmt.Fprintf(w, "\nNow name the logs that it shall cosign:\n  tutela witness add-log %s FILE   (the lab writes it: tutela ledger keys > FILE)\n", c.Dir)
	})
}

type witnessAddLog struct {
	Dir     string   `arg:"" help:"The folder of the witness." type:"path"`
	Keys    []string `arg:"" help:"A file of log lines as tutela ledger keys prints them, or a verifier key." placeholder:"KEY|FILE"`
	Replace bool     `help:"The log is known, and these are its keys from now on; its newest head stays."`
}

func (c *witnessAddLog) Run(a *app) error {
	lines, err := logLines(c.Keys)
	if err != nil {
		return err
	}
	known := witness.KnownRefused
	if c.Replace {
		known = witness.KnownReplaced
	}
	origins, err := witness.AddLogs(c.Dir, lines, known)
	if err != nil {
		return hintWitness(err)
	}
	line := struct {
		Type    string   `json:"message_type"`
		Origins []string `json:"origins"`
	}{"logs-added", origins}
	return a.print(line, func(w io.Writer) {
		for _, origin := range origins {
			fmt.Fprintf(w, "The witness cosigns the heads of %s.\n", origin)
		}
	})
}

// logLines puts together the log lines of files and of keys named by themselves.
func logLines(named []string) (string, error) {
	var b strings.Builder
	for _, n := range named {
		text, err := readNamed(n)
		switch {
		case err == nil:
			b.Write(append(text, '\n'))
		case errors.Is(err, fs.ErrNotExist) && strings.Count(n, "+") >= 2:
			fmt.Fprintf(&b, "log %s\n", n)
		default:
			return "", err
		}
	}
	return b.String(), nil
}

type witnessServe struct {
	Dir     string `arg:"" help:"The folder of the witness." type:"path"`
	Listen  string `default:"127.0.0.1:8457" help:"Where to listen. It speaks no TLS: a reverse proxy on this machine does that." placeholder:"HOST:PORT"`
	Address string `help:"Where labs reach it, for the lines that are printed for them. Default: where it listens." placeholder:"URL"`
}

func (c *witnessServe) Run(a *app) error {
	if err := checkWitnessAddress(c.Address); err != nil {
		return err
	}
	var one sync.Mutex // alarms come from many connections
	s, err := witness.Open(c.Dir, witness.Options{Alarm: func(line string) {
		one.Lock()
		defer one.Unlock()
		a.alarm("%s", line)
	}})
	if err != nil {
		return hintWitness(err)
	}
	defer s.Close()
	listener, err := new(net.ListenConfig).Listen(a.ctx, "tcp", c.Listen)
	if err != nil {
		return hint(err, "name another place: --listen HOST:PORT")
	}
	if err := c.tell(a, listener.Addr().String()); err != nil {
		return errors.Join(err, listener.Close())
	}
	if err := s.Serve(a.ctx, listener); err != nil {
		return err
	}
	return &hinted{err: errors.New("the witness was stopped; what it cosigned is remembered"), code: exitInterrupted}
}

func checkWitnessAddress(address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || strings.ContainsAny(address, " \t\n") {
		return misuse("%q is not an address that begins with https:// or http://", address)
	}
	return nil
}

// tell prints what labs are given: a file of C2SP tlog-policy, words and all.
func (c *witnessServe) tell(a *app, listens string) error {
	v, err := witness.Look(c.Dir)
	if err != nil {
		return hintWitness(err)
	}
	here, address := "http://"+listens+"/", c.Address
	if address == "" {
		address = here
	}
	if at, err := netip.ParseAddrPort(listens); err == nil && !at.Addr().IsLoopback() {
		a.alarm("the witness listens on %s, where others reach it, and speaks no TLS; let it listen on 127.0.0.1, behind a reverse proxy", listens)
	}
	policy := witness.PolicyLines(v.VKeys, address)
	line := struct {
		Type    string   `json:"message_type"`
		Name    string   `json:"name"`
		Keys    []string `json:"keys"`
		Listens string   `json:"listens"`
		Address string   `json:"address"`
		Policy  string   `json:"policy"`
		Logs    int      `json:"logs"`
	}{"serving", v.Name, v.VKeys, here, address, policy, len(v.Logs)}
	return a.print(line, func(w io.Writer) {
		fmt.Fprintf(w, "# Witness %s listens on %s and knows %s.\n", v.Name, here, count(len(v.Logs), "log"))
		fmt.Fprintf(w, "# TLS is for a reverse proxy: tell its address with --address URL.\n# For labs, in a file for tutela lab policy --witnesses:\n%s", policy)
	})
}

type witnessShow struct {
	Dir    string `arg:"" help:"The folder of the witness." type:"path"`
	Policy string `help:"Print the lines by which labs name it, reached at this address, and nothing else." placeholder:"URL"`
}

func (c *witnessShow) Run(a *app) error {
	if err := checkWitnessAddress(c.Policy); err != nil {
		return err
	}
	v, err := witness.Look(c.Dir)
	if err != nil {
		return hintWitness(err)
	}
	if c.Policy != "" && !a.json {
		_, err := io.WriteString(a.out, witness.PolicyLines(v.VKeys, c.Policy))
		return err
	}
	if err := a.print(lineOfWitness(v), func(w io.Writer) { printWitness(w, v) }); err != nil {
		return err
	}
	if forks := provenForks(v); forks > 0 {
		return &hinted{fmt.Errorf("the witness holds proof of %s that told two stories", count(forks, "log")),
			"keep a copy of the witness's folder; show both heads to everybody who relies on that log", exitIntegrity}
	}
	return nil
}

func provenForks(v witness.View) (logs int) {
	for _, l := range v.Logs {
		for _, f := range l.Forks {
			if f.Proven() {
				logs++
				break
			}
		}
	}
	return logs
}

type witnessLine struct {
	Type string           `json:"message_type"`
	Name string           `json:"name"`
	Keys []string         `json:"keys"`
	Logs []witnessLogLine `json:"logs"`
}

type witnessLogLine struct {
	Origin  string            `json:"origin"`
	LogKeys []string          `json:"log_keys"`
	Size    *uint64           `json:"size"`
	Root    string            `json:"root"`
	Time    *string           `json:"time"`
	Forks   []witnessForkLine `json:"forks"`
}

type witnessForkLine struct {
	Folder        string `json:"folder"`
	Proven        bool   `json:"proven"`
	CosignedSize  uint64 `json:"cosigned_size"`
	CosignedRoot  string `json:"cosigned_root"`
	SubmittedSize uint64 `json:"submitted_size"`
	SubmittedRoot string `json:"submitted_root"`
}

func lineOfWitness(v witness.View) witnessLine {
	line := witnessLine{"witness", v.Name, v.VKeys, []witnessLogLine{}}
	for _, l := range v.Logs {
		one := witnessLogLine{Origin: l.Origin, LogKeys: l.VKeys, Time: stamp(l.Time), Forks: []witnessForkLine{}}
		if l.Newest != nil {
			one.Size, one.Root = &l.Newest.Size, l.Newest.Root.String()
		}
		for _, f := range l.Forks {
			one.Forks = append(one.Forks, witnessForkLine{f.Folder, f.Proven(), f.Cosigned.Size, f.Cosigned.Root.String(), f.Submitted.Size, f.Submitted.Root.String()})
		}
		line.Logs = append(line.Logs, one)
	}
	return line
}

func printWitness(w io.Writer, v witness.View) {
	facts(w, "Witness", v.Name, "Ed25519", v.VKeys[0], "ML-DSA-44", shortKey(v.VKeys[1]))
	if len(v.Logs) == 0 {
		fmt.Fprintln(w, "It knows no log.")
		return
	}
	fmt.Fprintln(w)
	var rows [][]string
	for _, l := range v.Logs {
		row := []string{l.Origin, "none yet", "", ""}
		if l.Newest != nil {
			row = []string{l.Origin, term.Count(l.Newest.Size), moment(l.Time), l.Newest.Root.String()}
		}
		rows = append(rows, row)
	}
	table(w, "LOG|ENTRIES|COSIGNED|ROOT", rows)
	for _, l := range v.Logs {
		for _, f := range l.Forks {
			fmt.Fprintf(w, "\n%s\n", f)
		}
	}
}

// hintWitness says what to do about what a witness's folder does not do.
func hintWitness(err error) error {
	switch {
	case errors.Is(err, witness.ErrNoWitness):
		return hint(err, "make one: tutela witness init DIR --name NAME")
	case errors.Is(err, durable.ErrLocked):
		return &hinted{err, "one process at a time serves or changes a witness: stop that one first", exitLocked}
	case errors.Is(err, witness.ErrDamaged):
		return &hinted{err, "change nothing and keep a copy of the folder: who changed it can have made the witness forget. A witness that begins anew needs new keys: tutela witness init", exitIntegrity}
	case errors.Is(err, witness.ErrKnown):
		return hint(err, "ask whoever keeps the log, by another way, whether its keys were changed; then: --replace")
	case errors.Is(err, witness.ErrLogs):
		return hint(err, "a lab's log lines come from: tutela ledger keys")
	case errors.Is(err, fs.ErrExist):
		return hint(err, "name a new folder")
	}
	return err
}
