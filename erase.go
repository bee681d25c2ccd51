package tutela

// Erase is the detail of EventErase: which leaves of an exhibit's trees nobody
// can open any more. The event names the authority it was done under. Fields are
// encoded in the order they are written here.
type Erase struct {
	Exhibit string       `json:"exhibit"`
	Reason  string       `json:"reason"`
	Scans   []ErasedScan `json:"scans"` // by rising number; those of which something was erased
}

// ErasedScan is what was erased of one scan.
type ErasedScan struct {
	Number int         `json:"number"`
	Leaves []uint64    `json:"leaves"` // of the record tree, ascending
	Runs   []ErasedRun `json:"runs"`   // by rising number; those that told of them
}

// ErasedRun is what was erased of one match run.
type ErasedRun struct {
	Run    int      `json:"run"`
	Leaves []uint64 `json:"leaves"` // of the run's tree, ascending
}
