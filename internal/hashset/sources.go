package hashset

import (
	"encoding/json"
	"fmt"

	"tutela"
)

// Source is a file that a set was made from.
type Source struct {
	Name   string // without its folder
	Size   int64  // bytes
	SHA256 tutela.SHA256
	Format Format
	Intent Intent // what was done with it
}

// sourceText is how a Source is written in a compiled set.
type sourceText struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Format Format `json:"format"`
	Intent Intent `json:"intent,omitempty"`
}

func encodeSources(sources []Source) ([]byte, error) {
	texts := make([]sourceText, 0, len(sources))
	for _, s := range sources {
		texts = append(texts, sourceText{s.Name, s.Size, s.SHA256.String(), s.Format, s.Intent})
	}
	return json.Marshal(texts)
}

func openSources(p part) ([]Source, error) {
	b := p.take(0, p.len())
	if b == nil {
		return nil, fmt.Errorf("%w: sources of %d bytes", ErrCorrupt, p.len())
	}
	return decodeSources(b)
}

func decodeSources(b []byte) ([]Source, error) {
	var texts []sourceText
	if err := json.Unmarshal(b, &texts); err != nil {
		return nil, fmt.Errorf("%w: sources: %v", ErrCorrupt, err)
	}
	sources := make([]Source, 0, len(texts))
	for _, s := range texts {
		d, err := tutela.ParseSHA256(s.SHA256)
		if err != nil {
			return nil, fmt.Errorf("%w: sources: %v", ErrCorrupt, err)
		}
		sources = append(sources, Source{s.Name, s.Size, d, s.Format, s.Intent})
	}
	return sources, nil
}
