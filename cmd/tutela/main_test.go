package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tutela/internal/catalog"
	"tutela/internal/confine"
	"tutela/internal/lab"
)

// TestMain makes `exec tutela` in a script start this program, and with it the
// few programs that run another one under constraints.
func TestMain(m *testing.M) {
	confine.Child()
	commands := map[string]func(){"tutela": main, "throw-away-authority": throwAwayAuthority}
	for name, program := range constraints {
		commands[name] = program
	}
	testscript.Main(m, commands)
}

// TestScripts runs the manual: one script per subject.
func TestScripts(t *testing.T) {
	internal, err := filepath.Abs("../../internal")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Values[serving("")] = map[string]*exec.Cmd{}
			env.Setenv("TUTELA_ACTOR", "avery")
			env.Setenv("INTERNAL", internal)
			env.Setenv("BUNDLES", filepath.Join(filepath.Dir(internal), "verify", "testdata"))
			env.Setenv("TZ", "Asia/Tokyo") // what is printed must not depend on it
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"lab":       makeLab,
			"looks":     lookAround,
			"exits":     exits,
			"await":     awaitCommit,
			"json":      cmdJSON,
			"make":      cmdMake,
			"flip":      flipByte,
			"draw":      drawEvidence,
			"authority": startAuthority,
			"calendar":  startCalendar,
			"witness":   startWitness,
			"gunzip":    gunzip,
			"restore":   restore,
			"serves":    startServing,
			"stops":     stopServing,
			"store":     startStore,
			"unxz":      unxz,
			"tamper":    tamper,
		},
	})
}

// makeLab makes a lab in ./lab with case 2026-17, the exhibits it is given and
// a warrant that covers them, and makes it the one that commands mean.
func makeLab(ts *testscript.TestScript, _ bool, labels []string) {
	do := func(args ...string) { ts.Check(ts.Exec("tutela", args...)) }
	do("init", "lab", "--agency", "Federal Police", "--country", "BE")
	ts.Setenv("TUTELA_LAB", ts.MkAbs("lab"))
	do("case", "open", "2026-17", "--title", "Harbour")
	for _, label := range labels {
		do("exhibit", "add", label, "--case", "2026-17")
	}
	do("authority", "add", "--case", "2026-17", "--kind", "search-warrant", "--reference", "W-1", "--issuer", "Court", "--until", "2999-01-01")
}

// awaitCommit waits until scan 1 of an exhibit has committed records, and so
// until stopping it is stopping it in the middle.
func awaitCommit(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: await EXHIBIT")
	}
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); time.Sleep(time.Millisecond) {
		if committed(ts.Getenv("TUTELA_LAB"), args[0]) {
			return
		}
	}
	ts.Fatalf("no record of %s was committed", args[0])
}

func committed(dir, label string) bool {
	l, err := lab.Open(context.Background(), dir, lab.Read, "await")
	if err != nil {
		return false
	}
	defer l.Close()
	records, err := l.ReadRecords(catalog.ScanID{Exhibit: label, Number: 1})
	if err != nil {
		return false
	}
	defer records.Close()
	return records.Size() > 0
}

// exits is `exits CODE COMMAND…`: the command must end with this exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	code := 0
	var ended *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &ended) {
		code = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// restore puts the lab back as it was copied to ./whole.
func restore(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(os.RemoveAll(ts.MkAbs("lab")))
	ts.Check(ts.Exec("cp", "-rp", "whole", "lab")) // keys with their permissions
}
