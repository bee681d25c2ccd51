package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/hashset"
	"tutela/internal/lab"
	"tutela/internal/term"
)

type setCommand struct {
	Import setImport `cmd:"" help:"Import a hash list as the next version of a set."`
	List   setList   `cmd:"" help:"List sets."`
	Show   setShow   `cmd:"" help:"Show one set and its versions."`
	Lookup setLookup `cmd:"" help:"Ask what is known about digests."`
	Export setExport `cmd:"" help:"Write a set as a list."`
	Remove setRemove `cmd:"" help:"Take a set out of use; old matches stay provable."`
}

type setImport struct {
	File     []string `arg:"" type:"existingfile" help:"Files; all become one version."`
	Name     string   `required:"" help:"The set's name."`
	Status   string   `help:"alert, of-interest or known-good. Required, but to add or withdraw."`
	Add      bool     `xor:"intent" help:"Add what the files list to the version in use."`
	Withdraw bool     `xor:"intent" help:"Take rows that hold what the files list out of the version in use."`
	Format   string   `help:"Default: told from the content. pictures: the files are pictures, which are then also found cut or captioned."`
	Scheme   string   `help:"The category scheme of its codes. Default: what the file says."`
	Category string   `help:"With --format pictures: the category of all of them." placeholder:"CODE"`
	Map      []string `help:"A column of a table and what it holds, as COLUMN=FIELD; may be repeated." sep:"none"`
}

func (c *setImport) Run(a *app) error {
	request, err := c.request()
	if err != nil {
		return err
	}
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	shown := newImporting(c.Name)
	request.Work.Progress = shown.take
	learnt := &learning{a: a, left: map[string]error{}, kept: len(c.File)}
	if request.Format == hashset.Pictures {
		if err := learnt.open(c.category()); err != nil {
			return err
		}
		defer learnt.close()
		request.Files, request.Pictures = nil, learnt.each(c.File)
	}
	stop := showing(a, shown.line)
	version, report, err := l.Sets.Import(a.ctx, request)
	stop()
	learnt.report()
	switch {
	case errors.Is(err, hashset.ErrName):
		return misuse("%v", err)
	case errors.Is(err, hashset.ErrNoSet):
		return noSet(c.Name)
	}
	if err != nil {
		return err
	}
	if err := c.record(a, l, version, report, learnt.kept); err != nil {
		return err
	}
	if hashset.Format(version.Format).KnownGood() && version.Status != tutela.KnownGood {
		fmt.Fprintf(a.errs, "tutela: note: %s lists files that are known and harmless; as %s, each of them will be reported\n", version.Format, version.Status)
	}
	if err := c.print(a, version, report); err != nil || len(learnt.left) == 0 {
		return err
	}
	return errUnreadable
}

func (c *setImport) request() (r hashset.ImportRequest, err error) {
	r = hashset.ImportRequest{Name: c.Name, Files: c.File, Imported: now(), Options: hashset.Options{Scheme: c.Scheme}}
	switch {
	case c.Add:
		r.Intent = hashset.Add
	case c.Withdraw:
		r.Intent = hashset.Withdraw
	}
	if c.Status != "" || r.Intent == hashset.Replace {
		if r.Status, err = tutela.ParseStatus(c.Status); err != nil {
			return r, misuse("--status: %v", err)
		}
	}
	if c.Format != "" {
		if r.Format, err = hashset.ParseFormat(c.Format); err != nil {
			return r, misuse("--format: %v", err)
		}
	}
	if c.Category != "" && r.Format != hashset.Pictures {
		return r, misuse("--category is for --format pictures: a list says the categories of its rows")
	}
	if r.Format == hashset.Pictures {
		return r, c.checkPictures(r)
	}
	for _, m := range c.Map {
		mapping, err := hashset.ParseMapping(m)
		if err != nil {
			return r, misuse("--map: %v", err)
		}
		r.Options.Map = append(r.Options.Map, mapping)
	}
	return r, nil
}

// checkPictures refuses what has no meaning for pictures.
func (c *setImport) checkPictures(r hashset.ImportRequest) error {
	switch {
	case r.Status == tutela.KnownGood:
		return misuse("--status known-good: pictures are imported to be looked for; import a list of digests of what is known and harmless")
	case c.Withdraw:
		return misuse("--withdraw: pictures are withdrawn by a list of their digests, as tutela hash prints them")
	case len(c.Map) > 0:
		return misuse("--map: columns are mapped in tables only")
	}
	return nil
}

func (c *setImport) category() tutela.Category {
	if c.Category == "" {
		return tutela.Category{}
	}
	return tutela.Category{Scheme: c.Scheme, Code: c.Category}
}

