package tutela

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// The details of events that are not a noun of their own. Fields are encoded in
// the order they are written here, and none may be left out: an event's detail
// is canonical, so that two people who encode the same act get the same bytes.
type (
	// ScanStart is the detail of EventScanStart.
	ScanStart struct {
		Exhibit string   `json:"exhibit"`
		Number  int      `json:"number"` // from 1; one more than the exhibit's scan before
		Profile string   `json:"profile"`
		Paths   []string `json:"paths"`   // what was pointed at, for people; see DisplayPath
		Restart bool     `json:"restart"` // somebody asked to begin anew
		Tool    string   `json:"tool"`    // name and version of what scans
	}

	// Seal is the detail of EventSeal: what a finished scan saw, fixed.
	Seal struct {
		Exhibit    string         `json:"exhibit"`
		Number     int            `json:"number"`
		Root       SHA256         `json:"root"`    // of the exhibit ledger's tree
		Records    uint64         `json:"records"` // leaves of that tree
		Bytes      int64          `json:"bytes"`   // read and digested
		Unreadable uint64         `json:"unreadable"`
		States     StateCounts    `json:"states"`
		Sources    []SealedSource `json:"sources"`
		Volumes    []SealedVolume `json:"volumes"`
		Unread     int64          `json:"unread_bytes"` // of contents that were read but for these
		Tool       string         `json:"tool"`
	}

	// SealedSource is a container of bytes that was read.
	SealedSource struct {
		Path   string `json:"path"`   // for people; see DisplayPath
		Format string `json:"format"` // "folder", "raw", "e01" …
		Size   int64  `json:"size"`   // bytes, -1 where unknown
	}

	// SealedVolume is a volume as it was found in a source.
	SealedVolume struct {
		Number     string `json:"number"` // as Record.Volume
		Filesystem string `json:"filesystem"`
		Offset     int64  `json:"offset"` // bytes from the beginning of the source
		Length     int64  `json:"length"` // bytes
	}

	// StateCounts says how many records were found in which state.
	StateCounts struct {
		Allocated uint64 `json:"allocated"`
		Deleted   uint64 `json:"deleted"`
		Orphan    uint64 `json:"orphan"`
		Carved    uint64 `json:"carved"`
		Slack     uint64 `json:"slack"`
		Embedded  uint64 `json:"embedded"`
	}

	// MatchRun is the detail of EventMatchRun: what the records of a scan meant
	// on a day.
	MatchRun struct {
		Exhibit    string       `json:"exhibit"`
		Number     int          `json:"number"`
		Run        int          `json:"run"` // from 1, rising
		Root       SHA256       `json:"root"`
		Matches    uint64       `json:"matches"`
		Sets       []SetVersion `json:"sets"`
		Alerts     uint64       `json:"alerts"`      // records with an alert
		OfInterest uint64       `json:"of_interest"` // records
		KnownGood  uint64       `json:"known_good"`  // records
	}

	// Disclose is the detail of EventDisclose: what its facts say, for people.
	Disclose struct {
		To       string          `json:"to"`
		Purpose  string          `json:"purpose"`
		Trees    []DisclosedTree `json:"trees"`
		Contents uint64          `json:"contents"` // of files, that are handed over with their records
	}

	// DisclosedTree says how many leaves of a tree were opened.
	DisclosedTree struct {
		Entry  uint64 `json:"entry"`  // of the event that names the root
		Name   string `json:"name"`   // of the fact: records or matches
		Leaves uint64 `json:"leaves"` // that were opened
	}

	// SetImport is the detail of EventSetImport.
	SetImport struct {
		Set     SetVersion `json:"set"`
		Source  string     `json:"source"` // name of what was imported, for people
		Digest  SHA256     `json:"source_sha256"`
		Refused uint64     `json:"refused"` // rows that held no digest
	}

	// SetRemove is the detail of EventSetRemove. It ends every version.
	SetRemove struct {
		Name   string `json:"name"`
		Reason string `json:"reason"`
	}

	// ToolValidate is the detail of EventToolValidate: how far another program
	// finds on an exhibit what a scan recorded.
	ToolValidate struct {
		Exhibit     string `json:"exhibit"`
		Number      int    `json:"number"`
		Root        SHA256 `json:"root"`   // of the records that were compared
		Tool        string `json:"tool"`   // name and version of what compared
		Oracle      string `json:"oracle"` // name and version of the other program
		Records     uint64 `json:"records"`
		Rows        uint64 `json:"rows"` // that the other program listed
		Agreed      uint64 `json:"agreed"`
		Contents    uint64 `json:"contents"` // that both read, and alike
		OnlyOurs    uint64 `json:"only_ours"`
		OnlyTheirs  uint64 `json:"only_theirs"`
		Name        uint64 `json:"name"`
		Content     uint64 `json:"content"`
		State       uint64 `json:"state"`
		Volume      uint64 `json:"volume"`
		NotCompared uint64 `json:"not_compared"`       // volumes
		Differences SHA256 `json:"differences_sha256"` // of the list, each in a line of its own
	}

	// KnownAnswers is the detail of EventToolValidate where no exhibit is named: how
	// many questions to which the answers are known a build of this program
	// answered.
	KnownAnswers struct {
		Version    string `json:"version"`
		Revision   string `json:"revision"` // of the sources; "" where unknown
		Modified   bool   `json:"modified"` // the sources differed from it
		Go         string `json:"go"`
		Platform   string `json:"platform"`   // "linux/amd64"
		Executable SHA256 `json:"executable"` // of the file that ran
		Corpus     SHA256 `json:"corpus"`     // of questions and answers
		Passed     int    `json:"passed"`
		Failed     int    `json:"failed"`
		Report     SHA256 `json:"report_sha256"`
	}

	// Revocation is the detail of EventAuthorityRevoke. The authority ends at
	// the time of the event.
	Revocation struct {
		Reference string `json:"reference"`
		Reason    string `json:"reason"`
	}

	// Decision is the detail of EventAuthorityApprove and EventAuthorityDecline:
	// what another person than the proposer said of a proposal.
	Decision struct {
		Reference string `json:"reference"`
		Reason    string `json:"reason,omitempty"` // of declining
	}

	// Look is the detail of EventAccess in the access ledger: what was read, and why.
	Look struct {
		Action  Action          `json:"action"`
		Purpose string          `json:"purpose,omitempty"` // in the person's own words
		What    json.RawMessage `json:"what,omitempty"`    // filters, numbers of leaves; no names of files
	}

	// AccessRoot is the detail of EventAccessRoot: how far the access ledger went.
	// Its fact FactReads holds the root. Used tells what was done since the event
	// before, by authority.
	AccessRoot struct {
		Period int               `json:"period"` // number of the access ledger
		Leaves uint64            `json:"leaves"`
		Root   SHA256            `json:"root"`
		Used   map[string]uint64 `json:"used,omitempty"`
	}

	// Transfer is the detail of EventTransfer. The event names the exhibit.
	Transfer struct {
		To     string `json:"to"`
		Reason string `json:"reason"`
	}

	// Receipt is the detail of EventReceive: an exhibit came from somebody outside.
	Receipt struct {
		From      string `json:"from"`
		To        string `json:"to"`        // who has it from then on
		Condition string `json:"condition"` // of bag and seal, as it was found; "" if not told
	}

	// Acquisition is the detail of EventImage: an image of the exhibit's medium was
	// made.
	Acquisition struct {
		Image  string    `json:"image"`  // where it lies, as it was given, printable; "" if not told
		Size   int64     `json:"size"`   // of the medium, in bytes; −1 if not told
		SHA256 SHA256    `json:"sha256"` // of the medium
		Read   bool      `json:"read"`   // this program made the digest; else it is as told
		By     string    `json:"by"`     // who made the image
		At     time.Time `json:"at"`     // when, as told; zero if not told
		Tool   string    `json:"tool"`   // with what, as told
	}
)

