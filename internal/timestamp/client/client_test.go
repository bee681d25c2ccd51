package client

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tutela/internal/timestamp"
)

var message = []byte("the head of a log\n")

// An authority that answers anything but a time-stamp is a clear error.
func TestAuthorityThatAnswersGarbage(t *testing.T) {
	for want, answer := range map[string]http.HandlerFunc{
		"not a time-stamp":   Handler(func([]byte) []byte { return []byte("garbage") }).ServeHTTP,
		"refused: rejection": Handler(func([]byte) []byte { return []byte{0x30, 5, 0x30, 3, 2, 1, 2} }).ServeHTTP,
		"503":                func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
		"302": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.invalid/", http.StatusFound)
		},
		`with "text/html"`:      func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") },
		"more than 65536 bytes": Handler(func([]byte) []byte { return make([]byte, maxAnswer+1) }).ServeHTTP,
	} {
		s := httptest.NewServer(answer)
		_, err := Stamp(context.Background(), s.URL, message)
		s.Close()
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), s.URL) {
			t.Errorf("%v, which does not say %q", err, want)
		}
	}
}

// A calendar promises, and later tells the block.
func TestCalendar(t *testing.T) {
	var c Calendar
	mux := http.NewServeMux()
	mux.HandleFunc("POST /digest", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if len(b) != 32 {
			t.Errorf("a digest of %d bytes", len(b))
		}
		io.WriteString(w, "\x08\x00\x83\xdf\xe3\x0d\x2e\xf9\x0c\x8e"+string([]byte{byte(len(c.URL) + 1), byte(len(c.URL))})+c.URL)
	})
	mux.HandleFunc("GET /timestamp/{hex}", func(w http.ResponseWriter, r *http.Request) {
		if b, err := hex.DecodeString(r.PathValue("hex")); err != nil || len(b) != 32 {
			t.Errorf("asked for %q", r.PathValue("hex"))
		}
		io.WriteString(w, "\x08\x00\x05\x88\x96\x0d\x73\xd7\x19\x01\x01\x07")
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	c.URL = s.URL
	p := timestamp.NewProof(message)
	if err := errors.Join(c.Submit(context.Background(), p), c.Upgrade(context.Background(), p)); err != nil {
		t.Fatal(err)
	}
	all := p.Attestations()
	if len(all) != 2 || all[0].Calendar != s.URL || !all[1].Bitcoin || all[1].Height != 7 {
		t.Errorf("%+v", all)
	}
}
