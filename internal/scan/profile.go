package scan

import (
	"fmt"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
	"tutela/internal/picture"
	"tutela/internal/video"
)

// Profile says how deep a scan looks.
type Profile string

// The three depths.
const (
	// Triage takes the digests of live files: the fastest answer to "is
	// anything known on this?". Pictures and videos are not decoded, archives
	// not opened.
	Triage Profile = "triage"
	// Standard adds deleted files, perceptual hashes of pictures and videos,
	// and what lies inside archives.
	Standard Profile = "standard"
	// Full adds the bytes that no volume claims.
	Full Profile = "full"
)

// ParseProfile accepts the three names; empty is Standard.
func ParseProfile(name string) (Profile, error) {
	switch p := Profile(name); p {
	case "":
		return Standard, nil
	case Triage, Standard, Full:
		return p, nil
	}
	return "", fmt.Errorf("unknown profile %q: one of triage, standard, full", name)
}

// visits reports whether a scan of this depth records the entry. Entries that
// carry a failure are always recorded: what was not seen must be known.
func (p Profile) visits(e *evidence.Entry) bool {
	switch {
	case e.State == tutela.Slack:
		return p == Full
	case e.State == tutela.Allocated:
		return true
	default:
		return p != Triage
	}
}

// wants says what is done with a content of a type that begins with head. A
// picture that carries another, such as its thumbnail, is looked at and opened.
func (p Profile) wants(mime string, head []byte) (w want) {
	if p == Triage {
		return 0
	}
	switch {
	case picture.IsPicture(mime):
		w |= wantPicture
	case video.IsVideo(mime):
		w |= wantVideo
	}
	if archive.Detect(head) != "" {
		w |= wantArchive
	}
	return w
}
