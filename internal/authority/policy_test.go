package authority

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tutela"
)

var everyStanding = []standing{stands, none, waits, declined, revoked, ended, early, uncovered, spent}

// readRoles reads testdata/roles.txt: the cell of each action and role.
func readRoles(t *testing.T) (roles []tutela.Role, cells map[tutela.Action]map[tutela.Role]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "roles.txt"))
	if err != nil {
		t.Fatal(err)
	}
	cells = map[tutela.Action]map[tutela.Role]string{}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "#":
		case words[0] == "action":
			for _, w := range words[1:] {
				roles = append(roles, tutela.Role(w))
			}
		case words[0] != "action" && strings.HasPrefix(line, "#"):
		default:
			if len(words) != len(roles)+1 {
				t.Fatalf("%q has %d cells, not %d", words[0], len(words)-1, len(roles))
			}
			row := map[tutela.Role]string{}
			for i, w := range words[1:] {
				row[roles[i]] = w
			}
			cells[tutela.Action(words[0])] = row
		}
	}
	return roles, cells
}

// TestEveryCell asks the policies for every action, role, standing of an authority
// and ownership of the proposal, and holds each answer against the table.
func TestEveryCell(t *testing.T) {
	roles, cells := readRoles(t)
	for _, r := range append(tutela.Roles(), holder) {
		if !slices.Contains(roles, r) {
			t.Errorf("the table has no column for %s", r)
		}
	}
	rules, asked := newRules(), 0
	for _, action := range slices.Concat(EvidenceActions(), LabActions()) {
		row, ok := cells[action]
		if !ok {
			t.Errorf("the table has no row for %s", action)
		}
		for _, role := range roles {
			for _, how := range everyStanding {
				for _, own := range []bool{false, true} {
					q := question{actor: "anna", roles: []tutela.Role{role}, action: action, authority: how, own: own}
					if needsAuthority(action) {
						q.exhibit = "7-B"
					}
					permitted, _, err := rules.decide(q)
					if want := cell(t, row[role], how, own); permitted != want || err != nil {
						t.Errorf("%s, %s, authority %s, own %v: %v, %v", role, action, how, own, permitted, err)
					}
					asked++
				}
			}
		}
	}
	t.Logf("%d questions", asked)
}

func cell(t *testing.T, letter string, how standing, own bool) bool {
	t.Helper()
	switch letter {
	case "A":
		return how == stands
	case "R":
		return true
	case "O":
		return !own
	case "-":
		return false
	}
	t.Fatalf("the table has a cell %q", letter)
	return false
}

// TestForbidsWin gives people two roles: what one of them must never do, the other
// does not bring.
func TestForbidsWin(t *testing.T) {
	rules := newRules()
	_, cells := readRoles(t)
	for _, c := range []struct {
		role   tutela.Role
		never  []tutela.Action
		beside []tutela.Role
	}{
		{tutela.RoleAdmin, append(EvidenceActions(), tutela.ActionCaseRead, tutela.ActionLookup), tutela.Roles()},
		{tutela.RoleOversight, EvidenceActions(), tutela.Roles()},
		{tutela.RoleProtection, EvidenceActions(), tutela.Roles()},
		{tutela.RoleOversight, []tutela.Action{tutela.ActionAuthorityApprove, tutela.ActionSetImport, tutela.ActionAccounts, tutela.ActionCaseOpen}, tutela.Roles()},
	} {
		for _, action := range c.never {
			carried := 0
			for _, other := range c.beside {
				if letter := cells[action][other]; letter != "-" && other != c.role {
					carried++
				}
				q := question{actor: "anna", roles: []tutela.Role{c.role, other}, action: action, authority: stands}
				if needsAuthority(action) {
					q.exhibit = "7-B"
				}
				if permitted, _, err := rules.decide(q); permitted || err != nil {
					t.Errorf("%s and %s: %s is permitted, %v", c.role, other, action, err)
				}
			}
			if carried == 0 {
				t.Errorf("no other role carries %s: nothing was tried", action)
			}
		}
	}
}

