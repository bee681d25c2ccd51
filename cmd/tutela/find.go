package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/confine"
	"tutela/internal/lab"
	"tutela/internal/ledger"
	"tutela/internal/term"
)

type findCommand struct {
	Case    string `help:"In this case."`
	Exhibit string `help:"On this exhibit." placeholder:"LABEL"`
	Match   string `help:"alert, of-interest, known-good, any or none." placeholder:"STATUS"`
	State   string `help:"allocated, deleted, orphan, carved, slack or embedded."`
	Name    string `help:"Last part of the path, with * ? and []; upper or lower case." placeholder:"GLOB"`
	Mime    string `help:"Type by content: image/png, or image/ for all pictures." placeholder:"TYPE"`
	SHA256  string `name:"sha256" help:"Content with this digest." placeholder:"HEX"`
	Near    string `help:"Pictures, and videos with a frame, that look like this one, the nearest first: a PDQ hash or a picture file." placeholder:"PDQ|FILE"`
	Radius  int    `help:"With --near: at most so many of 256 bits differ, 0 to 31." default:"31"`
	Finding string `help:"Items with this finding: encrypted, damaged, unsupported …" placeholder:"CODE"`
	Scan    int    `help:"With --exhibit: this scan. Default: the newest." placeholder:"N"`
	Stacks  bool   `help:"Put pictures that look alike into stacks; the largest first."`
	Limit   int    `help:"At most so many. Default: all." placeholder:"N"`
}

func (c *findCommand) Run(a *app) error {
	query, err := c.query()
	if err != nil {
		return err
	}
	l, err := a.read()
	if err != nil {
		return err
	}
	defer l.Close()
	if err := c.known(a, l); err != nil {
		return err
	}
	if c.Stacks {
		query.Limit = 0 // it limits the stacks
		return printStacks(a, l.Catalog.Find(a.ctx, query), c.Limit)
	}
	hits := l.Catalog.Find(a.ctx, query)
	if query.Near != nil {
		hits = nearestFirst(hits, c.Limit)
	}
	found := 0
	for hit, err := range hits {
		if errors.Is(err, catalog.ErrQuery) {
			return misuse("%v", err)
		}
		if err != nil {
			return err
		}
		found++
		if err := a.print(itemLine(&hit, query.Near != nil), func(w io.Writer) { printHit(w, &hit, query.Near != nil) }); err != nil {
			return err
		}
	}
	if found == 0 {
		a.say("Nothing found.")
	} else {
		a.say("%s found.", term.Count(found))
	}
	return nil
}

// nearestFirst orders what looks alike by how much it does, and keeps at most
// limit of it; 0 keeps all.
func nearestFirst(hits iter.Seq2[catalog.Hit, error], limit int) iter.Seq2[catalog.Hit, error] {
	return func(yield func(catalog.Hit, error) bool) {
		all, err := collect(hits)
		if err != nil {
			yield(catalog.Hit{}, err)
			return
		}
		slices.SortStableFunc(all, func(a, b catalog.Hit) int { return cmp.Compare(a.Distance, b.Distance) })
		if limit > 0 {
			all = all[:min(limit, len(all))]
		}
		for _, hit := range all {
			if !yield(hit, nil) {
				return
			}
		}
	}
}

// known tells a name that does not exist from one under which nothing is found.
func (c *findCommand) known(a *app, l *lab.Lab) (err error) {
	if c.Case != "" {
		_, err = findCase(a, l, c.Case)
	}
	if c.Exhibit != "" && err == nil {
		_, err = findExhibit(a, l, c.Exhibit)
	}
	return err
}

func (c *findCommand) query() (catalog.Query, error) {
	if c.Limit < 0 {
		return catalog.Query{}, misuse("--limit %d: a number from 1, or 0 for all", c.Limit)
	}
	q := catalog.Query{
		Case: c.Case, Exhibit: c.Exhibit, Scan: c.Scan, Match: catalog.MatchFilter(c.Match),
		Name: c.Name, MIME: c.Mime, Finding: c.Finding, Limit: c.Limit,
	}
	if c.State != "" {
		state, err := tutela.ParseState(c.State)
		if err != nil {
			return q, misuse("--state: %v", err)
		}
		q.State = state
	}
	if c.SHA256 != "" {
		sum, err := tutela.ParseSHA256(c.SHA256)
		if err != nil {
			return q, misuse("--sha256: %v", err)
		}
		q.SHA256 = &sum
	}
	if c.Near != "" {
		hash, err := nearHash(c.Near)
		if err != nil {
			return q, err
		}
		q.Near, q.Limit = &catalog.Near{PDQ: hash, Radius: c.Radius}, 0 // limited when the nearest are known
	}
	return q, nil
}