func (c *setImport) record(a *app, l *lab.Lab, version tutela.SetVersion, report hashset.Report, files int) error {
	set, err := l.Sets.Open(version.Name, version.Version)
	if err != nil {
		return err
	}
	defer set.Close()
	detail := tutela.SetImport{Set: version, Refused: uint64(report.NoDigest + report.Refused)}
	sources := set.Sources()
	for i, s := range sources[max(0, len(sources)-files):] { // of this version
		if i == 0 {
			detail.Digest = s.SHA256
		}
		detail.Source = strings.TrimPrefix(detail.Source+", "+s.Name, ", ")
	}
	if c.Format == string(hashset.Pictures) { // there may be thousands
		detail.Source = count(files, "picture")
	}
	return record(a, l, tutela.EventSetImport, tutela.Event{}, detail)
}

func (c *setImport) print(a *app, version tutela.SetVersion, report hashset.Report) error {
	line := struct {
		setLine
		Read     int64 `json:"read"`
		Merged   int64 `json:"merged"`
		NoDigest int64 `json:"no_digest"`
		Refused  int64 `json:"refused"`
		Trivial  int64 `json:"trivial"`

		Added      int64 `json:"added"`
		Withdrawn  int64 `json:"withdrawn"`
		Unchanged  int64 `json:"unchanged"`
		NotFound   int64 `json:"not_found"`
		PoorFrames int64 `json:"poor_frames"`
		Placeless  int64 `json:"placeless"`
	}{lineOfSet(version), report.Read, report.Merged, report.NoDigest, report.Refused, report.Trivial,
		report.Added, report.Withdrawn, report.Unchanged, report.NotFound, report.PoorFrames, report.Placeless}
	return a.print(line, func(w io.Writer) {
		fmt.Fprintf(w, "Set %s version %d (%s): %s from %s.\n", version.Name, version.Version, version.Status, count(version.Count, "row"), version.Format)
		if version.Version > 1 {
			fmt.Fprintf(w, "  %s added, %s withdrawn, %s unchanged\n", term.Count(report.Added), term.Count(report.Withdrawn), term.Count(report.Unchanged))
		}
		said(w, report.NotFound, "rows to withdraw are not in the set")
		said(w, report.PoorFrames, "frames of videos left out: their quality is too low to be matched")
		said(w, report.Placeless, "pictures show too little to be found when they are cut or captioned")
		said(w, report.Merged, "repeated rows merged")
		said(w, report.NoDigest, "rows without a digest that can be looked up were left out")
		said(w, report.Refused, "rows left out: they name nothing but empty files or blocks of zeros")
		for _, u := range report.Unlisted {
			said(w, u.Count, fmt.Sprintf("rows have category %s, which the scheme does not list; kept", u.Category))
		}
		fmt.Fprintln(w, "Next: tutela rematch, to hold what was scanned already against it")
	})
}

func said(w io.Writer, n int64, what string) {
	if n > 0 {
		fmt.Fprintf(w, "  %s %s\n", term.Count(n), what)
	}
}

// waiting shows on a terminal that something is under way, until stop.
func waiting(a *app, what string) (stop func()) {
	return showing(a, func(since time.Duration) string { return what + "  " + term.Span(since) })
}

// showing shows a line on a terminal, made anew every half second, until stop.
func showing(a *app, line func(since time.Duration) string) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	began := time.Now()
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				a.status.Clear()
				return
			case <-time.After(time.Second / 2):
				a.status.Show(line(time.Since(began)))
			}
		}
	}()
	return func() { close(done); <-ended }
}

// importing is how far an import is.
type importing struct {
	name  string
	mu    sync.Mutex // guards all below
	last  hashset.Progress
	began time.Time // of the stage
}

func newImporting(name string) *importing { return &importing{name: name, began: time.Now()} }

// take is told by the import.
func (i *importing) take(p hashset.Progress) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if p.Stage != i.last.Stage {
		i.began = time.Now()
	}
	i.last = p
}

func (i *importing) line(since time.Duration) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	p := i.last
	line := fmt.Sprintf("importing %s  %s", i.name, term.Span(since))
	if p.Stage == "" {
		return line + "  hashing the files"
	}
	line += fmt.Sprintf("  %s  %s", p.Stage, count(p.Rows, "row"))
	took := time.Since(i.began)
	if p.Stage == hashset.Indexing || p.Done <= 0 || took < time.Second {
		return line
	}
	line += fmt.Sprintf("  %s rows/s", term.Count(int64(float64(p.Rows)/took.Seconds())))
	if p.Total > 0 {
		left := time.Duration(float64(took) * (float64(p.Total)/float64(p.Done) - 1))
		line += fmt.Sprintf("  %d %%  %s left", 100*p.Done/p.Total, term.Span(max(left, 0)))
	}
	return line
}

type setList struct{}

func (c *setList) Run(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	listed, err := l.Sets.List()
	if err != nil {
		return err
	}
	return listSets(a, listed)
}

