package witness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// limits bound strangers. A request is small and so is its answer: whoever takes
// longer is stuck, or means to hold the connection.
type limits struct {
	request time.Duration // for one to arrive, and for its answer
	idle    time.Duration // between two on one connection
	conns   int           // open at once
	header  int           // bytes
}

func usualLimits() limits {
	return limits{request: 10 * time.Second, idle: 30 * time.Second, conns: 256, header: 8 << 10}
}

// farewell is how long requests under way may take when the witness is stopped.
const farewell = 5 * time.Second

// Serve answers on l until the context ends; then it lets requests under way come to
// their end and returns nil. It closes l. There is no TLS: a reverse proxy does that.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	return s.serve(ctx, l, usualLimits())
}

func (s *Server) serve(ctx context.Context, l net.Listener, most limits) error {
	h := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: most.request,
		ReadTimeout:       most.request,
		WriteTimeout:      2 * most.request, // counts from the end of the header
		IdleTimeout:       most.idle,
		MaxHeaderBytes:    most.header,
		ErrorLog:          log.New(io.Discard, "", 0), // what strangers do wrong is no alarm
	}
	over := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { over <- shutDown(h) })
	err := h.Serve(bounded(l, most.conns))
	if !stop() {
		err = <-over
	}
	if err != nil {
		return fmt.Errorf("serve as a witness: %w", err)
	}
	return nil
}

func shutDown(h *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	err := h.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return h.Close() // nobody is owed more than that
	}
	return err
}

// boundedListener lets so many connections be open at once; others wait in the
// operating system's queue.
type boundedListener struct {
	net.Listener
	places chan struct{}
	closed chan struct{}
	once   sync.Once
}

func bounded(l net.Listener, most int) net.Listener {
	return &boundedListener{Listener: l, places: make(chan struct{}, most), closed: make(chan struct{})}
}

func (l *boundedListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &boundedConn{Conn: c, leave: sync.OnceFunc(func() { <-l.places })}, nil
}

func (l *boundedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type boundedConn struct {
	net.Conn
	leave func()
}

func (c *boundedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
