package main

import (
	"net"
	"net/http"
	"time"

	"tutela/internal/timestamp/authority"
	"tutela/internal/timestamp/client"
)

// throwAway is a time-stamping authority on this machine, for demonstrations: it
// tells this machine's clock, so its stamps are evidence of nothing.
type throwAway struct {
	address string
	roots   []byte // PEM
	server  *http.Server
}

// serveThrowAway has one answer on a free port of the loopback interface until it
// is closed.
func serveThrowAway() (*throwAway, error) {
	a, err := authority.New(time.Now)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &throwAway{
		address: "http://" + l.Addr().String() + "/", roots: a.Roots(),
		server: &http.Server{Handler: client.Handler(a.Answer), ReadTimeout: 10 * time.Second},
	}
	go t.server.Serve(l) // until close
	return t, nil
}

func (t *throwAway) close() error { return t.server.Close() }
