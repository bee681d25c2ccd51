package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tutela/internal/evidencetest"
)

// TestOracleMissing is a machine without The Sleuth Kit: nothing is written
// down, and people are told how to get it.
func TestOracleMissing(t *testing.T) {
	l := truthLab(t)
	image := filepath.Join(evidencetest.Folder(t), "fslib", "fat16.dd")
	l.scan(t, truthImage{name: "fslib/fat16.dd"})
	before := l.do(t, exitOK, "ledger", "log")
	t.Setenv("PATH", t.TempDir())
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"--lab", l.dir, "ledger", "rescan", "fslib-fat16.dd", image, "--oracle", "tsk"}, &out, &errs)
	if code != exitFailed || !strings.Contains(errs.String(), "tutela: hint: apt install sleuthkit\n") {
		t.Errorf("exit code %d\n%s", code, errs.String())
	}
	if after := l.do(t, exitOK, "ledger", "log"); !bytes.Equal(before, after) {
		t.Errorf("written down:\n%s", after)
	}
}

// TestOracleLeavesEvidence reads an image with the other program and holds the
// image against what it was.
func TestOracleLeavesEvidence(t *testing.T) {
	l := truthLab(t)
	original := filepath.Join(evidencetest.Folder(t), "fslib", "fat16.dd")
	l.scan(t, truthImage{name: "fslib/fat16.dd"})
	before, err := os.Stat(original)
	if err != nil {
		t.Fatal(err)
	}
	said := l.do(t, exitOK, "ledger", "rescan", "fslib-fat16.dd", original, "--oracle", "tsk")
	if !strings.Contains(string(said), "17 contents read alike") {
		t.Errorf("%s", said)
	}
	after, err := os.Stat(original)
	if err != nil || !after.ModTime().Equal(before.ModTime()) || after.Size() != before.Size() {
		t.Errorf("it was %v and is %v: %v", before, after, err)
	}
}