// nearHash takes 64 hexadecimal digits or the name of a picture file.
func nearHash(value string) (tutela.PDQ, error) {
	if hash, err := tutela.ParsePDQ(value); err == nil {
		return hash, nil
	}
	data, err := os.ReadFile(value)
	if err != nil {
		return tutela.PDQ{}, misuse("--near %s: neither 64 hexadecimal digits nor a file: %v", value, err)
	}
	host, err := confine.New(confine.Options{})
	if err != nil {
		return tutela.PDQ{}, err
	}
	defer host.Close()
	p, err := host.Perceptual(context.Background(), data)
	if err != nil {
		return tutela.PDQ{}, fmt.Errorf("--near %s: %w", value, err)
	}
	if p.Quality < catalog.MinQuality {
		return tutela.PDQ{}, fmt.Errorf("--near %s: its quality is %d; below %d too little can be seen in a picture to tell it from others", value, p.Quality, catalog.MinQuality)
	}
	return p.PDQ, nil
}

// item is one line of `tutela find --json`. Other programs read it: the names
// must never change.
type item struct {
	Type     string      `json:"message_type"`
	Case     string      `json:"case"`
	Exhibit  string      `json:"exhibit"`
	Scan     int         `json:"scan"`
	Volume   string      `json:"volume"`
	Path     string      `json:"path"`
	State    string      `json:"state"`
	Size     int64       `json:"size"`
	MD5      *string     `json:"md5"`
	SHA1     *string     `json:"sha1"`
	SHA256   *string     `json:"sha256"`
	MIME     string      `json:"mime"`
	Modified *string     `json:"modified"`
	PDQ      *string     `json:"pdq,omitempty"`
	Quality  *int        `json:"pdq_quality,omitempty"`
	Scale    int         `json:"pdq_scale,omitempty"` // 0, and absent, for an exact hash
	Video    *videoLine  `json:"video,omitempty"`
	Distance *int        `json:"near_distance,omitempty"`
	Matches  []matchLine `json:"matches"`
	Findings []string    `json:"findings"`
	Leaf     uint64      `json:"leaf"`
	Erased   bool        `json:"erased,omitempty"`
}

type videoLine struct {
	Container string  `json:"container"`
	Codec     string  `json:"codec"`
	Width     int     `json:"width"`
	Height    int     `json:"height"`
	Seconds   float64 `json:"seconds"` // 0 where the container does not tell
	Decoder   string  `json:"decoder"` // "" if nothing was decoded
	Frames    int     `json:"frames"`  // that were hashed and can be matched
}

type matchLine struct {
	Set      string `json:"set"`
	Version  int    `json:"version"`
	Status   string `json:"status"`
	Category string `json:"category"`
	Kind     string `json:"kind"`
	Distance int    `json:"distance"`
	Variant  string `json:"variant"`
	Decoder  string `json:"decoder,omitempty"`
	// Unconfirmed: the hash that was compared is not the exact one.
	Unconfirmed bool    `json:"unconfirmed,omitempty"`
	QueryShare  int     `json:"query_share,omitempty"` // percent; of videos
	KnownShare  int     `json:"known_share,omitempty"`
	Row         *uint64 `json:"row,omitempty"` // where a person asks for the provenance
}

func lineOfMatch(m tutela.Match) matchLine {
	return matchLine{
		Set: m.Set, Version: m.Version, Status: m.Status.String(), Category: m.Category.String(), Kind: m.Kind.String(), Distance: m.Distance,
		Variant: m.Variant, Decoder: m.Decoder, Unconfirmed: m.Scale != 0, QueryShare: m.QueryShare, KnownShare: m.KnownShare,
	}
}

// provenanceOf is a match with the row of the set that made it.
func provenanceOf(m tutela.Match) matchLine {
	line := lineOfMatch(m)
	line.Row = &m.Row
	return line
}

