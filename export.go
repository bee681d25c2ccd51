package tutela

// Export is the detail of an export event: what left the lab, which proves nothing
// by itself. What carries its proofs is disclosed.
type Export struct {
	Format  string `json:"format"`            // report, case for CASE/UCO, or oversight for both ledgers
	To      string `json:"to,omitempty"`      // for whom, if that was told
	Purpose string `json:"purpose,omitempty"` // what for, if that was told
}
