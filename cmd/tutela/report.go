package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tutela"
	"tutela/internal/authority"
	"tutela/internal/disclosure"
	"tutela/internal/durable"
	"tutela/internal/lab"
	"tutela/internal/report"
)

type reportCommand struct {
	Case         string   `required:"" help:"The case."`
	To           string   `help:"For whom it is." placeholder:"WHOM"`
	Purpose      string   `help:"What for." placeholder:"P"`
	Instructions string   `help:"What the examiner was asked to do: a text file." placeholder:"FILE" type:"existingfile"`
	Opinion      string   `help:"The officer's opinion, which stands apart from the facts: a text file. Default: that none is given is said." placeholder:"FILE" type:"existingfile"`
	Limitation   []string `sep:"none" help:"A limitation beside those that every report has; may be repeated." placeholder:"TEXT"`
	Authority    string   `help:"The authority to act under. Default: the one that stands longest." placeholder:"R"`
	Output       string   `short:"o" required:"" help:"A new folder for the report." placeholder:"DIR" type:"path"`
}

// paper is one file of a report.
type paper struct {
	name  string
	write func(io.Writer, *report.Data) error
}

// papers are the files of a report, in the order in which people read them. In a
// bundle they have the same names.
var papers = []paper{
	{"report.pdf", report.PDF},
	{"report.html", report.HTML},
	{"certificate.pdf", report.Certificate},
	{"certificate.html", report.CertificateHTML},
	{"case.jsonld", report.CASE},
}

func (c *reportCommand) Run(a *app) error {
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	if err := disclosure.Vacant(c.Output); err != nil {
		return explainDisclosure(err)
	}
	if err := quorum(a, l); err != nil {
		return err
	}
	exhibits, err := c.permitted(a, l)
	if err != nil {
		return err
	}
	told, err := accountOf(a, l, c.Case, exhibits)
	if err != nil {
		return err
	}
	if err := c.words(&told.Data); err != nil {
		return err
	}
	data := told.finish()
	files, err := written(data)
	if err != nil {
		return err
	}
	if err := newFolder(c.Output, files); err != nil {
		return err
	}
	return c.tell(a, data)
}

// permitted asks for the grant to export of each exhibit of the case. That the
// report was made is in the log before there is one.
func (c *reportCommand) permitted(a *app, l *lab.Lab) (labels []string, err error) {
	if _, err := findCase(a, l, c.Case); err != nil {
		return nil, err
	}
	exhibits, err := l.Catalog.Exhibits(a.ctx, c.Case)
	if err != nil {
		return nil, err
	}
	if len(exhibits) == 0 {
		return nil, hint(fmt.Errorf("case %s has no exhibit to report on", c.Case), "tutela exhibit add LABEL --case %s", tutela.ShellWord(c.Case))
	}
	for _, e := range exhibits {
		if err := exports(a, l, e.Label, c.Authority, tutela.Export{Format: "report", To: c.To, Purpose: c.Purpose}); err != nil {
			return nil, err
		}
		labels = append(labels, e.Label)
	}
	return labels, nil
}

// exports asks for the grant to export an exhibit, which writes down what leaves
// the lab, and for whom.
func exports(a *app, l *lab.Lab, label, reference string, what tutela.Export) error {
	detail, err := tutela.EncodeDetail(what)
	if err != nil {
		return err
	}
	_, err = l.Office().Grant(a.ctx, authority.Request{
		Actor: a.actor, Action: tutela.ActionExport, Exhibit: label, Reference: reference, Event: tutela.EventExport, Detail: detail,
	})
	return err
}

// words adds what a person wrote.
func (c *reportCommand) words(d *report.Data) (err error) {
	d.To, d.Purpose, d.Limitations = c.To, c.Purpose, c.Limitation
	if d.Instructions, err = textOf(c.Instructions); err != nil {
		return err
	}
	d.Opinion, err = textOf(c.Opinion)
	return err
}

func textOf(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	text, err := os.ReadFile(name)
	return string(text), err
}

