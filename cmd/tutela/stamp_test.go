package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tutela"
	"tutela/internal/lab"
	"tutela/internal/timestamp"
	"tutela/internal/timestamp/authority"
	"tutela/internal/timestamp/client"
)

// startAuthority is `authority NAME HOW`: a time-stamping authority whose address
// goes into the variable NAME and whose root certificate into NAME.pem. It is true,
// or it lies: ahead (its clock), another (stamps other bytes), garbage, endless,
// redirect, refuse, silent (never answers).
func startAuthority(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: authority NAME HOW")
	}
	now := time.Now
	if args[1] == "ahead" {
		now = func() time.Time { return time.Now().Add(26 * time.Hour) }
	}
	a, err := authority.New(now)
	ts.Check(err)
	gone := make(chan struct{})
	s := httptest.NewServer(lying(a, args[1], gone))
	ts.Defer(func() { close(gone); s.Close() })
	ts.Setenv(args[0], s.URL+"/")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".pem"), a.Roots(), 0o600))
}

// lying is what an authority answers that is as it was ordered.
func lying(a *authority.Authority, how string, gone <-chan struct{}) http.Handler {
	switch how {
	case "another":
		return client.Handler(func([]byte) []byte {
			q, err := timestamp.NewRequest([]byte("other bytes")).Encode()
			if err != nil {
				panic(err)
			}
			return a.Answer(q)
		})
	case "garbage":
		return client.Handler(func([]byte) []byte { return []byte("garbage") })
	case "endless":
		return client.Handler(func([]byte) []byte { return make([]byte, 1<<20) })
	case "refuse":
		return client.Handler(func([]byte) []byte { return a.Answer(nil) })
	case "redirect":
		return http.RedirectHandler("http://elsewhere.invalid/", http.StatusFound)
	case "silent":
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			<-gone
		})
	}
	return client.Handler(a.Answer)
}

// startCalendar is `calendar NAME`: an OpenTimestamps calendar whose address goes
// into the variable NAME. It promises, and when it is asked again tells a block.
func startCalendar(ts *testscript.TestScript, _ bool, args []string) {
	mux := http.NewServeMux()
	s := httptest.NewServer(mux)
	ts.Defer(s.Close)
	mux.HandleFunc("POST /digest", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "\x08\x00\x83\xdf\xe3\x0d\x2e\xf9\x0c\x8e%c%c%s", len(s.URL)+1, len(s.URL), s.URL)
	})
	mux.HandleFunc("GET /timestamp/{commitment}", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "\x08\x00\x05\x88\x96\x0d\x73\xd7\x19\x01\x03\xb0\xea\x01")
	})
	ts.Setenv(args[0], s.URL)
}

// stampedLab is a lab whose policy names the authorities at the addresses.
func stampedLab(t *testing.T, roots []byte, addresses ...string) (*app, *lab.Lab, *bytes.Buffer) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "lab")
	if err := lab.Init(t.Context(), dir, lab.Config{Agency: "Example Police", Country: "BE"}, "avery"); err != nil {
		t.Fatal(err)
	}
	l, err := lab.Open(t.Context(), dir, lab.Write, "avery")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := l.SetPolicy(t.Context(), lab.Policy{TimeAuthorities: addresses, TimeRoots: string(roots)}); err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	return newApp(t.Context(), &commands{Lab: dir, Actor: "avery"}, io.Discard, &errs), l, &errs
}

// logSize is how many entries the log has.
func logSize(t *testing.T, l *lab.Lab) uint64 {
	t.Helper()
	log, err := l.ReadLog()
	if err != nil {
		t.Fatal(err)
	}
	h, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h.Size
}