// TestNobodyAndStrangers: no role carries nothing, and neither does one, or an
// action, that is not known.
func TestNobodyAndStrangers(t *testing.T) {
	rules := newRules()
	for _, roles := range [][]tutela.Role{{}, {"root"}, {""}} {
		for _, action := range append(slices.Concat(EvidenceActions(), LabActions()), "fly", "") {
			if permitted, _, err := rules.decide(question{actor: "x", roles: roles, action: action, exhibit: "7-B", authority: stands}); permitted || err != nil {
				t.Errorf("%q may %s: %v", roles, action, err)
			}
		}
	}
}

// TestOnlyPoliciesThatSpeakAreAsked asks all policies as well: they must not say
// anything else.
func TestOnlyPoliciesThatSpeakAreAsked(t *testing.T) {
	some, all := newRules(), newRules()
	for a := range all.of {
		all.of[a] = all.policies
	}
	for _, action := range slices.Concat(EvidenceActions(), LabActions()) {
		for _, role := range append(tutela.Roles(), holder) {
			for _, how := range everyStanding {
				q := question{actor: "anna", roles: []tutela.Role{role}, action: action, exhibit: "7-B", authority: how}
				got, _, err := some.decide(q)
				want, _, err2 := all.decide(q)
				if got != want || err != nil || err2 != nil {
					t.Errorf("%s, %s, %s: %v, and %v by all policies", role, action, how, got, want)
				}
			}
		}
		if n := len(some.of[action]); n == 0 || n == len(all.policies) {
			t.Errorf("%d policies speak of %s", n, action)
		}
	}
}

// TestEveryPolicyHasAName, by which a decision is told.
func TestEveryPolicyHasAName(t *testing.T) {
	rules := newRules()
	if n := strings.Count(string(policies), "@id("); n != len(rules.policies) || n == 0 {
		t.Errorf("%d policies, %d names", n, len(rules.policies))
	}
	if n := strings.Count(string(policies), "\npermit (") + strings.Count(string(policies), "\nforbid ("); n != len(rules.policies) {
		t.Errorf("%d policies are written, %d are read", n, len(rules.policies))
	}
}

// TestRolesPage holds the page of roles against the table. UPDATE_DOCS=1 writes it.
func TestRolesPage(t *testing.T) {
	roles, cells := readRoles(t)
	var b strings.Builder
	b.WriteString("<!-- table:begin -->\n| |")
	for _, r := range roles {
		b.WriteString(" " + strings.ReplaceAll(string(r), "-", "‑") + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat(":-:|", len(roles)) + "\n")
	for _, action := range slices.Concat(EvidenceActions(), LabActions()) {
		b.WriteString("| `" + string(action) + "` |")
		for _, r := range roles {
			b.WriteString(" " + map[string]string{"-": "", "A": "A", "R": "●", "O": "○"}[cells[action][r]] + " |")
		}
		b.WriteString("\n")
	}
	b.WriteString("<!-- table:end -->\n")
	page := filepath.Join("..", "..", "docs", "reference", "roles.md")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), "<!-- table:begin -->\n")
	_, after, ok2 := strings.Cut(rest, "<!-- table:end -->\n")
	if !ok || !ok2 {
		t.Fatal("the page has no table")
	}
	want := before + b.String() + after
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Error("docs/reference/roles.md is not what the policies say: UPDATE_DOCS=1 go test ./internal/authority -run TestRolesPage")
	}
}

// BenchmarkDecide asks what is asked most: an examiner's query under an authority.
func BenchmarkDecide(b *testing.B) {
	rules := newRules()
	q := question{actor: "anna", roles: []tutela.Role{tutela.RoleExaminer, tutela.RoleReviewer}, action: tutela.ActionQuery, exhibit: "7-B", authority: stands}
	for b.Loop() {
		if permitted, _, err := rules.decide(q); !permitted || err != nil {
			b.Fatal(err)
		}
	}
}
