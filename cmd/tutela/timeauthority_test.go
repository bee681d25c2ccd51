package main

import (
	"fmt"
	"os"
	"time"
)

// throwAwayAuthority is the program `throw-away-authority FILE` of the guides: it
// writes its root certificate to a file and its address to standard output, and
// answers until the shell that started it is gone.
func throwAwayAuthority() {
	t, err := serveThrowAway()
	if err == nil && len(os.Args) == 2 {
		err = os.WriteFile(os.Args[1], t.roots, 0o600)
	}
	if err != nil || len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: throw-away-authority FILE:", err)
		os.Exit(exitFailed)
	}
	fmt.Println(t.address)
	for shell := os.Getppid(); os.Getppid() == shell; {
		time.Sleep(100 * time.Millisecond)
	}
}