func serveAuthority(t *testing.T, how string) (url string, roots []byte) {
	t.Helper()
	a, err := authority.New(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	s := httptest.NewServer(lying(a, how, gone))
	t.Cleanup(func() { close(gone); s.Close() })
	return s.URL, a.Roots()
}

// Heads are stamped when something happened that calls for it, and not again
// before the next or an hour later; the check of the clock calls for none.
func TestStampHeadWhenDue(t *testing.T) {
	url, roots := serveAuthority(t, "true")
	a, l, errs := stampedLab(t, roots, url)
	wantStamps := func(what string, size uint64, want int) {
		t.Helper()
		stampHead(a, l, size)
		if head, err := l.Heads().Load(size); want > 0 && (err != nil || len(head.Stamps) != want) || want == 0 && err == nil && len(head.Stamps) > 0 {
			t.Errorf("%s: %d stamps, want %d: %v", what, len(head.Stamps), want, err)
		}
	}
	first := logSize(t, l)
	wantStamps("the first", first, 1)
	wantStamps("the first again", first, 1)
	if got := logSize(t, l); got != first+1 {
		t.Errorf("%d entries, want one clock-check behind %d", got, first)
	}
	wantStamps("after a clock-check", logSize(t, l), 0)
	if _, err := l.Record(t.Context(), tutela.Event{Kind: tutela.EventDisclose}); err != nil {
		t.Fatal(err)
	}
	wantStamps("after a disclosure", logSize(t, l), 1)
	if errs.Len() > 0 {
		t.Errorf("it said: %s", errs)
	}
	verdict, err := l.Verify(t.Context(), nil)
	if err != nil || len(verdict.Problems) > 0 || verdict.Heads != 2 || verdict.Stamps != 2 {
		t.Errorf("%+v, %v", verdict, err)
	}
}

func TestStampDue(t *testing.T) {
	now := time.Date(2026, 11, 26, 7, 0, 0, 0, time.UTC)
	for what, c := range map[string]struct {
		s    lab.Standing
		size uint64
		due  bool
	}{
		"never asked":                    {lab.Standing{Moved: 3}, 3, true},
		"asked for this one":             {lab.Standing{Asked: 3, AskedAt: now.Add(-2 * stampEvery)}, 3, false},
		"asked just now":                 {lab.Standing{Asked: 3, AskedAt: now.Add(-time.Minute), Moved: 4}, 4, false},
		"asked an hour ago":              {lab.Standing{Asked: 3, AskedAt: now.Add(-stampEvery), Moved: 4}, 4, true},
		"asked in what is the future":    {lab.Standing{Asked: 3, AskedAt: now.Add(24 * time.Hour), Moved: 4}, 4, true},
		"only the clock was checked":     {lab.Standing{Asked: 3, AskedAt: now.Add(-stampEvery), Moved: 3}, 4, false},
		"sealed since":                   {lab.Standing{Asked: 3, AskedAt: now, Weighty: 5, Moved: 5}, 5, true},
		"sealed, and this head is older": {lab.Standing{Asked: 3, AskedAt: now, Weighty: 5, Moved: 5}, 4, false},
		"sealed before":                  {lab.Standing{Asked: 5, AskedAt: now, Weighty: 5, Moved: 6}, 6, false},
	} {
		if got := stampDue(&c.s, c.size, now); got != c.due {
			t.Errorf("%s: %v", what, got)
		}
	}
}

// Authorities that lie or hang are named in an alarm and in the log; nothing of them
// is kept, work goes on, and the one that tells the truth is believed.
func TestStampByLyingAuthorities(t *testing.T) {
	good, roots := serveAuthority(t, "true")
	lies := map[string]string{"another": "other bytes", "garbage": "not a time-stamp", "endless": "more than 65536 bytes", "refuse": "refused", "redirect": "302"}
	addresses := []string{good}
	says := map[string]string{}
	for how, want := range lies {
		url, _ := serveAuthority(t, how)
		addresses, says[url] = append(addresses, url), want
	}
	stranger, _ := serveAuthority(t, "true") // under a root that the policy does not name
	addresses, says[stranger] = append(addresses, stranger), "unknown authority"
	a, l, errs := stampedLab(t, roots, addresses...)
	size := logSize(t, l)
	stampHead(a, l, size)
	if head, err := l.Heads().Load(size); err != nil || len(head.Stamps) != 1 {
		t.Errorf("%d stamps, %v", len(head.Stamps), err)
	}
	check := lastClockCheck(t, l)
	if check.Head != size || len(check.Authorities) != len(addresses) {
		t.Fatalf("%+v", check)
	}
	for _, one := range check.Authorities {
		if one.Address == good {
			if one.Failed != "" || !one.Verified || *one.Low > *one.High || *one.Low < -60_000 || *one.High > 60_000 {
				t.Errorf("%+v", one)
			}
			continue
		}
		if !strings.Contains(one.Failed, says[one.Address]) || one.Low != nil || one.Verified {
			t.Errorf("%+v, want %q", one, says[one.Address])
		}
		if !strings.Contains(errs.String(), one.Address) {
			t.Errorf("the alarm does not name %s: %s", one.Address, errs)
		}
	}
	if !strings.HasPrefix(errs.String(), "tutela: alarm: ") {
		t.Errorf("%s", errs)
	}
}

// An authority that never answers costs the time it is given and no more.
func TestStampBySilentAuthority(t *testing.T) {
	url, _ := serveAuthority(t, "silent")
	a, l, _ := stampedLab(t, nil, url)
	outcomes, err := stampNow(a, l, logSize(t, l), 50*time.Millisecond)
	if err != nil || failures(outcomes) == nil || !strings.Contains(failures(outcomes).Error(), context.DeadlineExceeded.Error()) {
		t.Errorf("%v, %v", outcomes, err)
	}
	if check := lastClockCheck(t, l); len(check.Authorities) != 1 || check.Authorities[0].Failed == "" {
		t.Errorf("%+v", check)
	}
}

// lastClockCheck is the last event, which must be one.
func lastClockCheck(t *testing.T, l *lab.Lab) (check tutela.ClockCheck) {
	t.Helper()
	log, err := l.ReadLog()
	if err != nil {
		t.Fatal(err)
	}
	var last tutela.Event
	for entry, err := range log.Events(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		last = entry.Event
	}
	if last.Kind != tutela.EventClockCheck {
		t.Fatalf("the last event is %s", last.Kind)
	}
	if err := tutela.DecodeDetail(last.Detail, &check); err != nil {
		t.Fatal(err)
	}
	return check
}

// Bounds in milliseconds only widen.
func TestFloorMilliseconds(t *testing.T) {
	for d, want := range map[time.Duration]int64{0: 0, 1: 0, -1: -1, 1999999: 1, -1999999: -2, -time.Millisecond: -1, time.Second: 1000} {
		if got := floorMilliseconds(d); got != want {
			t.Errorf("%d ns: %d ms, want %d", d, got, want)
		}
	}
}

// A clock that is set while work goes on is noticed, each time and either way.
func TestFollowClock(t *testing.T) {
	noon := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	readings := []timestamp.Reading{
		{Wall: noon, Mono: 0}, {Wall: noon.Add(10 * time.Second), Mono: 10 * time.Second},
		{Wall: noon.Add(time.Hour), Mono: 20 * time.Second}, {Wall: noon.Add(time.Hour + 10*time.Second), Mono: 30 * time.Second},
		{Wall: noon, Mono: 40 * time.Second},
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ticks := make(chan time.Time, len(readings))
	for range readings[1:] {
		ticks <- noon
	}
	read := 0
	var jumps []time.Duration
	followClock(ctx, func() timestamp.Reading {
		r := readings[read]
		if read++; read == len(readings) {
			cancel()
		}
		return r
	}, ticks, func() {}, func(jump time.Duration) { jumps = append(jumps, jump) })
	want := []time.Duration{time.Hour - 20*time.Second, -(time.Hour + 20*time.Second)}
	if !slices.Equal(jumps, want) {
		t.Errorf("%v, want %v", jumps, want)
	}
	if describeJump(want[0]) != "forward by 59m40s" || describeJump(want[1]) != "back by 1h0m20s" {
		t.Errorf("%s, %s", describeJump(want[0]), describeJump(want[1]))
	}
}