func listSets(a *app, listed []hashset.Listed) error {
	if a.json {
		return printEach(a, listed, func(s hashset.Listed) any { return listedLine(s) })
	}
	if len(listed) == 0 {
		a.say("No hash set yet. Import one: tutela set import FILE --name NAME --status alert")
		return nil
	}
	var rows [][]string
	for _, s := range listed {
		use := "in use"
		switch {
		case s.Err != nil:
			use = "cannot be used: " + s.Err.Error()
		case s.Removed != nil:
			use = "removed " + moment(s.Removed.At) + ": " + s.Removed.Why
		}
		rows = append(rows, []string{s.Name, strconv.Itoa(s.Version), s.Status.String(), term.Count(s.Count), s.Format, moment(s.Imported), use})
	}
	table(a.out, "SET|VERSION|STATUS|ROWS|FORMAT|IMPORTED|USE", rows)
	return nil
}

type setShow struct {
	Name string `arg:""`
}

func (c *setShow) Run(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	versions, err := versionsOf(l, c.Name)
	if err != nil {
		return err
	}
	return listSets(a, versions)
}

// versionsOf lists every version of a set, of which there must be one.
func versionsOf(l *lab.Lab, name string) (versions []hashset.Listed, err error) {
	all, err := l.Sets.List()
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if s.Name == name {
			versions = append(versions, s)
		}
	}
	if len(versions) == 0 {
		return nil, noSet(name)
	}
	return versions, nil
}

func noSet(name string) error { return hint(fmt.Errorf("there is no set %s", name), "tutela set list") }

type setExport struct {
	Name    string `arg:""`
	Version int    `name:"set-version" help:"Default: the one in use."`
	Format  string `default:"csv" help:"csv, hashdeep, md5, sha1, sha256 or pdq."`
	Output  string `short:"o" help:"The file to write. Default: standard output." placeholder:"FILE"`
}

func (c *setExport) Run(a *app) error {
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	set, err := l.Sets.Open(c.Name, c.Version)
	if errors.Is(err, hashset.ErrNoSet) {
		return noSet(c.Name)
	}
	if err != nil {
		return err
	}
	defer set.Close()
	written, left, err := c.export(a, set)
	if err == nil && left > 0 {
		fmt.Fprintf(a.errs, "tutela: %s rows written, %s left out: they lack the digest that %s lists\n", term.Count(written), term.Count(left), c.Format)
	}
	return err
}

func (c *setExport) export(a *app, set *hashset.Set) (written, left uint64, err error) {
	if c.Output == "" {
		return set.Export(a.out, hashset.Export(c.Format))
	}
	f, err := os.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, 0, err
	}
	written, left, err = set.Export(f, hashset.Export(c.Format))
	return written, left, errors.Join(err, f.Close())
}

type setRemove struct {
	Name   string `arg:""`
	Reason string `required:"" help:"Why."`
}

func (c *setRemove) Run(a *app) error {
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	versions, err := versionsOf(l, c.Name)
	if err != nil {
		return err
	}
	err = record(a, l, tutela.EventSetRemove, tutela.Event{}, tutela.SetRemove{Name: c.Name, Reason: c.Reason})
	if err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return err
	}
	for _, v := range versions {
		if err := l.Sets.Remove(c.Name, v.Version, hashset.Removal{At: now(), Why: c.Reason}); err != nil {
			return err
		}
	}
	line := map[string]string{"message_type": "removed", "set": c.Name, "reason": c.Reason}
	return a.print(line, func(w io.Writer) {
		fmt.Fprintf(w, "Set %s is out of use. Matches made with it stay provable; tutela rematch shows items without it.\n", c.Name)
	})
}

type setLine struct {
	Type     string  `json:"message_type"`
	Name     string  `json:"name"`
	Version  int     `json:"version"`
	Status   string  `json:"status"`
	Scheme   string  `json:"scheme"`
	Format   string  `json:"format"`
	Imported *string `json:"imported"`
	Count    int64   `json:"count"`
	SHA256   string  `json:"sha256"`
}

func lineOfSet(s tutela.SetVersion) setLine {
	return setLine{"set", s.Name, s.Version, s.Status.String(), s.Scheme, s.Format, stamp(s.Imported), s.Count, s.Digest.String()}
}

func listedLine(s hashset.Listed) any {
	line := struct {
		setLine
		Removed *string `json:"removed"`
		Reason  string  `json:"reason"`
		Error   string  `json:"error,omitempty"`
	}{setLine: lineOfSet(s.SetVersion)}
	if s.Removed != nil {
		line.Removed, line.Reason = stamp(s.Removed.At), s.Removed.Why
	}
	if s.Err != nil {
		line.Error = s.Err.Error()
	}
	return line
}