func itemLine(h *catalog.Hit, near bool) any {
	r := &h.Record
	line := item{
		Type: "item", Case: h.Case, Exhibit: h.Exhibit, Scan: h.Number, Volume: r.Volume, Path: r.DisplayPath(), State: r.State.String(),
		Size: r.Size, MIME: r.Type, Modified: stamp(r.Times.Modified), Matches: []matchLine{}, Findings: []string{}, Leaf: h.Leaf, Erased: ledger.Erased(r),
	}
	if r.Hashed {
		md5, sha1, sha256 := r.Digests.MD5.String(), r.Digests.SHA1.String(), r.Digests.SHA256.String()
		line.MD5, line.SHA1, line.SHA256 = &md5, &sha1, &sha256
	}
	if p := r.Picture; p != nil {
		hash := p.PDQ.String()
		line.PDQ, line.Quality = &hash, &p.Quality
		if p.Scale > 1 {
			line.Scale = p.Scale
		}
	}
	if v := r.Video; v != nil {
		line.Video = &videoLine{v.Container, v.Codec, v.Width, v.Height, v.Duration.Seconds(), v.Decoder, len(v.Frames)}
	}
	if near {
		line.Distance = &h.Distance
	}
	for _, m := range h.Matches {
		line.Matches = append(line.Matches, lineOfMatch(m))
	}
	for _, f := range r.Findings {
		line.Findings = append(line.Findings, f.String())
	}
	return line
}

// printHit writes one location for people: where, what, and why it was found.
func printHit(w io.Writer, h *catalog.Hit, near bool) {
	r := &h.Record
	if ledger.Erased(r) {
		fmt.Fprintf(w, "%s  (erased)\n    leaf %d\n", h.Exhibit, h.Leaf)
		return
	}
	fmt.Fprintf(w, "%s%s  %s\n", h.Exhibit, volumeMark(r.Volume), r.DisplayPath())
	about := []string{r.State.String()}
	if r.Size >= 0 {
		about = append(about, term.Bytes(r.Size))
	}
	if r.Type != "" {
		about = append(about, r.Type)
	}
	if r.Hashed {
		about = append(about, "sha256 "+short(r.Digests.SHA256.String()))
	}
	if near {
		about = append(about, fmt.Sprintf("%d bits away", h.Distance))
	}
	fmt.Fprintf(w, "    %s  leaf %d\n", strings.Join(about, "  "), h.Leaf)
	if v := r.Video; v != nil {
		fmt.Fprintf(w, "    video: %s\n", describeVideo(v))
	}
	for _, m := range h.Matches {
		fmt.Fprintf(w, "    %s: %s\n", strings.ToUpper(m.Status.String()), explainMatch(m))
	}
	for _, f := range r.Findings {
		fmt.Fprintf(w, "    finding: %s\n", f)
	}
}

func describeVideo(v *tutela.Video) string {
	said := []string{v.Container}
	if v.Codec != "" {
		said = append(said, v.Codec, fmt.Sprintf("%d×%d", v.Width, v.Height))
	}
	if v.Duration > 0 {
		said = append(said, term.Span(v.Duration))
	}
	return strings.Join(said, "  ") + "  " + count(uint64(len(v.Frames)), "frame") + " hashed"
}

func volumeMark(volume string) string {
	if volume == "" {
		return ""
	}
	return " volume " + volume
}

// short is a digest cut in the middle, for people; JSON has it whole.
func short(digest string) string { return digest[:12] + "…" + digest[len(digest)-4:] }

// explainMatch says in words why something is a match.
func explainMatch(m tutela.Match) string {
	why := fmt.Sprintf("%s equal", m.Kind)
	switch m.Kind {
	case tutela.MatchPDQ:
		why = fmt.Sprintf("looks alike, %d of 256 bits differ", m.Distance)
	case tutela.MatchVPDQ:
		why = fmt.Sprintf("%d %% of its frames look like the known video's, of which they cover %d %%", m.QueryShare, m.KnownShare)
	case tutela.MatchFeature:
		why = fmt.Sprintf("%s (%d %% of what both show)", m.Variant, m.QueryShare)
	}
	if m.Variant != "" && m.Kind != tutela.MatchFeature {
		why += " (" + m.Variant + ")"
	}
	if m.Scale != 0 {
		why += ", not confirmed: the exact hash may be a few bits nearer or farther"
	}
	category := ""
	if m.Category.Code != "" {
		category = ", category " + m.Category.String()
	}
	decoded := ""
	if m.Decoder != "" {
		decoded = ", decoded by " + m.Decoder
	}
	if m.Kind == tutela.MatchFeature {
		decoded += "; look at it: common text can do that"
	}
	return fmt.Sprintf("%s, set %s version %d%s%s", why, m.Set, m.Version, category, decoded)
}
