package tutela

import (
	"slices"
	"time"
)

// Role is what a person in the lab is there for. What a role may do is laid down
// by the policies of package authority; a person may have several.
type Role string

// The roles of a lab.
const (
	RoleExaminer   Role = "examiner"                // scans and searches evidence
	RoleReviewer   Role = "reviewer"                // grades what was found
	RoleLead       Role = "case-lead"               // opens and closes cases, adds exhibits, proposes authorities
	RoleExchange   Role = "exchange-officer"        // gives to and takes from partners
	RoleLegal      Role = "legal-officer"           // approves and revokes authorities
	RoleCurator    Role = "curator"                 // keeps the hash sets
	RoleHotline    Role = "hotline-analyst"         // reads tips from the public
	RoleLiaison    Role = "platform-liaison"        // reads reports from platforms
	RoleProtection Role = "data-protection-officer" // sees what data is held and used, and no content
	RoleOversight  Role = "oversight"               // reads every log, and no content
	RoleDefence    Role = "defence-expert"          // reads one bundle
	RoleAdmin      Role = "system-administrator"    // runs the machine and the accounts, and reads no data
)

// Roles lists every role, in the order people are shown them.
func Roles() []Role {
	return []Role{RoleExaminer, RoleReviewer, RoleLead, RoleExchange, RoleLegal, RoleCurator, RoleHotline, RoleLiaison, RoleProtection, RoleOversight, RoleDefence, RoleAdmin}
}

// Account is a person who may log in to the lab's server. Name is who acts, as
// the log says it. How that person proves who they are is kept elsewhere.
type Account struct {
	Name   string    `json:"name"` // unique in the lab, never used again
	Person string    `json:"person,omitempty"`
	Roles  []Role    `json:"roles"`
	Added  time.Time `json:"added"`
	By     string    `json:"by,omitempty"`    // who added it; "" for the first
	Closed time.Time `json:"closed,omitzero"` // zero while it may log in
	Reason string    `json:"reason,omitempty"`
}

// Has reports whether the account has a role.
func (a *Account) Has(r Role) bool { return slices.Contains(a.Roles, r) }

// Open reports whether the account may log in.
func (a *Account) Open() bool { return a.Closed.IsZero() }

type (
	// AccountChange is the detail of EventAccountChange: the roles that an account
	// has from then on.
	AccountChange struct {
		Name  string `json:"name"`
		Roles []Role `json:"roles"`
		Link  bool   `json:"link,omitempty"` // a link was made by which its owner sets the password anew
	}

	// AccountClosing is the detail of EventAccountClose.
	AccountClosing struct {
		Name   string `json:"name"`
		Reason string `json:"reason"`
	}

	// Session is the detail of EventLogIn, EventLogOut and EventLogInRefused. It
	// names no secret: ID is the beginning of the SHA-256 of the session's token.
	Session struct {
		ID     string `json:"id,omitempty"`     // 16 hexadecimal digits; "" where no session began
		Means  string `json:"means,omitempty"`  // password, passkey, oidc, link
		From   string `json:"from,omitempty"`   // address of the other side
		Reason string `json:"reason,omitempty"` // why it was refused, or ended
	}
)
