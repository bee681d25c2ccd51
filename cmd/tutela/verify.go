package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"tutela"
	"tutela/internal/authority"
	"tutela/internal/digest"
	"tutela/internal/evidence/image"
	"tutela/internal/lab"
	"tutela/internal/term"
)

// An image that was acquired well carries digests of the medium. A scan does not
// compare them, because it would have to read what it leaves aside; this command
// reads the medium once, from its beginning to its end, and writes the result
// down.

type exhibitVerify struct {
	Label     string   `arg:"" help:"The exhibit's label."`
	Path      []string `arg:"" help:"Its images: of each the first file, here or in an object store (s3://bucket/disk.E01)."`
	Authority string   `help:"The authority to act under." placeholder:"R"`
}

// AfterApply is called by kong once the arguments are known.
func (c *exhibitVerify) AfterApply() error { return absolute(c.Path) }

func (c *exhibitVerify) Run(a *app) error {
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	e, err := findExhibit(a, l, c.Label)
	if err != nil {
		return err
	}
	grant, err := c.grant(a, l)
	if err != nil {
		return err
	}
	where := newPlaces(a.ctx)
	defer where.Close()
	var worst error
	for _, path := range c.Path {
		told, err := verifyImage(a, grant, where, path)
		if err != nil {
			return err
		}
		about := tutela.Event{Case: e.Case, Exhibit: e.Label, Authority: grant.Reference()}
		if err := record(a, l, tutela.EventVerifyImage, about, told.VerifyImage); err != nil {
			return err
		}
		if err := told.print(a, e.Label); err != nil {
			return err
		}
		worst = worse(worst, told.Result)
	}
	return worst
}

// imageAccess is the detail of the access event that allows to read images.
type imageAccess struct {
	Action string   `json:"action"`
	Images []string `json:"images"`
}

// grant asks for what a scan asks for: the whole medium is read.
func (c *exhibitVerify) grant(a *app, l *lab.Lab) (granted authority.Grant, err error) {
	asked := imageAccess{Action: string(tutela.EventVerifyImage)}
	for _, path := range c.Path {
		asked.Images = append(asked.Images, tutela.DisplayPath([]byte(path)))
	}
	detail, err := tutela.EncodeDetail(asked)
	if err != nil {
		return granted, err
	}
	return l.Office().Grant(a.ctx, authority.Request{
		Actor: a.actor, Action: tutela.ActionScan, Exhibit: c.Label, Reference: c.Authority, Event: tutela.EventAccess, Detail: detail,
	})
}

// worse is the exit code that two images have together.
func worse(before error, r tutela.ImageResult) error {
	switch {
	case r == tutela.ImageDiffers:
		return errIntegrity
	case r == tutela.ImageUnreadable && before == nil:
		return errUnreadable
	}
	return before
}

// verified is what is told of an image.
type verified struct {
	tutela.VerifyImage
	notes []tutela.Finding
	took  time.Duration
}

// verifyImage reads an image whole. That not all of it can be read is a result;
// an error is what kept it from being tried.
func verifyImage(a *app, grant authority.Grant, where *places, path string) (told verified, err error) {
	if err := grant.Permits(tutela.ActionScan); err != nil {
		return told, err
	}
	img, err := where.image(path)
	if err != nil {
		return told, err
	}
	defer img.Close()
	began, chain := time.Now(), img.Chain()
	told.VerifyImage = tutela.VerifyImage{
		Image: tutela.DisplayPath([]byte(path)), Format: chain[len(chain)-1].Layer, Size: img.Size(), Stored: []tutela.StoredDigest{}, Tool: version(),
	}
	for _, s := range img.Stored() {
		told.Stored = append(told.Stored, tutela.StoredDigest{Algorithm: s.Algorithm, Value: hex.EncodeToString(s.Value)})
	}
	if err := told.read(a, img); err != nil {
		return told, err
	}
	told.notes, told.took = img.Notes(), time.Since(began)
	return told, nil
}

// read makes the digests and compares them.
func (v *verified) read(a *app, img *image.Image) error {
	reader := &watched{ctx: a.ctx, app: a, from: io.NewSectionReader(img, 0, img.Size()), total: img.Size(), began: time.Now()}
	sums, size, err := digest.Sum(bufio.NewReaderSize(reader, 4<<20))
	a.status.Clear()
	if a.ctx.Err() != nil {
		return a.ctx.Err()
	}
	if err == nil && size != img.Size() {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		v.Result, v.Cause = tutela.ImageUnreadable, err.Error()
		return nil
	}
	v.MD5, v.SHA1, v.SHA256 = sums.MD5.String(), sums.SHA1.String(), sums.SHA256.String()
	v.Result = v.compare()
	return nil
}

func (v *verified) compare() tutela.ImageResult {
	result := tutela.ImageUndigested
	for _, s := range v.Stored {
		switch computed := v.computed(s.Algorithm); computed {
		case "": // a digest that nobody here makes
		case s.Value:
			result = tutela.ImageMatches
		default:
			return tutela.ImageDiffers
		}
	}
	return result
}

func (v *verified) computed(algorithm string) string {
	switch algorithm {
	case "md5":
		return v.MD5
	case "sha1":
		return v.SHA1
	case "sha256":
		return v.SHA256
	}
	return ""
}

func (v *verified) print(a *app, label string) error {
	line := struct {
		Type    string `json:"message_type"`
		Exhibit string `json:"exhibit"`
		tutela.VerifyImage
		Findings []string `json:"findings"`
		Seconds  float64  `json:"seconds"`
	}{"image", label, v.VerifyImage, []string{}, v.took.Seconds()}
	for _, n := range v.notes {
		line.Findings = append(line.Findings, tutela.DisplayPath([]byte(n.Code+": "+n.Detail)))
	}
	return a.print(line, func(w io.Writer) {
		fmt.Fprintln(w, v.Image)
		facts(w, "  format", v.Format, "  size", fmt.Sprintf("%d bytes", v.Size), "  md5", v.MD5, "  sha1", v.SHA1, "  sha256", v.SHA256)
		for _, s := range v.Stored {
			facts(w, "  stored "+s.Algorithm, s.Value)
		}
		for _, f := range line.Findings {
			facts(w, "  finding", f)
		}
		facts(w, "  result", v.verdict())
	})
}

func (v *verified) verdict() string {
	switch v.Result {
	case tutela.ImageMatches:
		return "OK: the medium is what the image says was acquired"
	case tutela.ImageDiffers:
		return "DIFFERENT: the medium is not what the image says was acquired"
	case tutela.ImageUndigested:
		return "nothing to compare: the image carries no digest; compare those above with your papers"
	}
	return "UNREADABLE: " + tutela.DisplayPath([]byte(v.Cause))
}

// watched shows how far a reading has come, and ends it with ctx.
type watched struct {
	ctx          context.Context
	app          *app
	from         io.Reader
	read, total  int64 // bytes
	began, shown time.Time
}

func (w *watched) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.from.Read(p)
	w.read += int64(n)
	if time.Since(w.shown) > time.Second {
		w.shown = time.Now()
		took := w.shown.Sub(w.began)
		rate := float64(w.read) / max(took.Seconds(), 0.001)
		left := time.Duration(float64(w.total-w.read) / max(rate, 1) * float64(time.Second))
		w.app.status.Show(fmt.Sprintf("%s  %s of %s  %s/s  %s left", term.Span(took), term.Bytes(w.read), term.Bytes(w.total), term.Bytes(int64(rate)), term.Span(left)))
	}
	return n, err
}
