// Package demo draws the evidence that `tutela demo` scans: the home folder of
// a laptop, a disk image with an NTFS and an ISO 9660 volume, and two hash
// lists that know some of it.
//
// Call [Draw]; the [Plan] it returns says where everything is and what a
// correct scan must find. Every picture is an abstract drawing made by code:
// hills, clouds, shapes and letters.
//
// The writers of GPT, NTFS and ISO 9660 here are demonstration tools. They
// write just enough for forensic readers (The Sleuth Kit, ntfs-3g and tutela's
// own) to see a sound volume, and are no use for storing anything: one index
// block a directory, no security descriptors, no journal.
//
// Promised: one build of the program draws the same bytes every time, and the
// whole stays below 60 MB. Not promised: the same bytes from another Go release
// or processor architecture, since both the picture encoders and the rounding
// of the scalers may change.
package demo

import (
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"time"

	"tutela"
)

// Plan says what [Draw] wrote, as paths of the host.
type Plan struct {
	Folder        string // the laptop's home folder
	Disk          string // a raw disk image: GPT; volume 1 is NTFS, 2 is ISO 9660
	AlertList     string // CSV with the header sha256,pdq,category
	KnownGoodList string // lines of sha256sum
	Planted       []Planted
}

// Planted is one thing that a correct scan must find. Every file and every
// archive member that a person would call one is planted; directories and the
// files of the file system itself ($MFT …) are not.
type Planted struct {
	Source Source
	Volume string // "" in the folder, else the number of the partition
	Path   string // as tutela shows it: "/a/b.zip!/c.jpg", "/a.txt:stream"
	State  tutela.State
	Expect Expectation
	Why    string // in plain words
}

// Source says which of the two exhibits holds something.
type Source string

// The two exhibits.
const (
	Folder Source = "folder"
	Disk   Source = "disk"
)

// Expectation is what the two lists together say about a content.
type Expectation string

// What a scan can make of a planted thing.
const (
	AlertExact Expectation = "alert-exact" // the content is on the alert list
	AlertNear  Expectation = "alert-near"  // an altered copy: PDQ within 31, no digest agrees
	KnownGood  Expectation = "known-good"
	Unknown    Expectation = "unknown"
)

// Hash is a perceptual hash of a picture: 64 hexadecimal digits, and the
// quality from 0 to 100.
type Hash func(image.Image) (pdq string, quality int)

// Draw writes the synthetic evidence and the hash lists under dir and says what
// it planted. dir is made if it is missing; nothing in it may bear the name of
// something Draw writes. It returns ctx's error if it is cancelled; what was
// written until then stays.
func Draw(ctx context.Context, dir string, hash Hash) (*Plan, error) {
	plan := &Plan{
		Folder:        filepath.Join(dir, "laptop"),
		Disk:          filepath.Join(dir, "disk.img"),
		AlertList:     filepath.Join(dir, "alert.csv"),
		KnownGoodList: filepath.Join(dir, "known-good.sha256"),
	}
	if err := plan.refuseOld(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("make %s: %w", dir, err)
	}
	a, err := newAlbum(ctx)
	if err != nil {
		return nil, fmt.Errorf("draw pictures: %w", err)
	}
	if err := plan.writeLists(a, hash); err != nil {
		return nil, err
	}
	if err := plan.writeFolder(ctx, a); err != nil {
		return nil, err
	}
	return plan, plan.writeDisk(ctx, a)
}

func (p *Plan) refuseOld() error {
	for _, name := range []string{p.Folder, p.Disk, p.AlertList, p.KnownGoodList} {
		_, err := os.Lstat(name)
		if err == nil {
			return fmt.Errorf("draw %s: it is there already", name)
		}
		if !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("draw %s: %w", name, err)
		}
	}
	return nil
}

// drawnAt is the time every planted file claims. A fixed time keeps two
// drawings equal.
func drawnAt() time.Time { return time.Date(2024, time.March, 15, 9, 26, 53, 0, time.UTC) }
