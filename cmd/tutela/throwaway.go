package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"tutela/internal/timestamp/authority"
	"tutela/internal/timestamp/client"
	"tutela/internal/witness"
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

// throwAwayWitness is a witness on the machine of the lab, for demonstrations: it
// witnesses nothing.
type throwAwayWitness struct {
	address string
	stop    func() error
}

// serveWitness has the witness of a folder answer on a free port of the loopback
// interface until it is stopped.
func serveWitness(dir string) (*throwAwayWitness, error) {
	s, err := witness.Open(dir, witness.Options{})
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- errors.Join(s.Serve(ctx, l), s.Close()) }()
	return &throwAwayWitness{"http://" + l.Addr().String() + "/", func() error { cancel(); return <-ended }}, nil
}
