package main

import (
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
)

// What a binary is made of is read from the binary itself, where the go command
// writes it, and told as CycloneDX 1.6 in JSON. It holds no time and no random number,
// so that it is the same every time.

// bill is a CycloneDX document.
type bill struct {
	Schema       string       `json:"$schema"`
	Format       string       `json:"bomFormat"`
	Spec         string       `json:"specVersion"`
	Serial       string       `json:"serialNumber"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	Hashes     []hash     `json:"hashes,omitempty"`
	Licences   []licence  `json:"licenses,omitempty"`
	URL        string     `json:"purl"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type licence struct {
	Licence struct {
		ID string `json:"id"` // SPDX
	} `json:"license"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref string   `json:"ref"`
	On  []string `json:"dependsOn"`
}

// bill tells what the binary at path is made of. Licences are those of the texts in
// the module cache.
func (r release) bill(ctx context.Context, program, path string) ([]byte, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if !stamped(info) && !r.dirty {
		return nil, errors.New("it bears no revision: build from a clone, not from a worktree or an archive")
	}
	sum, err := digest(path)
	if err != nil {
		return nil, err
	}
	folders, err := r.folders(ctx)
	if err != nil {
		return nil, err
	}
	b := billOf(info, program, sum, func(module string) []string { return licencesIn(folders[module]) })
	text, err := json.MarshalIndent(b, "", "  ")
	return append(text, '\n'), err
}

func stamped(info *debug.BuildInfo) bool {
	return slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "vcs.revision" && s.Value != "" })
}

// folders are where the modules lie, by path and version.
func (r release) folders(ctx context.Context) (map[string]string, error) {
	out, err := r.command(ctx, "go", "list", "-m", "-f", "{{.Path}}@{{.Version}}\t{{.Dir}}", "all").Output()
	if err != nil {
		return nil, fmt.Errorf("list the modules: %w", err)
	}
	folders := map[string]string{}
	for line := range strings.Lines(string(out)) {
		module, dir, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		folders[module] = dir
	}
	return folders, nil
}

func billOf(info *debug.BuildInfo, program, sum string, licencesOf func(module string) []string) bill {
	b := bill{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", Format: "CycloneDX", Spec: "1.6", Serial: serial(sum), Version: 1,
		Metadata: metadata{binary(info, program, sum)}, Components: []component{standardLibrary(info)},
	}
	for _, d := range info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		b.Components = append(b.Components, library(d, licencesOf(d.Path+"@"+d.Version)))
	}
	on := dependency{Ref: b.Metadata.Component.Ref, On: []string{}}
	for _, c := range b.Components {
		on.On = append(on.On, c.Ref)
	}
	b.Dependencies = []dependency{on}
	return b
}

func binary(info *debug.BuildInfo, program, sum string) component {
	url := "pkg:golang/" + info.Main.Path + "@" + info.Main.Version + "#cmd/" + program
	c := component{Type: "application", Ref: url, Name: program, Version: info.Main.Version, Hashes: []hash{{"SHA-256", sum}}, URL: url}
	c.Properties = append(c.Properties, property{"tutela:go", info.GoVersion})
	for _, s := range info.Settings {
		c.Properties = append(c.Properties, property{"tutela:" + s.Key, s.Value})
	}
	return c
}

func standardLibrary(info *debug.BuildInfo) component {
	version := strings.TrimPrefix(info.GoVersion, "go")
	url := "pkg:golang/stdlib@" + version
	c := component{Type: "library", Ref: url, Name: "stdlib", Version: version, URL: url}
	return c.under("BSD-3-Clause")
}

// library is a module. Its h1 sum, by which the go command holds it against go.sum and
// the checksum database, is no digest of one file, and so no hash of CycloneDX.
func library(m *debug.Module, licences []string) component {
	url := "pkg:golang/" + m.Path + "@" + m.Version
	c := component{Type: "library", Ref: url, Name: m.Path, Version: m.Version, URL: url, Properties: []property{{"tutela:go.sum", m.Sum}}}
	return c.under(licences...)
}

func (c component) under(ids ...string) component {
	for _, id := range ids {
		var l licence
		l.Licence.ID = id
		c.Licences = append(c.Licences, l)
	}
	return c
}

// serial is a UUID (version 8, RFC 9562) made of the binary's digest.
func serial(sum string) string {
	h := sha256.Sum256([]byte("tutela bill of " + sum))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	x := hex.EncodeToString(h[:16])
	return "urn:uuid:" + strings.Join([]string{x[:8], x[8:12], x[12:16], x[16:20], x[20:]}, "-")
}
