package tutela

import (
	"slices"
	"strings"
	"time"
)

// Case is an investigation.
type Case struct {
	Number  string
	Title   string
	Lead    string
	Status  CaseStatus
	Outcome string // free text, set on closing
	Opened  time.Time
	Closed  time.Time // zero while open
}

// CaseStatus is where an investigation stands.
type CaseStatus string

// The four places a case can stand.
const (
	CaseOpen      CaseStatus = "open"
	CaseCharged   CaseStatus = "charged"
	CaseClosed    CaseStatus = "closed"
	CaseDismissed CaseStatus = "dismissed"
)

// Exhibit is a seized thing: a computer, a drive, a stick, a phone, an account.
type Exhibit struct {
	Label      string // unique in the lab, as written on the bag
	Case       string
	Kind       string
	Make       string
	Model      string
	Serial     string
	SeizedAt   time.Time // zero if not told
	SeizedFrom string
	Holder     string // who has it now
	Added      time.Time
}

// AuthorityKind is the legal ground of an act.
type AuthorityKind string

// The legal grounds that exist. A lab's legal profile decides which of them
// may carry which action.
const (
	SearchWarrant     AuthorityKind = "search-warrant"
	ProductionOrder   AuthorityKind = "production-order"
	PreservationOrder AuthorityKind = "preservation-order"
	StatutoryTask     AuthorityKind = "statutory-task"
	Consent           AuthorityKind = "consent"
	TreatyRequest     AuthorityKind = "treaty-request"
	Emergency         AuthorityKind = "emergency"
)

// AuthorityKinds lists every legal ground, in the order people are shown them.
func AuthorityKinds() []AuthorityKind {
	return []AuthorityKind{SearchWarrant, ProductionOrder, PreservationOrder, StatutoryTask, Consent, TreatyRequest, Emergency}
}

// Action is something that needs an Authority.
type Action string

// The actions that need a Grant.
const (
	ActionScan     Action = "scan"
	ActionRematch  Action = "rematch"
	ActionRescan   Action = "rescan"
	ActionView     Action = "view"
	ActionExport   Action = "export"
	ActionDisclose Action = "disclose"
	ActionErase    Action = "erase" // of records, for ever
	ActionQuery    Action = "query" // of what was recorded and matched, without contents
)

// The actions that need no Authority: what a role carries is enough.
const (
	ActionCaseOpen         Action = "case-open"
	ActionCaseClose        Action = "case-close"
	ActionExhibitAdd       Action = "exhibit-add" // also transfers and receipts
	ActionAuthorityPropose Action = "authority-propose"
	ActionAuthorityApprove Action = "authority-approve" // or decline; never one's own proposal
	ActionAuthorityRevoke  Action = "authority-revoke"
	ActionSetImport        Action = "set-import" // also removing
	ActionLookup           Action = "lookup"     // of digests in the hash sets
	ActionCaseRead         Action = "case-read"  // of cases, exhibits, authorities and custody
	ActionLedgerRead       Action = "ledger-read"
	ActionOversee          Action = "oversee" // reading every log, without content
	ActionOutcomes         Action = "outcomes"
	ActionAccounts         Action = "accounts" // adding, changing, closing
	ActionSettings         Action = "settings"
)

// Authority is why something may be done.
type Authority struct {
	Reference string // unique in the lab, as the issuer wrote it
	Case      string
	Kind      AuthorityKind
	Issuer    string
	Offence   string
	Purpose   string
	From      time.Time // inclusive
	Until     time.Time // exclusive
	Exhibits  []string  // labels it covers; empty covers all of the case
	Actions   []Action  // empty covers all but erasing
	Document  *SHA256   // of the order itself
	Revoked   time.Time // zero while it stands
	Reason    string    // why it was revoked or declined
	Added     time.Time

	Parent     string    `json:",omitempty"` // reference of the authority it rests on: it ends when that one does
	Queries    uint64    `json:",omitempty"` // how often it may be acted under; 0 is without limit
	Used       uint64    `json:",omitempty"` // how often it was, as far as the log tells
	ProposedBy string    `json:",omitempty"` // "" for one that was added without a proposal
	ApprovedBy string    `json:",omitempty"` // "" while it was not
	Approved   time.Time `json:",omitzero"`
	Declined   time.Time `json:",omitzero"` // zero unless it was
}

// Waits reports whether the authority was proposed and is not decided on yet:
// nothing may be done under it.
func (a *Authority) Waits() bool {
	return a.ProposedBy != "" && a.Approved.IsZero() && a.Declined.IsZero()
}

// Covers reports whether the authority's scope names the exhibit and the
// action. Erasing must be named: it cannot be undone, and no warrant to search is
// an order to erase. It says nothing about time; see [Authority.ActiveAt].
func (a *Authority) Covers(exhibit string, action Action) bool {
	return (len(a.Exhibits) == 0 || slices.Contains(a.Exhibits, exhibit)) &&
		(len(a.Actions) == 0 && action != ActionErase || slices.Contains(a.Actions, action))
}

// ActiveAt reports whether the authority stands at t, by itself: what it rests on
// is another question.
func (a *Authority) ActiveAt(t time.Time) bool {
	if t.Before(a.From) || !t.Before(a.Until) || a.Waits() || !a.Declined.IsZero() {
		return false
	}
	return a.Revoked.IsZero() || t.Before(a.Revoked)
}

// EventKind says what happened. Every change of the lab's state is an event in
// the agency log.
type EventKind string

