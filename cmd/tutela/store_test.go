package main

import (
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"tutela/internal/evidencetest/objectstore"
)

// startStore is `store FILE…`: an object store with these files under case/,
// which the environment tells commands of, until the script ends.
func startStore(ts *testscript.TestScript, _ bool, files []string) {
	s, err := objectstore.Start()
	ts.Check(err)
	ts.Defer(s.Stop)
	for _, name := range files {
		content, err := os.ReadFile(ts.MkAbs(name))
		ts.Check(err)
		ts.Check(s.Put("case/"+filepath.Base(name), content))
	}
	ts.Setenv("AWS_ENDPOINT_URL", s.URL())
	ts.Setenv("AWS_ACCESS_KEY_ID", objectstore.Access)
	ts.Setenv("AWS_SECRET_ACCESS_KEY", objectstore.Secret)
}
