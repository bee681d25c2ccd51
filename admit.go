package tutela

import "time"

// Admit is the detail of EventAdmit: a scan that was sealed in the log of another
// lab was verified there, copied and verified again. The trees that it names are
// those that were sealed; the event's facts tell their roots. Fields are encoded in
// the order they are written here.
type Admit struct {
	Exhibit string `json:"exhibit"`
	Number  int    `json:"number"` // of the scan, there and here

	// The other log, as it was found.
	Origin   string   `json:"origin"`
	LogKeys  []string `json:"log_keys"` // vkeys of C2SP signed-note
	HeadSize uint64   `json:"head_size"`
	HeadRoot SHA256   `json:"head_root"`

	// The seal there, so that it can be proven from this event alone.
	SealIndex uint64 `json:"seal_index"`
	LogProof  string `json:"log_proof"` // C2SP tlog-proof with the signed head
	LogSalt   SHA256 `json:"log_salt"`
	LogBody   []byte `json:"log_body"` // of the seal event

	// Who did it there, when by that lab's clock, and on what ground. The proof
	// covers actor, sealed and seal; the rest stands in the other log, and was read
	// there.
	Actor     string    `json:"actor"` // of the seal
	Authority string    `json:"authority"`
	Started   time.Time `json:"started"`
	Sealed    time.Time `json:"sealed"`
	Matched   time.Time `json:"matched"`

	Start  ScanStart  `json:"start"`
	Seal   Seal       `json:"seal"`
	Runs   []MatchRun `json:"runs"`   // by rising number, at least one
	Erased ErasedScan `json:"erased"` // there, before it was admitted
}