// Add counts n more records in a state. A state without a name counts nowhere.
func (c *StateCounts) Add(s State, n uint64) {
	if p := c.of(s); p != nil {
		*p += n
	}
}

// Of is how many records were counted in a state.
func (c StateCounts) Of(s State) uint64 {
	if p := c.of(s); p != nil {
		return *p
	}
	return 0
}

func (c *StateCounts) of(s State) *uint64 {
	switch s {
	case Allocated:
		return &c.Allocated
	case Deleted:
		return &c.Deleted
	case Orphan:
		return &c.Orphan
	case Carved:
		return &c.Carved
	case Slack:
		return &c.Slack
	case Embedded:
		return &c.Embedded
	}
	return nil
}

// EncodeDetail writes an event's detail: compact JSON, fields in the order of
// their declaration, characters as they are and not escaped for HTML. It takes
// a noun or one of the details above; no maps, they have no order.
func EncodeDetail(detail any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(detail); err != nil {
		return nil, fmt.Errorf("encode detail: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// DecodeDetail reads an event's detail into what its kind calls for. A field
// that is not known and anything after the value are errors: half understood is
// not understood.
func DecodeDetail(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("decode detail: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("decode detail: something follows the value")
	}
	return nil
}

// NewEvent is an event of a kind with its detail encoded. The caller fills in
// what else it is about.
func NewEvent(kind EventKind, at time.Time, actor string, detail any) (Event, error) {
	raw, err := EncodeDetail(detail)
	if err != nil {
		return Event{}, fmt.Errorf("%s event: %w", kind, err)
	}
	return Event{Kind: kind, Time: at.UTC(), Actor: actor, Detail: raw}, nil
}

// MarshalText writes the digest as 64 hexadecimal digits, so that JSON holds a
// string people can search for instead of a list of numbers.
func (d SHA256) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (d *SHA256) UnmarshalText(text []byte) (err error) {
	*d, err = ParseSHA256(string(text))
	return err
}
