package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// phrases tell licences by words that stand in them. A text may hold several.
var phrases = []struct {
	id    string // SPDX
	words []string
}{
	{"Apache-2.0", []string{"apache license", "version 2.0"}},
	{"MPL-2.0", []string{"mozilla public license", "2.0"}},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms", "endorse or promote"}},
	{"BSD-2-Clause", []string{"redistribution and use in source and binary forms"}}, // unless it is BSD-3-Clause
	{"MIT", []string{"permission is hereby granted, free of charge"}},
	{"ISC", []string{"permission to use, copy, modify, and", "distribute this software for any purpose"}},
	{"CC0-1.0", []string{"cc0 1.0 universal"}},
	{"Unlicense", []string{"this is free and unencumbered software released into the public domain"}},
}

// longestLicence is how much of a text is read, in bytes.
const longestLicence = 64 << 10

// licencesIn recognises the licences of the module in a folder; nil if there is no
// text, or none that it knows: it never guesses by a name.
func licencesIn(dir string) (ids []string) {
	if dir == "" {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if e.Type().IsRegular() && licenceName(e.Name()) {
			ids = append(ids, recognise(filepath.Join(dir, e.Name()))...)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func licenceName(name string) bool {
	name = strings.ToUpper(name)
	return strings.HasPrefix(name, "LICEN") || strings.HasPrefix(name, "COPYING") || strings.HasPrefix(name, "UNLICENSE")
}

func recognise(path string) []string {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return licencesOf(string(text[:min(len(text), longestLicence)]))
}

func licencesOf(text string) (ids []string) {
	text = strings.Join(strings.Fields(strings.ToLower(text)), " ")
	for _, p := range phrases {
		lacks := slices.ContainsFunc(p.words, func(w string) bool { return !strings.Contains(text, w) })
		if !lacks && (p.id != "BSD-2-Clause" || !slices.Contains(ids, "BSD-3-Clause")) {
			ids = append(ids, p.id)
		}
	}
	return ids
}