// The custody events, and those that change what a lab knows about itself.
const (
	EventInit            EventKind = "init"
	EventCaseOpen        EventKind = "case-open"
	EventCaseClose       EventKind = "case-close"
	EventAuthorityAdd    EventKind = "authority-add"
	EventAuthorityRevoke EventKind = "authority-revoke"

	EventAuthorityPropose EventKind = "authority-propose" // stands for nothing until another person approves
	EventAuthorityApprove EventKind = "authority-approve"
	EventAuthorityDecline EventKind = "authority-decline"

	EventSeize        EventKind = "seize"
	EventReceive      EventKind = "receive"
	EventTransfer     EventKind = "transfer"
	EventImage        EventKind = "image" // an image of it was acquired
	EventVerifyImage  EventKind = "verify-image"
	EventScanStart    EventKind = "scan-start"
	EventInterim      EventKind = "interim"
	EventSeal         EventKind = "seal"
	EventMatchRun     EventKind = "match-run"
	EventRenew        EventKind = "renew"  // a sealed tree was given a root under another hash
	EventRepair       EventKind = "repair" // damaged files of a sealed tree were made again, with the same root
	EventAdmit        EventKind = "admit"  // a scan that was sealed in another log was taken over
	EventGrade        EventKind = "grade"
	EventAccess       EventKind = "access"
	EventExport       EventKind = "export"
	EventDisclose     EventKind = "disclose"
	EventErase        EventKind = "erase"
	EventAccessRoot   EventKind = "access-root" // how far the access ledger went, with its root
	EventRefused      EventKind = "refused"
	EventSetImport    EventKind = "hash-set-import"
	EventSetRemove    EventKind = "hash-set-remove"
	EventToolValidate EventKind = "tool-validate"

	EventAccountAdd    EventKind = "account-add"
	EventAccountChange EventKind = "account-change"
	EventAccountClose  EventKind = "account-close"
	EventLogIn         EventKind = "log-in"
	EventLogOut        EventKind = "log-out"
	EventLogInRefused  EventKind = "log-in-refused"

	EventKeyEnrol     EventKind = "key-enrol"    // of a person, who signs events from then on
	EventKeyWithdraw  EventKind = "key-withdraw" // of a person
	EventKeyRotate    EventKind = "key-rotate"   // of the log
	EventRecoveryKey  EventKind = "recovery-key" // that may rotate the log's keys when they are lost
	EventPolicyChange EventKind = "policy-change"
	EventClockCheck   EventKind = "clock-check" // the clock of the machine was held against others
)

// Event is one entry of the agency log. Detail is the canonical JSON of what
// the kind calls for: a Case, an Authority, an Exhibit, a Seal.
type Event struct {
	Kind      EventKind
	Time      time.Time // the lab's clock; not evidence alone
	Actor     string
	Case      string
	Exhibit   string
	Authority string // reference it was done under, "" where none is needed
	Detail    []byte
	Key       string // idempotency: a retry after a crash may append twice

	Facts     []Fact // what a proof of this event can rest on, without reading Detail
	Signer    string // key ID of the actor's key, 8 hexadecimal digits; "" if nobody signed
	Signature []byte // by the actor, of all above: see ledger.EventMessage
	Previous  uint64 // 1 + index of the event before about the same exhibit; 0 if there is none. The log sets it
}

// Fact is a part of an event that verifiers read: a name from the list below, a
// number and a value, whose meaning the name tells.
type Fact struct {
	Name   string
	Number uint64
	Value  []byte
}

// Fact is the first fact of a name; the zero Fact if there is none.
func (e *Event) Fact(name string) Fact {
	for _, f := range e.Facts {
		if f.Name == name {
			return f
		}
	}
	return Fact{}
}

// Text is the value of the first fact of a name, as text.
func (e *Event) Text(name string) string { return string(e.Fact(name).Value) }

// KeyID is the middle part of a vkey of C2SP signed-note; "" if it has none.
func KeyID(vkey string) string {
	_, rest, _ := strings.Cut(vkey, "+")
	id, _, _ := strings.Cut(rest, "+")
	return id
}

// KeyBytes is the last part of a vkey of C2SP signed-note: the algorithm and the
// public key in base64; "" if it has none.
func KeyBytes(vkey string) string {
	_, rest, _ := strings.Cut(vkey, "+")
	_, key, _ := strings.Cut(rest, "+")
	return key
}

// KeyWithdrawal is the detail of a key-withdraw event.
type KeyWithdrawal struct {
	Reason string `json:"reason"`
}

// KeyRotation is the detail of a key-rotate event.
type KeyRotation struct {
	Reason string `json:"reason"`
}

// The names of facts. They must never change.
const (
	FactRecords       = "records"         // of a seal or interim: leaves and root of the record tree, SHA-256
	FactMatches       = "matches"         // of a match run: leaves and root of its tree, SHA-256
	FactRecords512    = "records-sha512"  // the same leaves under SHA-512
	FactMatches512    = "matches-sha512"  // the same leaves under SHA-512
	FactReads         = "reads"           // of an access-root: leaves and root of the access ledger, SHA-256
	FactOpened        = "opened"          // of a disclosure: how many leaves were opened, SHA-256 over their hashes
	FactTo            = "to"              // of a disclosure: to whom, UTF-8
	FactPurpose       = "purpose"         // of a disclosure, UTF-8
	FactActor         = "actor"           // of key-enrol and key-withdraw: whose key, UTF-8
	FactActorKey      = "actor-key"       // of key-enrol and key-withdraw: the vkey of C2SP signed-note
	FactLogKey        = "log-key"         // of key-rotate: a vkey that signs from then on; one fact for each
	FactRetiredLogKey = "retired-log-key" // of key-rotate: a vkey that signed until then; one fact for each
	FactRecoveryKey   = "recovery-key"    // of recovery-key: the vkey
)
