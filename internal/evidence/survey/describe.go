package survey

import "tutela"

// Source tells what a path turned out to be. The seal of an exhibit keeps it.
type Source struct {
	Path       string           `json:"path"` // as it was given
	Kind       string           `json:"kind"` // "folder", "file", "image" or "container" (one that is not read)
	Size       int64            `json:"size"` // bytes; -1 for a folder
	Scheme     string           `json:"scheme,omitempty"`
	SectorSize int64            `json:"sector_size,omitempty"` // bytes
	Volumes    []Volume         `json:"volumes,omitempty"`
	Gaps       []tutela.Run     `json:"gaps,omitempty"`
	Findings   []tutela.Finding `json:"findings,omitempty"` // about the container and the partition table
}

// Volume tells what lies in one partition, or on an image without partitions.
type Volume struct {
	Number     int              `json:"number"` // as in tutela.Record; 0 where that is ""
	Offset     int64            `json:"offset"` // bytes from the beginning of the image
	Length     int64            `json:"length"` // bytes
	Type       string           `json:"type,omitempty"`
	Name       string           `json:"name,omitempty"`
	FileSystem string           `json:"file_system"` // "unknown" where nothing was recognised
	Listed     bool             `json:"listed"`      // a reader lists it
	Findings   []tutela.Finding `json:"findings,omitempty"`
}

// Describe tells what every path turned out to be, in order. It says what is
// known when the evidence is opened: what breaks later is told by the walk.
func (s *Survey) Describe() []Source {
	out := make([]Source, len(s.sources))
	for i, src := range s.sources {
		out[i] = src.describe()
	}
	return out
}
