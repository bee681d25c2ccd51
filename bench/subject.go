package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// subject is tutela scanning the data into a lab that is new for every turn. It
// writes for people: with --json it would count the evidence beside the scan,
// for the estimate of how long it will take, which no peer does.
func (b *bench) subject(d data, profile string) contestant {
	return contestant{name: "tutela", ready: func() (*exec.Cmd, func([]byte) error, error) {
		lab, err := b.newLab()
		if err != nil {
			return nil, nil, err
		}
		cmd := b.tutelaCommand(lab, "scan", "A", d.dir, "--profile", profile)
		return cmd, func([]byte) error {
			if err := b.checkScan(lab, d); err != nil {
				return err
			}
			return os.RemoveAll(lab)
		}, nil
	}}
}

// newLab makes a lab with one exhibit that may be scanned.
func (b *bench) newLab() (string, error) {
	lab, err := os.MkdirTemp(b.dir, "lab-")
	if err != nil {
		return "", err
	}
	until := time.Now().AddDate(1, 0, 0).Format(time.DateOnly)
	if out, err := b.tutelaCommand("", "init", lab, "--agency", "Bench", "--country", "BE").CombinedOutput(); err != nil {
		return "", fmt.Errorf("tutela init: %w\n%s", err, out)
	}
	for _, args := range [][]string{
		{"case", "open", "1", "--title", "Bench"},
		{"exhibit", "add", "A", "--case", "1"},
		{"authority", "add", "--case", "1", "--kind", "search-warrant", "--reference", "W", "--issuer", "C", "--until", until},
	} {
		if out, err := b.tutelaCommand(lab, args...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("tutela %s: %w\n%s", args[0], err, out)
		}
	}
	return lab, nil
}

// tutelaCommand acts in a lab; "" is for what needs none.
func (b *bench) tutelaCommand(lab string, args ...string) *exec.Cmd {
	if lab != "" {
		args = append([]string{"--lab", lab}, args...)
	}
	cmd := exec.CommandContext(b.ctx, b.tutela, args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "TUTELA_") })
	return cmd
}

// checkScan holds what was sealed against the data.
func (b *bench) checkScan(lab string, d data) error {
	got, err := b.sealed(lab)
	if err != nil {
		return err
	}
	if want := (scanLine{"scan", "sealed", d.files, d.bytes}); got != want {
		return fmt.Errorf("the scan says %+v, the data is %+v", got, want)
	}
	return nil
}

// scanLine is what tutela says of a scan.
type scanLine struct {
	Type    string `json:"message_type"`
	State   string `json:"state"`
	Records int    `json:"records"`
	Bytes   int64  `json:"bytes"`
}

// sealed asks for the lab's scan.
func (b *bench) sealed(lab string) (l scanLine, err error) {
	out, err := b.tutelaCommand(lab, "--json", "exhibit", "show", "A").Output()
	if err != nil {
		return l, fmt.Errorf("look at the scan: %w", err)
	}
	for lines := json.NewDecoder(bytes.NewReader(out)); l.Type != "scan"; {
		l = scanLine{}
		if err := lines.Decode(&l); err != nil {
			return l, fmt.Errorf("look for the scan: %w", err)
		}
	}
	return l, nil
}

// startUp is tutela digesting one small file, without a lab.
func (b *bench) startUp(name, file string, before func() error) contestant {
	return contestant{name: name, ready: func() (*exec.Cmd, func([]byte) error, error) {
		if err := before(); err != nil {
			return nil, nil, err
		}
		cmd := b.tutelaCommand("", "hash", "--json", file)
		return cmd, func(stdout []byte) error {
			var item struct{ Path string }
			if err := json.Unmarshal(stdout, &item); err != nil || filepath.Base(item.Path) != filepath.Base(file) {
				return fmt.Errorf("tutela hash printed %q", stdout)
			}
			return nil
		}, nil
	}}
}