// written writes all papers.
func written(d *report.Data) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, p := range papers {
		var b bytes.Buffer
		if err := p.write(&b, d); err != nil {
			return nil, fmt.Errorf("write %s: %w", p.name, err)
		}
		files[p.name] = b.Bytes()
	}
	return files, nil
}

// newFolder makes a folder that is there whole or not at all.
func newFolder(path string, files map[string][]byte) error {
	beside, err := os.MkdirTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	for name, data := range files {
		if err := durable.WriteFile(filepath.Join(beside, name), data, 0o600); err != nil {
			return errors.Join(err, os.RemoveAll(beside))
		}
	}
	if err := os.Rename(beside, path); err != nil {
		return errors.Join(err, os.RemoveAll(beside))
	}
	return durable.SyncDir(filepath.Dir(path))
}

func (c *reportCommand) tell(a *app, d *report.Data) error {
	items, names := 0, []string{}
	for _, e := range d.Exhibits {
		items += len(e.Items)
	}
	for _, p := range papers {
		names = append(names, p.name)
	}
	line := struct {
		Type     string   `json:"message_type"`
		Case     string   `json:"case"`
		Exhibits int      `json:"exhibits"`
		Items    int      `json:"items"`
		HeadSize uint64   `json:"head_size"`
		Root     string   `json:"root"`
		Path     string   `json:"path"`
		Files    []string `json:"files"`
	}{"report", c.Case, len(d.Exhibits), items, d.Log.Size, d.Log.Root.String(), c.Output, names}
	return a.print(line, func(w io.Writer) {
		fmt.Fprintf(w, "Report on case %s: %s of %s.\n", c.Case, count(items, "item"), count(len(d.Exhibits), "exhibit"))
		fmt.Fprintf(w, "  %s: %s\n", line.Path, strings.Join(names, ", "))
		fmt.Fprintln(w, "The certificate is a draft: a qualified person and counsel must check it.")
	})
}

// The papers of a bundle say of what was opened and of nothing else.

const (
	bundledItems = 2000     // at most so many are described
	bundledFile  = 16 << 20 // bytes, the format's limit
)

// bundledPapers writes the papers of a bundle, by their paths in it. What would be
// too large describes fewer items, and says so.
func bundledPapers(a *app, l *lab.Lab, c *disclosure.Contents) (map[string][]byte, error) {
	for most := bundledItems; ; most /= 2 {
		told, err := accountOfBundle(a, l, c, most)
		if err != nil {
			return nil, err
		}
		files, err := written(told.finish())
		if err != nil {
			return nil, err
		}
		if most > 0 && slices.ContainsFunc(papers, func(p paper) bool { return len(files[p.name]) > bundledFile }) {
			continue
		}
		in := map[string][]byte{}
		for name, data := range files {
			in["report/"+name] = data
		}
		return in, nil
	}
}

func accountOfBundle(a *app, l *lab.Lab, of *disclosure.Contents, most int) (*account, error) {
	c, err := newAccount(a, l, of.Case, of.Issued)
	if err != nil {
		return nil, err
	}
	c.To, c.Purpose, c.Officer, c.history = of.To, of.Purpose, of.Officer, of.Events
	c.under(of.Head, of.Policy)
	c.Authorities = slices.DeleteFunc(c.Authorities, func(auth tutela.Authority) bool { return !c.reliesOn(auth.Reference) })
	for _, opened := range of.Opened {
		e, err := c.exhibit(opened.Exhibit())
		if err != nil {
			return nil, err
		}
		for _, item := range opened.Items {
			if most == 0 {
				e.Left++
				continue
			}
			most--
			c.item(e, report.Item{Scan: item.Number, Leaf: item.Leaf, Record: *item.Record, Matches: item.Matches})
		}
	}
	return c, nil
}

// reliesOn reports whether something in the history was done under an authority.
func (c *account) reliesOn(reference string) bool {
	for _, entry := range c.history {
		if entry.Event.Authority == reference {
			return true
		}
	}
	return false
}
