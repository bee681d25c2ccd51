package courier

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func ask(t *testing.T, way Route, most int, answer http.HandlerFunc) (Answer, error) {
	t.Helper()
	s := httptest.NewServer(answer)
	defer s.Close()
	c := New(way)
	defer c.Close()
	return c.Ask(t.Context(), Question{Method: http.MethodPost, URL: s.URL + "/ask", Type: "text/question", Body: []byte("why?"), Most: most})
}

// A question arrives as it was put, and whatever is answered comes back.
func TestAsk(t *testing.T) {
	got, err := ask(t, Direct, 8, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != "why?" || r.Method != http.MethodPost || r.URL.Path != "/ask" || r.Header.Get("Content-Type") != "text/question" {
			t.Errorf("%q, %v, %v", body, r, err)
		}
		if r.Header.Get("Accept-Encoding") != "" {
			t.Error("it would take something packed")
		}
		w.Header().Set("Content-Type", "text/answer; charset=utf-8")
		w.WriteHeader(http.StatusConflict)
		io.WriteString(w, "because\n")
	})
	if err != nil || got.Code != http.StatusConflict || got.Type != "text/answer" || string(got.Body) != "because\n" {
		t.Errorf("%+v, %v", got, err)
	}
}

// Answers that outgrow their limit are refused, however long they go on.
func TestAnswersAreBounded(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"one byte too many": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "123456789") },
		"without end": func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		},
		"all header": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 4*maxHeader)) },
	} {
		if got, err := ask(t, Direct, 8, answer); err == nil || !strings.HasPrefix(name, "all") && !errors.Is(err, ErrTooMuch) {
			t.Errorf("%s: %d bytes were taken, %v", name, len(got.Body), err)
		}
	}
}

// Nobody is asked but who was named.
func TestNobodyElseIsAsked(t *testing.T) {
	var asked int
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer other.Close()
	got, err := ask(t, Direct, 1<<10, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusPermanentRedirect)
	})
	if err != nil || got.Code != http.StatusPermanentRedirect || asked != 0 {
		t.Errorf("%+v, %v; the other was asked %d times", got, err, asked)
	}
	for way, proxied := range map[Route]bool{Direct: false, ByEnvironment: true} {
		c := New(way)
		if uses := c.client.Transport.(*http.Transport).Proxy != nil; uses != proxied {
			t.Errorf("route %d: proxy %v", way, uses)
		}
	}
}
