package authority

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/cedar-policy/cedar-go"

	"tutela"
)

//go:embed policies.cedar
var policies []byte

// holder is the role of whoever works on the command line without an account.
const holder tutela.Role = "holder"

// EvidenceActions are those that need an authority over an exhibit, LabActions those
// that a role carries by itself. Every action is one of them.
func EvidenceActions() []tutela.Action {
	return []tutela.Action{
		tutela.ActionScan, tutela.ActionRematch, tutela.ActionRescan, tutela.ActionQuery, tutela.ActionView,
		tutela.ActionExport, tutela.ActionDisclose, tutela.ActionErase,
	}
}

// LabActions are described with EvidenceActions.
func LabActions() []tutela.Action {
	return []tutela.Action{
		tutela.ActionCaseRead, tutela.ActionCaseOpen, tutela.ActionCaseClose, tutela.ActionExhibitAdd,
		tutela.ActionAuthorityPropose, tutela.ActionAuthorityApprove, tutela.ActionAuthorityRevoke,
		tutela.ActionSetImport, tutela.ActionLookup, tutela.ActionLedgerRead, tutela.ActionOversee,
		tutela.ActionOutcomes, tutela.ActionAccounts, tutela.ActionSettings,
	}
}

func needsAuthority(a tutela.Action) bool { return slices.Contains(EvidenceActions(), a) }

// standing is how an authority stands for an act, as policies read it.
type standing string

const (
	stands    standing = "stands"
	none      standing = "none" // there is no authority at all
	waits     standing = "waits"
	declined  standing = "declined"
	revoked   standing = "revoked" // it, or one that it rests on
	ended     standing = "ended"
	early     standing = "early"
	uncovered standing = "uncovered"
	spent     standing = "spent"
)

// question is what the policies are asked.
type question struct {
	actor     string
	roles     []tutela.Role
	action    tutela.Action
	exhibit   string // "" where the act is not about one
	authority standing
	own       bool
}

// rules are the policies, ready to be asked. They are safe for concurrent use.
type rules struct {
	policies cedar.PolicyMap
	of       map[tutela.Action]cedar.PolicyMap // those of policies that speak of an action
	actions  map[cedar.EntityUID]cedar.Entity
}

// newRules reads the policies. They are part of the program: if they do not parse,
// that is a fault of it.
func newRules() *rules {
	set, err := cedar.NewPolicySetFromBytes("policies.cedar", policies)
	if err != nil {
		panic("internal error: policies: " + err.Error())
	}
	r := &rules{policies: cedar.PolicyMap{}, of: map[tutela.Action]cedar.PolicyMap{}, actions: map[cedar.EntityUID]cedar.Entity{}}
	for _, p := range set.All() {
		r.policies[cedar.PolicyID(p.Annotations()["id"])] = p
	}
	for group, actions := range map[cedar.String][]tutela.Action{"evidence": EvidenceActions(), "lab": LabActions()} {
		for _, a := range actions {
			uid := actionID(a)
			r.actions[uid] = cedar.Entity{UID: uid, Parents: cedar.NewEntityUIDSet(cedar.NewEntityUID("Action", group))}
			r.of[a] = r.speakingOf(a, string(group))
		}
	}
	return r
}

// speakingOf are the policies whose scope has room for an action. The others cannot
// decide on it, and need not be asked.
func (r *rules) speakingOf(a tutela.Action, group string) cedar.PolicyMap {
	some := cedar.PolicyMap{}
	for id, p := range r.policies {
		var scope struct {
			Action struct {
				Op       string
				Entity   entityName
				Entities []entityName
			}
		}
		text, err := p.MarshalJSON()
		if err == nil {
			err = json.Unmarshal(text, &scope)
		}
		if err != nil {
			panic("internal error: policy " + string(id) + ": " + err.Error())
		}
		named := append(scope.Action.Entities, scope.Action.Entity)
		if scope.Action.Op == "All" || slices.Contains(named, entityName{"Action", string(a)}) || slices.Contains(named, entityName{"Action", group}) {
			some[id] = p
		}
	}
	return some
}

// entityName is how the JSON of Cedar names an entity.
type entityName struct{ Type, ID string }

func actionID(a tutela.Action) cedar.EntityUID { return cedar.NewEntityUID("Action", cedar.String(a)) }

// entities are what a question is about: the person with their roles, and the
// groups of actions.
type entities struct {
	person  cedar.Entity
	actions map[cedar.EntityUID]cedar.Entity
}

// Get implements cedar.EntityGetter.
func (e *entities) Get(uid cedar.EntityUID) (cedar.Entity, bool) {
	if uid == e.person.UID {
		return e.person, true
	}
	entity, ok := e.actions[uid]
	return entity, ok
}

// decide asks the policies. Any error in them refuses. why names the policies that
// decided.
func (r *rules) decide(q question) (permitted bool, why []string, err error) {
	roles := q.roles
	if roles == nil {
		roles = []tutela.Role{holder}
	}
	parents := make([]cedar.EntityUID, len(roles))
	for i, role := range roles {
		parents[i] = cedar.NewEntityUID("Role", cedar.String(role))
	}
	person := cedar.Entity{UID: cedar.NewEntityUID("Person", cedar.String(q.actor)), Parents: cedar.NewEntityUIDSet(parents...)}
	resource := cedar.NewEntityUID("Lab", "lab")
	if q.exhibit != "" {
		resource = cedar.NewEntityUID("Exhibit", cedar.String(q.exhibit))
	}
	decision, diagnostic := cedar.Authorize(r.of[q.action], &entities{person, r.actions}, cedar.Request{
		Principal: person.UID, Action: actionID(q.action), Resource: resource,
		Context: cedar.NewRecord(cedar.RecordMap{"authority": cedar.String(q.authority), "own": cedar.Boolean(q.own)}),
	})
	if len(diagnostic.Errors) > 0 {
		return false, nil, fmt.Errorf("policy %s: %s", diagnostic.Errors[0].PolicyID, diagnostic.Errors[0].Message)
	}
	for _, reason := range diagnostic.Reasons {
		why = append(why, string(reason.PolicyID))
	}
	return decision == cedar.Allow, why, nil
}
