package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// startServing is `serves NAME DIR`: tutela witness serve on a free port. When it
// answers, its policy is in NAME.policy; what it says on standard error goes to
// NAME.stderr.
func startServing(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: serves NAME DIR")
	}
	errs, err := os.Create(ts.MkAbs(args[0] + ".stderr"))
	ts.Check(err)
	serve := exec.Command("tutela", "--json", "witness", "serve", ts.MkAbs(args[1]), "--listen", "127.0.0.1:0")
	serve.Stderr = errs
	out, err := serve.StdoutPipe()
	ts.Check(err)
	ts.Check(serve.Start())
	ts.Defer(func() {
		serve.Process.Kill() // if the script did not stop it
		serve.Wait()
		errs.Close()
	})
	first, err := bufio.NewReader(out).ReadBytes('\n')
	ts.Check(err)
	var told struct {
		Type, Policy string
	}
	ts.Check(json.Unmarshal(first, &told))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".policy"), []byte(told.Policy), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".serving"), first, 0o600))
	setServing(ts, args[0], serve)
}

// serving is a key of what a script has running.
type serving string

func setServing(ts *testscript.TestScript, name string, c *exec.Cmd) {
	running, ok := ts.Value(serving("")).(map[string]*exec.Cmd)
	if !ok {
		ts.Fatalf("internal error: nowhere to keep what is running")
	}
	running[name] = c
}

// stopServing is `stops NAME`: SIGTERM must end it as an interruption does.
func stopServing(ts *testscript.TestScript, _ bool, args []string) {
	running, ok := ts.Value(serving("")).(map[string]*exec.Cmd)
	if !ok || len(args) != 1 || running[args[0]] == nil {
		ts.Fatalf("usage: stops NAME")
	}
	serve := running[args[0]]
	if runtime.GOOS == "windows" { // which has no signal for it
		ts.Check(serve.Process.Kill())
		serve.Wait()
		return
	}
	ts.Check(serve.Process.Signal(syscall.SIGTERM))
	var ended *exec.ExitError
	if err := serve.Wait(); !errors.As(err, &ended) || ended.ExitCode() != exitInterrupted {
		ts.Fatalf("stopped with %v, want %d", err, exitInterrupted)
	}
}
