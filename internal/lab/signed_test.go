package lab

import (
	"path/filepath"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/ledger"
)

// TestVerifyJudgesSignatures writes past the rules that recording keeps, as who has
// the log's keys can, and has verifying name each.
func TestVerifyJudgesSignatures(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "lab")
	if err := Init(t.Context(), dir, Config{Agency: "Example Police", Country: "BE"}, "erika"); err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), dir, Write, "erika")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	erika, max := newPersonKey(t, "erika", 1), newPersonKey(t, "max", 2)
	signed := func(k personKey, ev tutela.Event) tutela.Event {
		ev.Signer = k.KeyID()
		ev.Signature, _ = k.Sign(ledger.EventMessage(&ev))
		return ev
	}
	act := func(actor string) tutela.Event { return tutela.Event{Kind: tutela.EventRefused, Actor: actor} }
	changed := signed(erika, act("erika"))
	changed.Case = "another"
	demand, err := tutela.EncodeDetail(Policy{Signatures: true})
	if err != nil {
		t.Fatal(err)
	}
	enrol := func(k personKey, who string) tutela.Event {
		ev := k.event(tutela.EventKeyEnrol, who)
		ev.Actor = "erika"
		return ev
	}
	withdraw := max.event(tutela.EventKeyWithdraw, "max")
	withdraw.Actor = "erika"
	for _, c := range []struct {
		ev   tutela.Event
		want string // a part of the problem; "" for none
	}{
		{act("erika"), ""},
		{signed(erika, act("erika")), "none of erika's"},
		{enrol(erika, "erika"), ""},
		{signed(erika, act("erika")), ""},
		{signed(erika, act("max")), "none of max's"},
		{changed, "does not hold"},
		{tutela.Event{Kind: tutela.EventRefused, Actor: "erika", Signer: erika.KeyID()}, "does not hold"},
		{signed(erika, tutela.Event{Kind: tutela.EventPolicyChange, Actor: "erika", Detail: demand}), ""},
		{act("erika"), "not signed"},
		{signed(erika, enrol(max, "max")), ""},
		{signed(max, act("max")), ""},
		{signed(erika, withdraw), ""},
		{signed(max, act("max")), "none of max's"},
		{signed(erika, act("erika")), ""},
	} {
		before := problemsOf(t, l)
		if _, err := l.log.Append(t.Context(), c.ev); err != nil {
			t.Fatal(err)
		}
		fresh := problemsOf(t, l)[len(before):]
		if c.want == "" && len(fresh) > 0 || c.want != "" && (len(fresh) != 1 || !strings.Contains(fresh[0], c.want)) {
			t.Errorf("%s by %s: %q, want %q", c.ev.Kind, c.ev.Actor, fresh, c.want)
		}
	}
}

func problemsOf(t *testing.T, l *Lab) []string {
	t.Helper()
	v, err := l.Verify(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return v.Problems
}
