package main

import (
	"fmt"
	"net/http/httptest"
	"os"
	"time"

	"tutela/internal/timestamp/authority"
	"tutela/internal/timestamp/client"
)

// throwAwayAuthority is the program `throw-away-authority FILE` of the guides: it
// writes its root certificate to a file and its address to standard output, and
// answers until the shell that started it is gone.
func throwAwayAuthority() {
	a, err := authority.New(time.Now)
	if err == nil && len(os.Args) == 2 {
		err = os.WriteFile(os.Args[1], a.Roots(), 0o600)
	}
	if err != nil || len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: throw-away-authority FILE:", err)
		os.Exit(exitFailed)
	}
	s := httptest.NewServer(client.Handler(a.Answer))
	fmt.Println(s.URL + "/")
	for shell := os.Getppid(); os.Getppid() == shell; {
		time.Sleep(100 * time.Millisecond)
	}
}
