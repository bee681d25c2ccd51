package main

import (
	"fmt"
	"io"

	"tutela"
	"tutela/internal/authority"
	"tutela/internal/lab"
)

// Who makes the image is seldom who scans it. The event says which digest the
// medium had when it was imaged, so that every later reading can be held against
// it: by this program where the image is at hand, else as the papers say.

type exhibitImage struct {
	Label     string `arg:"" help:"The exhibit's label."`
	File      string `help:"The image: it is read whole, and the digest of the medium is made. Of several parts the first." placeholder:"FILE"`
	SHA256    string `name:"sha256" help:"The medium's digest as the papers say. With --file it must be what is read." placeholder:"HEX"`
	Size      *int64 `help:"Bytes of the medium, where no file is read." placeholder:"N"`
	By        string `help:"Who made the image. Default: who acts."`
	At        string `help:"When it was made." placeholder:"DATE"`
	Tool      string `help:"What it was made with."`
	Authority string `help:"The authority to read it under." placeholder:"R"`
}

func (c *exhibitImage) Run(a *app) error {
	made, err := c.told(a)
	if err != nil {
		return err
	}
	l, err := a.write()
	if err != nil {
		return err
	}
	defer l.Close()
	e, err := findExhibit(a, l, c.Label)
	if err != nil {
		return err
	}
	about := tutela.Event{Case: e.Case, Exhibit: e.Label}
	if c.File != "" {
		if about.Authority, err = c.read(a, l, &made); err != nil {
			return err
		}
	}
	if err := record(a, l, tutela.EventImage, about, made); err != nil {
		return err
	}
	return printAcquisition(a, e.Label, made)
}

// told is what the command line says of the image.
func (c *exhibitImage) told(a *app) (made tutela.Acquisition, err error) {
	made = tutela.Acquisition{Size: -1, By: c.By, Tool: c.Tool}
	switch {
	case c.File == "" && c.SHA256 == "":
		return made, misuse("name the image by --file, or its digest by --sha256")
	case c.Size != nil && (c.File != "" || *c.Size < 0):
		return made, misuse("--size is of the medium, 0 or more, and where no file is read")
	case c.Size != nil:
		made.Size = *c.Size
	}
	if made.By == "" {
		made.By = a.actor
	}
	if c.SHA256 != "" {
		if made.SHA256, err = tutela.ParseSHA256(c.SHA256); err != nil {
			return made, misuse("--sha256: %v", err)
		}
	}
	if c.At != "" {
		made.At, err = parseTime(c.At)
	}
	return made, err
}

// read reads the image, and returns the authority that allowed it.
func (c *exhibitImage) read(a *app, l *lab.Lab, made *tutela.Acquisition) (string, error) {
	paths := []string{c.File}
	if err := absolute(paths); err != nil {
		return "", err
	}
	grant, err := (&exhibitVerify{Label: c.Label, Path: paths, Authority: c.Authority}).grant(a, l)
	if err != nil {
		return "", err
	}
	return grant.Reference(), c.digest(a, grant, paths[0], made)
}

func (c *exhibitImage) digest(a *app, grant authority.Grant, path string, made *tutela.Acquisition) error {
	where := newPlaces(a.ctx)
	defer where.Close()
	image, err := verifyImage(a, grant, where, path)
	if err != nil {
		return err
	}
	switch image.Result {
	case tutela.ImageUnreadable:
		return fmt.Errorf("read the image %s: %s", image.Image, tutela.DisplayPath([]byte(image.Cause)))
	case tutela.ImageDiffers:
		return hint(fmt.Errorf("%w: %s is not what it says was acquired", lab.ErrIntegrity, image.Image), "tutela exhibit verify %s %s", tutela.ShellWord(c.Label), tutela.ShellWord(c.File))
	}
	sum, err := tutela.ParseSHA256(image.SHA256)
	if err != nil {
		return err
	}
	if c.SHA256 != "" && sum != made.SHA256 {
		return fmt.Errorf("%w: %s has sha256 %s, the papers say %s", lab.ErrIntegrity, image.Image, sum, made.SHA256)
	}
	made.Image, made.Size, made.SHA256, made.Read = image.Image, image.Size, sum, true
	return nil
}

func printAcquisition(a *app, label string, made tutela.Acquisition) error {
	line := struct {
		Type    string  `json:"message_type"`
		Exhibit string  `json:"exhibit"`
		Image   string  `json:"image"`
		Size    int64   `json:"size"`
		SHA256  string  `json:"sha256"`
		Read    bool    `json:"read"`
		By      string  `json:"by"`
		At      *string `json:"at"`
		Tool    string  `json:"tool"`
	}{"acquisition", label, made.Image, made.Size, made.SHA256.String(), made.Read, made.By, stamp(made.At), made.Tool}
	return a.print(line, func(w io.Writer) {
		fmt.Fprintf(w, "An image of exhibit %s was made by %s.\n", label, made.By)
		how := "as told; nothing was read"
		if made.Read {
			how = "read from " + made.Image
		}
		facts(w, "  sha256", made.SHA256.String(), "  digest", how)
	})
}
