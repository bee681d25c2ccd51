package verify

import (
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tutela"
	"tutela/internal/ledger/check"
)

// factRule is a row of the table of docs/reference/bundle-format.md, "Facts".
type factRule struct {
	kinds []tutela.EventKind // that may have the fact
	must  bool               // and have to
	many  bool               // one for each key
	form  func(*event, tutela.Fact) error
}

var (
	seals     = []tutela.EventKind{tutela.EventSeal, tutela.EventInterim, tutela.EventMatchRun, tutela.EventRenew, tutela.EventAdmit}
	matchings = []tutela.EventKind{tutela.EventMatchRun, tutela.EventRenew, tutela.EventAdmit}
	enrolling = []tutela.EventKind{tutela.EventKeyEnrol, tutela.EventKeyWithdraw}
	disclosed = []tutela.EventKind{tutela.EventDisclose}
	rotating  = []tutela.EventKind{tutela.EventKeyRotate}
	recovery  = []tutela.EventKind{tutela.EventRecoveryKey}
)

// factRules is the table. Facts that it does not name are free.
var factRules = map[string]factRule{
	tutela.FactRecords:       {kinds: seals, form: firstRoot},
	tutela.FactRecords512:    {kinds: seals, form: secondRoot},
	tutela.FactMatches:       {kinds: matchings, form: firstRoot},
	tutela.FactMatches512:    {kinds: matchings, form: secondRoot},
	tutela.FactOpened:        {kinds: disclosed, must: true, form: firstRoot},
	tutela.FactTo:            {kinds: disclosed, must: true, form: headerText},
	tutela.FactPurpose:       {kinds: disclosed, must: true, form: headerText},
	tutela.FactActor:         {kinds: enrolling, must: true, form: withoutNumber},
	tutela.FactActorKey:      {kinds: enrolling, must: true, form: signerKey},
	tutela.FactLogKey:        {kinds: rotating, must: true, many: true, form: logKey},
	tutela.FactRetiredLogKey: {kinds: rotating, must: true, many: true, form: logKey},
	tutela.FactRecoveryKey:   {kinds: recovery, must: true, form: signerKey},
}

// checkFacts holds the facts of an event against the table.
func (e *event) checkFacts() error {
	type once struct{ name, value string }
	seen := make(map[once]bool, len(e.Facts))
	for _, f := range e.Facts {
		rule, known := factRules[f.Name]
		key := once{name: f.Name}
		if rule.many {
			key.value = string(f.Value)
		}
		switch {
		case seen[key]:
			return fmt.Errorf("a fact that stands twice: %q", f.Name)
		case known && !slices.Contains(rule.kinds, e.Kind):
			return fmt.Errorf("a fact %q of an event %q", f.Name, e.Kind)
		case known:
			if err := rule.form(e, f); err != nil {
				return fmt.Errorf("fact %q: %w", f.Name, err)
			}
		}
		seen[key] = true
	}
	return e.lacksNone()
}

func (e *event) lacksNone() error {
	for _, name := range slices.Sorted(maps.Keys(factRules)) {
		rule := factRules[name]
		if !rule.must || !slices.Contains(rule.kinds, e.Kind) {
			continue
		}
		if _, ok := e.fact(name); !ok {
			return fmt.Errorf("an event %q without a fact %q", e.Kind, name)
		}
	}
	return nil
}

func firstRoot(_ *event, f tutela.Fact) error {
	if len(f.Value) != sha256.Size {
		return fmt.Errorf("a hash of %d bytes", len(f.Value))
	}
	return nil
}

// secondRoot stands beside a first one of as many leaves.
func secondRoot(e *event, f tutela.Fact) error {
	first, ok := e.fact(strings.TrimSuffix(f.Name, secondSuffix))
	if !ok || first.Number != f.Number || len(f.Value) != sha512.Size {
		return errors.New("a second root without the first, of another size, or too short")
	}
	return nil
}

// secondSuffix makes the name of a second root from that of the first.
const secondSuffix = "-sha512"

func withoutNumber(_ *event, f tutela.Fact) error {
	if f.Number != 0 {
		return fmt.Errorf("a text with the number %d", f.Number)
	}
	return nil
}

func headerText(e *event, f tutela.Fact) error {
	return errors.Join(withoutNumber(e, f), check.CheckBundleValue(string(f.Value)))
}

func signerKey(e *event, f tutela.Fact) error {
	_, err := check.ParseSignerKey(string(f.Value))
	return errors.Join(withoutNumber(e, f), err)
}

func logKey(e *event, f tutela.Fact) error {
	_, err := check.ParseVerifierKey(string(f.Value))
	return errors.Join(withoutNumber(e, f), err)
}
