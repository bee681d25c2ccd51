package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

var every = flag.Bool("every", false, "build every program twice, not only the smallest")

// Two folders on this machine, with the same revision in them, give the same bytes:
// binaries, bills and checksums. Every setting that the environment could slip in is
// another in the second run.
func TestTwiceTheSame(t *testing.T) {
	if *every {
		t.Log("every program:", programs)
	}
	first, second := released(t), func() map[string][]byte {
		t.Setenv("GOAMD64", "v3")
		t.Setenv("GOFLAGS", "-tags=another")
		t.Setenv("GOEXPERIMENT", "arenas")
		return released(t)
	}()
	if len(first) < 3 {
		t.Fatalf("only %d files", len(first))
	}
	for name, content := range first {
		if !bytes.Equal(content, second[name]) {
			t.Errorf("%s is another in another folder", name)
		}
	}
	if len(second) != len(first) {
		t.Errorf("%d files, then %d", len(first), len(second))
	}
}

// released copies the sources into a folder of their own, as one revision, builds
// there, and reads what came out.
func released(t *testing.T) map[string][]byte {
	t.Helper()
	root := t.TempDir()
	copySources(t, "..", root)
	commit(t, root)
	r := release{root: root, dist: filepath.Join(t.TempDir(), "dist"), programs: programs[1:], said: io.Discard}
	if *every {
		r.programs = programs
	}
	if err := r.run(t.Context(), []platform{{runtime.GOOS, runtime.GOARCH}}); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, name := range names(t, r.dist) {
		content, err := os.ReadFile(filepath.Join(r.dist, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = content
	}
	return files
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// copySources copies what binaries are made of: no tests, nothing of git.
func copySources(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		if e.IsDir() {
			if slices.Contains([]string{".git", "testdata", "dist", "docs", "bench"}, e.Name()) {
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		if !e.Type().IsRegular() || strings.HasSuffix(name, "_test.go") || e.Name() == ".git" { // a worktree's leads to its repository
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), content, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// commit makes the folder a repository with one revision, always the same.
func commit(t *testing.T, root string) {
	t.Helper()
	if _, err := os.Lstat(filepath.Join(root, ".git")); err == nil {
		t.Fatal("the folder is a repository already")
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}, {"commit", "-q", "-m", "sources"}} {
		c := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=release", "-c", "user.email=release@example.org", "-c", "commit.gpgsign=false", "-c", "core.autocrlf=false"}, args...)...)
		c.Dir = root
		c.Env = append(os.Environ(), "GIT_DIR="+filepath.Join(root, ".git"), "GIT_WORK_TREE="+root, "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z", "GIT_CONFIG_GLOBAL=/dev/null")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", args[0], err, out)
		}
	}
}

// Sources that differ from their revision are refused, and leave no checksums.
func TestChangedSourcesAreRefused(t *testing.T) {
	root, dist := t.TempDir(), t.TempDir()
	commitEmpty(t, root)
	if err := os.WriteFile(filepath.Join(root, "new.go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := release{root: root, dist: dist, programs: programs, said: io.Discard}.run(t.Context(), platforms[:1])
	if err == nil || !strings.Contains(err.Error(), "differ from their revision") {
		t.Errorf("error %v", err)
	}
	if len(names(t, dist)) > 0 {
		t.Error("something was written")
	}
	if err := (release{root: root, dist: dist}).run(t.Context(), chosen("plan9/amd64")); err == nil {
		t.Error("an unknown platform was taken")
	}
}

func commitEmpty(t *testing.T, root string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module m\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	commit(t, root)
}

// A bill holds what CycloneDX 1.6 demands, every module once, and refers to all.
func TestBill(t *testing.T) {
	info := &debug.BuildInfo{
		GoVersion: "go1.26.8", Main: debug.Module{Path: "tutela", Version: "v1.2.3"},
		Deps: []*debug.Module{
			{Path: "example.org/a", Version: "v1.0.0", Sum: "h1:aaa"},
			{Path: "example.org/b", Version: "v0.1.0", Replace: &debug.Module{Path: "example.org/c", Version: "v2.0.0", Sum: "h1:ccc"}},
		},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}},
	}
	sum := strings.Repeat("0f", 32)
	asked := []string{}
	b := billOf(info, "tutela", sum, func(module string) []string {
		asked = append(asked, module)
		return []string{"MIT"}
	})
	if want := []string{"example.org/a@v1.0.0", "example.org/c@v2.0.0"}; !slices.Equal(asked, want) {
		t.Errorf("licences asked of %q, want %q", asked, want)
	}
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	var read map[string]any
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if read["bomFormat"] != "CycloneDX" || read["specVersion"] != "1.6" || read["version"] != 1.0 {
		t.Errorf("head %v %v %v", read["bomFormat"], read["specVersion"], read["version"])
	}
	refs := map[string]bool{}
	for _, c := range append(b.Components, b.Metadata.Component) {
		if refs[c.Ref] || c.Type == "" || c.Name == "" || c.Version == "" || !strings.HasPrefix(c.URL, "pkg:golang/") {
			t.Errorf("component %+v", c)
		}
		refs[c.Ref] = true
	}
	for _, ref := range append(b.Dependencies[0].On, b.Dependencies[0].Ref) {
		if !refs[ref] {
			t.Errorf("%s is no component", ref)
		}
	}
	if len(b.Components) != 3 || len(b.Dependencies[0].On) != 3 || b.Metadata.Component.Hashes[0].Content != sum {
		t.Errorf("%s", text)
	}
	if again := serial(sum); b.Serial != again || len(again) != len("urn:uuid:")+36 || again[len("urn:uuid:")+14] != '8' || serial("other") == again {
		t.Errorf("serial number %s", again)
	}
}

// Licences are told by their text: all of them, and none by a guess.
func TestLicences(t *testing.T) {
	bsd := "Redistribution and use in source and binary forms, with or without\nmodification, are permitted"
	for text, want := range map[string]string{
		"MIT License\n\nPermission is hereby granted, free of charge, to any person": "MIT",
		bsd: "BSD-2-Clause",
		bsd + "\nNeither the name of the copyright holder may be used to endorse or promote products": "BSD-3-Clause",
		"Apache License\n   Version 2.0, January 2004":                                                "Apache-2.0",
		"Permission is hereby granted, free of charge. Apache License, Version 2.0":                   "Apache-2.0 MIT",
		"All rights reserved.": "",
	} {
		if got := strings.Join(licencesOf(text), " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := licencesIn(filepath.Join(t.TempDir(), "absent")); got != nil {
		t.Errorf("a folder that is not there has licences %q", got)
	}
}
